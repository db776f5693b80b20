"""The index lines that count for the rows of a point, parsed when they are first needed. Decides which line counts
where lines overlap, and clips lines to ranges."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from threading import Lock

from tasks.model.partition import Partition
from tasks.model.ranges import DROPPED, Gap, disjoint_pieces
from tasks.repository.drops import Drop, is_dropped
from tasks.repository.entries import PointEntry
from tasks.repository.index import LineText, find_lines
from tasks.repository.lines import Frame, IndexLine
from tasks.repository.partition_table import Row
from tasks.store.protocol import ObjectStore

MOST_PARSED_LINES = 10_000
"""The number of parsed lines that are kept. A parsed line takes about 5 KiB, its text a sixth of that."""

_WITHOUT_OBJECT = {"object": None, "sha256": None, "stored_bytes": None, "checksum": None}


class PointLines(Mapping[Partition, Sequence[IndexLine]]):
    """The counting lines of each row, in offset order, disjoint, clipped to the row's [first, next). A line whose data
    was dropped names no object, and all its offsets are a gap.

    The texts of all lines are in memory. The lines of a partition are parsed when the partition is first looked up, and
    dropped after more than `MOST_PARSED_LINES` lines of other partitions were used. So each line is parsed once if
    there are no more lines than that, or if the partitions are used one after the other. A look-up raises
    `DamagedError` or `UnsupportedError` if a line of the partition is not valid. Safe to use from several threads.
    """

    def __init__(
        self,
        rows: Mapping[Partition, Row],
        texts: Mapping[Partition, Sequence[LineText]],
        drops: Sequence[Drop] = (),
    ) -> None:
        self._rows = rows
        self._texts = texts
        self._drops = drops
        self._parsed: OrderedDict[Partition, tuple[IndexLine, ...]] = OrderedDict()
        self._parsed_lines = 0
        self._lock = Lock()

    def __getitem__(self, source: Partition) -> Sequence[IndexLine]:
        with self._lock:
            if source in self._parsed:
                self._parsed.move_to_end(source)
                return self._parsed[source]
        row = self._rows[source]
        lines = tuple(without_dropped(counting_lines(row, self._stored(source)), self._drops))
        self._keep(source, lines)
        return lines

    def with_wholeness(self, source: Partition) -> Iterator[tuple[IndexLine, bool]]:
        """The counting lines of a row, and whether each is whole: nothing of the stored line was clipped or dropped.
        They are parsed at each call. Raises as a look-up."""
        stored = self._stored(source)
        unchanged = {id(line) for line in stored}  # a line that is neither clipped nor dropped is the same object
        for line in without_dropped(counting_lines(self._rows[source], stored), self._drops):
            yield line, id(line) in unchanged

    def _stored(self, source: Partition) -> list[IndexLine]:
        return [text.line() for text in self._texts.get(source, ())]

    def __iter__(self) -> Iterator[Partition]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, source: object) -> bool:
        return source in self._rows

    def _keep(self, source: Partition, lines: tuple[IndexLine, ...]) -> None:
        with self._lock:
            if source in self._parsed:
                return  # another thread has parsed them in the meantime
            self._parsed[source] = lines
            self._parsed_lines += len(lines)
            while self._parsed_lines > MOST_PARSED_LINES and len(self._parsed) > 1:
                self._parsed_lines -= len(self._parsed.popitem(last=False)[1])


def read_lines(store: ObjectStore, point: PointEntry, rows: Iterable[Row], drops: Sequence[Drop] = ()) -> PointLines:
    """The lines that count for the rows of a point. `drops` are those that concern the point.

    Reads each index object that can have lines of the rows' topics, once. Raises what `find_lines` raises.
    """
    wanted = {row.source: row for row in rows}
    topics = sorted({source.topic for source in wanted})
    found: dict[Partition, list[LineText]] = defaultdict(list)
    for ref in point.index:
        if ref.can_include(topics):
            for source, text in find_lines(store, ref, wanted.keys(), entry_seq=point.seq):
                found[source].append(text)
    return PointLines(wanted, found, drops)


def counting_lines(row: Row, lines: Iterable[IndexLine]) -> list[IndexLine]:
    """The lines that count for a row, in offset order, disjoint, clipped to the row's [first, next).

    A line counts if its seq is at least the row's `base_seq`. Where lines overlap, the one with the larger seq keeps
    the common offsets. Takes n log n steps for n lines. Pure.
    """
    counting = [line for line in lines if line.seq is not None and line.seq >= (row.base_seq or 0)]
    newest_first = sorted(counting, key=lambda line: line.seq or 0, reverse=True)
    ranges = [(max(line.first, row.first), min(line.next, row.next)) for line in newest_first]
    return [clip_line(newest_first[index], first, end) for first, end, index in disjoint_pieces(ranges)]


def without_dropped(lines: Iterable[IndexLine], drops: Sequence[Drop]) -> Iterator[IndexLine]:
    """The same lines; those whose data was dropped name no object, and all their offsets are a gap. Call it with
    counting lines: an older line does not count again because the data of a newer one was dropped. Pure."""
    for line in lines:
        if line.object is not None and is_dropped(drops, line.seq or 0, line.newest_ms):
            gap = Gap(line.first, line.next, DROPPED)
            yield line.model_copy(update={**_WITHOUT_OBJECT, "gaps": (gap,), "frames": (), "aborted": ()})
        else:
            yield line


def clip_line(line: IndexLine, first: int, end: int) -> IndexLine:
    """The line reduced to [first, end). Frames outside are left out. A frame that is only partly in the range stays
    whole, and `line.is_cut` is true for it. A line without frames names no object. Pure."""
    if (first, end) == (line.first, line.next):
        return line
    frames = tuple(frame for frame in line.frames if _meets(frame, first, end))
    return line.model_copy(
        update={
            **({} if frames else _WITHOUT_OBJECT),
            "first": first,
            "next": end,
            "gaps": tuple(
                Gap(max(g.first, first), min(g.next, end), g.reason) for g in line.gaps if _meets(g, first, end)
            ),
            "frames": frames,
            "trimmed_from": line.trimmed_from if first == line.first else None,
            "empty_from": line.empty_from if end == line.next else None,
        }
    )


def _meets(part: Gap | Frame, first: int, end: int) -> bool:
    return part.first < end and part.next > first
