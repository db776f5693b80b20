"""Index objects: the index lines of a point, a JSON document per line, compressed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from tasks.model.partition import Partition
from tasks.repository.document import encode_json, parse_json
from tasks.repository.lines import IndexLine
from tasks.repository.names import index_key
from tasks.repository.stored import StoredRef, compress_object, put_content, read_stored
from tasks.store.protocol import ObjectStore


class IndexRef(StoredRef):
    """An index object with its bounds: a reader that wants one topic or one time skips the others."""

    lines: int
    topics: tuple[str, str] | None = None
    min_ts: int | None = None
    max_ts: int | None = None


def line_order(line: IndexLine) -> tuple[Partition, int, int]:
    """Lines stand by partition, then offset; of an equal range the one with data last."""
    return line.source, line.first, line.next


def write_index(store: ObjectStore, set_name: str, run: str, lines: Iterable[IndexLine]) -> IndexRef:
    """Write the lines as one index object; writing equal lines again is harmless."""
    ordered = sorted(lines, key=line_order)
    stored, digest = compress_object(b"".join(encode_json(line.to_json()) for line in ordered))
    key = index_key(set_name, run, digest)
    put_content(store, key, stored, digest)
    return IndexRef(
        key=key,
        sha256=digest,
        stored_bytes=len(stored),
        lines=len(ordered),
        topics=(min(line.topic for line in ordered), max(line.topic for line in ordered)) if ordered else None,
        min_ts=_lowest(ordered),
        max_ts=_highest(ordered),
    )


def read_index(store: ObjectStore, ref: IndexRef, *, entry_seq: int) -> Iterator[IndexLine]:
    """Its lines with `seq` filled in: an own one, else that of the entry that first named the object."""
    seq = ref.seq if ref.seq is not None else entry_seq
    for text in read_stored(store, ref).splitlines():
        line = IndexLine.from_json(parse_json(text, key=ref.key), key=ref.key)
        yield line if line.seq is not None else line.model_copy(update={"seq": seq})


def _highest(lines: Sequence[IndexLine]) -> int | None:
    return max((frame.max_ts for line in lines for frame in line.frames if frame.max_ts is not None), default=None)


def _lowest(lines: Sequence[IndexLine]) -> int | None:
    """A lower bound exists only where every frame's records were scanned."""
    stamps = [frame.min_ts for line in lines for frame in line.frames if frame.log_bytes]
    known = [stamp for stamp in stamps if stamp is not None]
    return min(known) if known and len(known) == len(stamps) else None
