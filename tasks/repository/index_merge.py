"""Merges index objects into one. Their lines are not parsed: in memory are the stored bytes and one line of each
object, because a parsed line takes about 5 KiB and a set that is backed up continuously has millions of lines."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from heapq import merge
from itertools import islice
from typing import NamedTuple

import zstandard

from tasks.model.partition import Partition
from tasks.repository.compressed_objects import new_compressor, put_content
from tasks.repository.document import encode_json, sha256_hex
from tasks.repository.index import IndexRef, LineText, iter_texts, line_order
from tasks.repository.lines import IndexLine
from tasks.repository.names import index_key
from tasks.store.protocol import ObjectStore

_BEGIN = re.compile(
    rb'\{"topic":"([^"\\]*)","topic_id":"([^"\\]*)","partition":(0|[1-9][0-9]*),'
    rb'"first":([0-9]+),"next":([0-9]+),"seq":(null|[0-9]+),'
)
"""The beginning of a line as this program writes it. A line that begins in another way is parsed and written anew."""

_LINES_AT_ONCE = 1000
"""The number of lines that are given to the compressor together."""

CanCount = Callable[[Partition, int | None], bool]
"""Whether a line with this source and seq is kept. The seq is None if no entry names the line yet."""


class _Ordered(NamedTuple):
    """A line's text with a newline, and where it stands in an index object. Of lines that begin and end at the same
    offsets, the one of the earlier object is first."""

    order: tuple[Partition, int, int]
    number: int
    text: bytes


def merge_indexes(
    store: ObjectStore,
    set_name: str,
    run: str,
    refs: Sequence[IndexRef],
    new_lines: Iterable[IndexLine],
    can_count: CanCount,
) -> IndexRef | None:
    """Store the lines of these objects and the new lines as one index object, without the lines that cannot count. Each
    line of an object gets the seq of the object's reference, which has to have one, if it has none itself.

    May be called again: equal lines have the same key. None if no line is left. The timestamps of the reference are
    bounds, also of the lines that were left out. Raises `DamagedError` if an object is missing or has another digest,
    and `UnsupportedError` if a later version wrote a line that has to be parsed.
    """
    added = sorted((line for line in new_lines if can_count(line.source, line.seq)), key=line_order)
    own = (_Ordered(line_order(line), len(refs), encode_json(line.to_json())) for line in added)
    streams = [_ordered_texts(store, ref, number, can_count) for number, ref in enumerate(refs)]
    stored, lines, topics = _compressed(merge(*streams, own))
    if topics is None:
        return None
    digest = sha256_hex(stored)
    key = index_key(set_name, run, digest)
    put_content(store, key, stored, digest)
    lowest, highest = _bounds(refs, added)
    return IndexRef(
        key=key, sha256=digest, stored_bytes=len(stored), lines=lines, topics=topics, min_ts=lowest, max_ts=highest
    )


def _compressed(ordered: Iterator[_Ordered]) -> tuple[bytes, int, tuple[str, str] | None]:
    """(the stored bytes, the number of lines, the least and the greatest topic)."""
    compressor = new_compressor().compressobj()
    stored, lines = bytearray(), 0
    topics: set[str] = set()
    while several := list(islice(ordered, _LINES_AT_ONCE)):
        topics |= {one.order[0].topic for one in several}
        lines += len(several)
        stored += compressor.compress(b"".join(one.text for one in several))
    stored += compressor.flush(zstandard.COMPRESSOBJ_FLUSH_FINISH)
    return bytes(stored), lines, (min(topics), max(topics)) if topics else None


def _ordered_texts(store: ObjectStore, ref: IndexRef, number: int, can_count: CanCount) -> Iterator[_Ordered]:
    assert ref.seq is not None
    for text in iter_texts(store, ref, entry_seq=ref.seq):
        order, seq, content = _read_begin(text)
        if can_count(order[0], seq):
            yield _Ordered(order, number, content)


def _read_begin(text: LineText) -> tuple[tuple[Partition, int, int], int, bytes]:
    """(the order, the seq, the text with this seq and a newline)."""
    match = _BEGIN.match(text.text)
    if match is None:
        line = text.line()
        assert line.seq is not None
        return line_order(line), line.seq, encode_json(line.to_json())
    topic, topic_id, partition, first, next_, seq = match.groups()
    order = Partition(topic.decode(), topic_id.decode(), int(partition)), int(first), int(next_)
    if seq != b"null":
        return order, int(seq), text.text + b"\n"
    at, end = match.span(6)
    return order, text.seq, b"%b%d%b\n" % (text.text[:at], text.seq, text.text[end:])


def _bounds(refs: Sequence[IndexRef], added: Sequence[IndexLine]) -> tuple[int | None, int | None]:
    """The lowest and the highest timestamp. None if it is not known, for example because an object has no records."""
    frames = [frame for line in added for frame in line.frames if frame.log_bytes]
    lowest = [*(ref.min_ts for ref in refs), *(frame.min_ts for frame in frames)]
    highest = [*(ref.max_ts for ref in refs), *(frame.max_ts for frame in frames)]
    known = [stamp for stamp in lowest if stamp is not None]
    return (
        min(known) if known and len(known) == len(lowest) else None,
        max((stamp for stamp in highest if stamp is not None), default=None),
    )
