"""Decides which data objects of a point a consolidation joins, and which ranges it copies for that. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

from tasks.model.partition import Partition
from tasks.repository.data_objects import OBJECT_STORED_BYTES
from tasks.repository.lines import IndexLine
from tasks.repository.names import origin_of
from tasks.repository.plans import PlannedPartition

SMALL_OBJECT_BYTES = OBJECT_STORED_BYTES // 4
"""Smaller objects are joined."""

WINDOW_BYTES = OBJECT_STORED_BYTES
"""The stored bytes of the objects that are joined together. They fit in the object cache, so that each of them is
downloaded once, although its segments go to the places of their partitions."""

LEAST_OBJECTS = 8
"""Fewer objects are not joined, because that saves little, and the bytes are stored twice until the older points
expire."""


MOST_SPAN_MS = 14 * 86_400_000
"""The longest time between the oldest and the newest capture of objects that are joined. `maximum_age` takes a joined
object when its newest part is too old, so that older parts stay at most so much longer."""


class SegmentPlace(NamedTuple):
    """The place of one index line. `is_joinable`: see `is_joinable`."""

    source: Partition
    first: int
    next: int
    log_bytes: int
    is_joinable: bool


class CandidateObjects:
    """The small data objects of a point, and their segments. Add all counting lines of the point, then read
    `windows`. Objects in `archived` cannot be read, and are left out."""

    def __init__(self, archived: Collection[str] = ()) -> None:
        self._archived = archived
        self._left_out: set[str] = set()
        self._sizes: dict[str, int] = {}
        self._times: dict[str, tuple[int, int]] = {}
        self._segments: dict[str, list[SegmentPlace]] = defaultdict(list)

    @property
    def left_out(self) -> int:
        """The number of small objects that are archived."""
        return len(self._left_out)

    def add(self, line: IndexLine, *, is_whole: bool) -> None:
        """Add a counting line of the point. `is_whole`: nothing of it was clipped."""
        size = line.stored_bytes or 0
        if line.object is None or size >= SMALL_OBJECT_BYTES:
            return
        if line.object in self._archived:
            self._left_out.add(line.object)
            return
        self._sizes[line.object] = size
        oldest_ms, newest_ms = self._times.get(line.object, (line.captured_ms, line.newest_ms))
        self._times[line.object] = min(oldest_ms, line.captured_ms), max(newest_ms, line.newest_ms)
        joinable = is_whole and is_joinable(line)
        self._segments[line.object].append(SegmentPlace(line.source, line.first, line.next, line.log_bytes, joinable))

    def windows(self) -> list[list[PlannedPartition]]:
        """The ranges to copy, for each group of objects that are joined. An object of which a segment cannot be copied
        is left out, because it would have to stay anyway."""
        return [
            list(_ranges(segment for key in keys for segment in self._segments[key]))
            for keys in self._groups()
            if len(keys) >= LEAST_OBJECTS
        ]

    def _groups(self) -> Iterator[list[str]]:
        """Groups of objects in the order of their runs, each of at most `WINDOW_BYTES` and `MOST_SPAN_MS`."""
        group: list[str] = []
        total = 0
        for key in sorted(self._sizes, key=lambda key: (origin_of(key)[1], key)):
            if not all(segment.is_joinable for segment in self._segments[key]):
                continue
            if group and (total + self._sizes[key] > WINDOW_BYTES or self._span_ms([*group, key]) > MOST_SPAN_MS):
                yield group
                group, total = [], 0
            group.append(key)
            total += self._sizes[key]
        if group:
            yield group

    def _span_ms(self, keys: Sequence[str]) -> int:
        return max(self._times[key][1] for key in keys) - min(self._times[key][0] for key in keys)


def is_joinable(line: IndexLine) -> bool:
    """Whether the segment of a line can be copied behind another one. Segments with gaps, with a cut frame or with a
    moved log start cannot: a line can say these things only about its own range."""
    return not (line.gaps or line.trimmed_from is not None or any(line.is_cut(frame) for frame in line.frames))


def _ranges(segments: Iterable[SegmentPlace]) -> Iterator[PlannedPartition]:
    """The segments as ranges, ordered by partition and offset. Neighbours become one range."""
    open_: PlannedPartition | None = None
    for source, first, end, log_bytes, _ in sorted(segments):
        if open_ is not None and open_.source == source and open_.end == first:
            open_ = open_.model_copy(update={"end": end, "bytes": open_.bytes + log_bytes})
            continue
        if open_ is not None:
            yield open_
        open_ = PlannedPartition(**source._asdict(), start=first, end=end, bytes=log_bytes)
    if open_ is not None:
        yield open_
