"""Fragments: the plain index lines of one data object, written right after it, read by the commit of their run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tasks.model.errors import DamagedError, ObjectNotFoundError
from tasks.repository.document import FORMAT_MAJOR, Document, seal, sha256_hex, unseal
from tasks.repository.lines import IndexLine
from tasks.repository.names import fragment_key
from tasks.store.protocol import ObjectStore


class Fragment(Document):
    """`lines` are in capture order: of two that overlap the later one is of the newer lineage."""

    format: int = FORMAT_MAJOR
    repository_id: str
    set: str
    run: str
    writer: str
    number: int
    lines: tuple[IndexLine, ...]


def write_fragment(store: ObjectStore, fragment: Fragment) -> None:
    """Store it under its own key. Raises `ObjectExistsError` when another attempt drew the same writer id."""
    data = seal(fragment.to_json())
    key = fragment_key(fragment.set, fragment.run, fragment.writer, fragment.number)
    store.put_if_absent(key, [data], sha256=sha256_hex(data))


def read_fragment(store: ObjectStore, key: str) -> Fragment:
    """Raises `DamagedError` when it is missing, damaged or stands under another's key."""
    try:
        data, _ = store.get(key)
    except ObjectNotFoundError:
        raise DamagedError(f"{key} is missing", key=key) from None
    fragment = Fragment.from_json(unseal(data, key=key), key=key)
    if key != fragment_key(fragment.set, fragment.run, fragment.writer, fragment.number):
        raise DamagedError(f"{key} is another fragment's bytes", key=key)
    return fragment


def read_fragments(
    store: ObjectStore, *, repository_id: str, set_name: str, run: str, writers: Sequence[tuple[str, int]]
) -> Iterator[Fragment]:
    """Exactly the fragments 0 … count-1 of each (writer, count), in that order; a missing one is damage."""
    for writer, count in writers:
        for number in range(count):
            key = fragment_key(set_name, run, writer, number)
            fragment = read_fragment(store, key)
            if fragment.repository_id != repository_id:
                raise DamagedError(f"{key} belongs to another repository", key=key)
            yield fragment
