"""Fragments: the index lines of one data object. A fragment is written right after its object, and read by the commit
of the run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tasks.model.errors import DamagedError
from tasks.repository.document import FORMAT_MAJOR, Document
from tasks.repository.lines import IndexLine
from tasks.repository.names import fragment_key, fragment_prefix, fragment_writer
from tasks.repository.sealed_objects import get_sealed, put_sealed
from tasks.store.protocol import ObjectStore


class Fragment(Document):
    """The index lines of one data object, in capture order. Of two lines that overlap, the later one is of the newer
    lineage."""

    format: int = FORMAT_MAJOR
    repository_id: str
    set: str
    run: str
    writer: str
    number: int
    lines: tuple[IndexLine, ...]

    @property
    def key(self) -> str:
        """The key under which the fragment is stored."""
        return fragment_key(self.set, self.run, self.writer, self.number)


def write_fragment(store: ObjectStore, fragment: Fragment) -> None:
    """Store a fragment. Raises `ObjectExistsError` if another attempt has the same writer id."""
    put_sealed(store, fragment.key, fragment)


def read_fragment(store: ObjectStore, key: str) -> Fragment:
    """The fragment under a key. Raises `DamagedError` if it is missing, damaged or stored under another fragment's
    key, and `UnsupportedError` if a later version wrote it."""
    fragment = get_sealed(store, key, Fragment)
    if key != fragment.key:
        raise DamagedError(f"{key} contains another fragment", key=key)
    return fragment


def fragment_keys(store: ObjectStore, set_name: str, run: str) -> Iterator[tuple[str, str]]:
    """(writer id, key) of every fragment of a run, by a listing of the store. All writers are included."""
    for info in store.list(fragment_prefix(set_name, run)):
        yield fragment_writer(info.key), info.key


def read_fragments(
    store: ObjectStore, *, repository_id: str, set_name: str, run: str, writers: Sequence[tuple[str, int]]
) -> Iterator[Fragment]:
    """The fragments 0 … count-1 of each (writer, count), in that order. Raises `DamagedError` if one is missing,
    damaged or of another repository, and `UnsupportedError` if a later version wrote one."""
    for writer, count in writers:
        for number in range(count):
            key = fragment_key(set_name, run, writer, number)
            fragment = read_fragment(store, key)
            if fragment.repository_id != repository_id:
                raise DamagedError(f"{key} belongs to another repository", key=key)
            yield fragment
