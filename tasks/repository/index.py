"""Index objects: the index lines of a point, compressed, one JSON document on each line.

A reader of a few partitions reads only what it needs: it opens an object only if its reference's topics can include a
wanted one, and it parses only the lines of wanted partitions. The other lines are recognized by their first bytes.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

from tasks.model.partition import Partition
from tasks.repository.compressed_objects import StoredRef, compress_object, iter_stored, put_content
from tasks.repository.document import encode_json
from tasks.repository.lines import IndexLine
from tasks.repository.names import index_key
from tasks.store.protocol import ObjectStore

_BEGIN = re.compile(rb'\{"topic":"[^"\\]*","topic_id":"[^"\\]*","partition":(?:0|[1-9][0-9]*),')
"""The beginning of a line as this program writes it. A line that begins in another way is parsed to find its
partition."""


class IndexRef(StoredRef):
    """A reference to an index object, with bounds of its lines; None means that a bound is not known.

    Only `topics` [least, greatest] decides whether an object is read. Timestamps must not decide it, because a line
    that a reader leaves out can be the one that replaces an older line of the same offsets.
    """

    lines: int
    topics: tuple[str, str] | None = None
    min_ts: int | None = None
    max_ts: int | None = None

    def can_include(self, topics: Sequence[str]) -> bool:
        """Whether the object can have lines of one of the topics. `topics` are in ascending order."""
        if self.topics is None:
            return True
        least, greatest = self.topics
        at = bisect_left(topics, least)
        return at < len(topics) and topics[at] <= greatest


class LineText(NamedTuple):
    """An index line that is not parsed yet. `key` is the key of its index object. `seq` is the seq of the reference to
    that object, or of the entry that contains the reference if the reference has none."""

    text: bytes
    seq: int
    key: str

    def line(self) -> IndexLine:
        """The line, with the reference's seq if it has none itself. Raises `DamagedError` with the key of the
        index object if the line is not valid, and `UnsupportedError` if a later version wrote it."""
        line = IndexLine.from_text(self.text, key=self.key)
        return line if line.seq is not None else line.model_copy(update={"seq": self.seq})


def line_order(line: IndexLine) -> tuple[Partition, int, int]:
    """The order of lines in an index object: by partition, then by offset. Of lines that begin at the same offset, the
    empty one is first."""
    return line.source, line.first, line.next


def write_index(store: ObjectStore, set_name: str, run: str, lines: Iterable[IndexLine]) -> IndexRef:
    """Store the lines as one index object. May be called again: equal lines have the same key. Raises `DamagedError` if
    the key holds other bytes."""
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
    """All lines of an index object. `entry_seq` is the seq of a reference without one.

    Raises `DamagedError` if the object is missing, has another digest or contains a line that is not valid, and
    `UnsupportedError` if a later version wrote a line.
    """
    for text in iter_texts(store, ref, entry_seq=entry_seq):
        yield text.line()


def find_lines(
    store: ObjectStore, ref: IndexRef, wanted: Collection[Partition], *, entry_seq: int
) -> Iterator[tuple[Partition, LineText]]:
    """The lines of the wanted partitions, each with its partition. They are not parsed: `LineText.line` raises for a
    line that is not valid. `entry_seq` is the seq of a reference without one.

    Raises `DamagedError` if the object is missing or has another digest. A line that does not begin as this program
    writes it is parsed to find its partition, wanted or not, and raises what `LineText.line` raises.
    """
    by_begin = {_begin_of(source): source for source in wanted}
    begin, source = b"\n", None
    for text in iter_texts(store, ref, entry_seq=entry_seq):
        if not text.text.startswith(begin):
            match = _BEGIN.match(text.text)
            if match is None:
                parsed = text.line().source
                if parsed in wanted:
                    yield parsed, text
                continue
            begin = match.group()
            source = by_begin.get(begin)
        if source is not None:
            yield source, text


def iter_texts(store: ObjectStore, ref: IndexRef, *, entry_seq: int) -> Iterator[LineText]:
    """All lines of an index object, not parsed. `entry_seq` is the seq of a reference without one. Raises
    `DamagedError` if the object is missing or has another digest."""
    seq = ref.seq if ref.seq is not None else entry_seq
    rest = b""
    for chunk in iter_stored(store, ref):
        *whole, rest = (rest + chunk).split(b"\n")
        for text in whole:
            yield LineText(text, seq, ref.key)
    if rest:
        yield LineText(rest, seq, ref.key)


def _begin_of(source: Partition) -> bytes:
    return encode_json(source._asdict())[:-2] + b","


def _highest(lines: Sequence[IndexLine]) -> int | None:
    return max((frame.max_ts for line in lines for frame in line.frames if frame.max_ts is not None), default=None)


def _lowest(lines: Sequence[IndexLine]) -> int | None:
    """The smallest timestamp, None if it is not known. It is known only if the records of every frame were scanned."""
    stamps = [frame.min_ts for line in lines for frame in line.frames if frame.log_bytes]
    known = [stamp for stamp in stamps if stamp is not None]
    return min(known) if known and len(known) == len(stamps) else None
