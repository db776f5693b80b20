"""Compares restored partitions with the backup. The backup is decoded by this program, and the target is read by the
second reader, so an error in this program's own fetching cannot hide a difference.

Both sides are streams of parts, which are compared as whole columns. So memory is bounded by a frame of the backup and
a part of the reader, and not by the size of the partition.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from hashlib import sha256
from itertools import groupby
from typing import NamedTuple

from tasks.batches.record_columns import EMPTY, RecordColumns, columns_of_batch
from tasks.broker.ports import RecordReader
from tasks.engine.drilling.drill_result import CompareLevel, PartitionComparison
from tasks.engine.drilling.first_difference import equal, first_difference
from tasks.engine.drilling.record_digest import RecordDigest
from tasks.engine.run_context import ClusterContext
from tasks.engine.started_restore import StartedRestore
from tasks.model.errors import InterruptedRunError, TopicGoneError
from tasks.model.partition import Partition
from tasks.repository.frame_reader import FrameReader
from tasks.repository.lines import Frame, IndexLine
from tasks.repository.restores import PartitionCopy, TargetPartition


def compare_partition(
    context: ClusterContext,
    started: StartedRestore,
    copy: PartitionCopy,
    target: TargetPartition,
    level: CompareLevel,
    share_percent: float,
) -> PartitionComparison:
    """Compare one target partition with its source in the backup.

    `full` compares every record. `sample` compares whole frames of the backup, chosen by the id of the restore, with at
    least `share_percent` of the records. `counts` compares the bounds, and reads no contents. All levels compare the
    bounds. A difference, a deleted topic, and a comparison that compared nothing although it should have are a
    `problem` of the result.

    Raises `DamagedError` if the backup cannot be read, and `BrokerUnavailableError`, `AccessError` and other errors of
    the reader if the target cannot be read, because that does not show whether its records are right. May be called
    again.
    """
    with context.record_reader() as reader:
        return compare_with(reader, context, started, copy, target, level, share_percent)


def compare_with(
    reader: RecordReader,
    context: ClusterContext,
    started: StartedRestore,
    copy: PartitionCopy,
    target: TargetPartition,
    level: CompareLevel,
    share_percent: float,
) -> PartitionComparison:
    """Same as `compare_partition` with an open reader, which can be used for many partitions of one thread."""
    began = time.monotonic()
    found, tally = 0, _Tally()
    try:
        start, end = reader.bounds(target.target)
        found = max(0, end - max(start, target.base))
        problem = _bound_problem(copy, target, start, end)
        if level != "counts":
            runs = _runs(started, copy, None if level == "full" else share_percent)
            tally.compare(context, reader, started.reader, runs, target, (start, end))
            if level == "full":
                found = tally.found.records
                problem = tally.problem or problem or _wrong_plan(copy, tally)
            problem = tally.problem or problem or _nothing_compared(copy, tally)
    except TopicGoneError as error:
        problem = str(error)
    has_contents = tally.compared > 0
    return PartitionComparison(
        source=copy.source,
        target=target.target,
        level=level,
        expected_records=copy.records,
        found_records=found,
        compared_records=tally.compared,
        expected_digest=tally.expected.hexdigest() if has_contents else None,
        found_digest=tally.found.hexdigest() if has_contents else None,
        problem=problem or tally.digest_problem(),
        seconds=time.monotonic() - began,
    )


class _Run(NamedTuple):
    """Frames of the backup whose records follow one another in the target. `before` is the number of restorable records
    before them, `records` the number of theirs; None means all that follow."""

    before: int
    records: int | None
    frames: Sequence[tuple[IndexLine, Frame]]


def _runs(started: StartedRestore, copy: PartitionCopy, share_percent: float | None) -> list[_Run]:
    """One run of all frames, or with a share the runs of the chosen frames."""
    frames = [(line, frame) for line in started.lines[copy.source] for frame in line.frames]
    if share_percent is None:
        return [_Run(0, None, frames)]
    counts = [_records_of(started.reader, line, frame) for line, frame in frames]
    seeds = [_seed(started.plan.restore, copy.source, frame) for _, frame in frames]
    chosen = chosen_frames(counts, seeds, share_percent)
    runs: list[_Run] = []
    before = 0
    for index, (place, records) in enumerate(zip(frames, counts, strict=True)):
        if index in chosen:
            last = runs[-1] if runs else None
            if last is not None and last.records is not None and last.before + last.records == before:
                runs[-1] = _Run(last.before, last.records + records, [*last.frames, place])
            else:
                runs.append(_Run(before, records, [place]))
        before += records
    return runs


def chosen_frames(counts: Sequence[int], seeds: Sequence[bytes], share_percent: float) -> set[int]:
    """The indexes of the frames to compare: in the order of their seeds, until they have at least `share_percent` of
    all records, and at least one frame with records if there is one."""
    wanted = max(1, sum(counts) * share_percent / 100)
    chosen: set[int] = set()
    records = 0
    for index in sorted((index for index, count in enumerate(counts) if count), key=lambda index: seeds[index]):
        if records >= wanted:
            break
        chosen.add(index)
        records += counts[index]
    return chosen


def _seed(drill: str, source: Partition, frame: Frame) -> bytes:
    return sha256(f"{drill} {source.topic_id} {source.partition} {frame.first}".encode()).digest()


def _records_of(reader: FrameReader, line: IndexLine, frame: Frame) -> int:
    return reader.count(line, frame, line.first, line.next) if line.is_cut(frame) else frame.restorable


def _expected(context: ClusterContext, reader: FrameReader, run: _Run) -> Iterator[RecordColumns]:
    """The restorable records of the frames, as this program decodes them."""
    for _, group in groupby(run.frames, key=lambda place: id(place[0])):
        places = list(group)
        line = places[0][0]
        for frame, log in reader.frames(line, [frame for _, frame in places]):
            if context.stop.is_set():
                raise InterruptedRunError("Stopped on request.")
            for position, header in reader.restorable(line, frame, log):
                part = columns_of_batch(log[position : position + header.size_bytes], header)
                if header.base_offset < line.first or header.next_offset > line.next:
                    part = _clipped(part, line)
                if part.offsets:
                    yield part


def _clipped(part: RecordColumns, line: IndexLine) -> RecordColumns:
    return part.part(bisect_left(part.offsets, line.first), bisect_left(part.offsets, line.next))


class _Side:
    """One side of a comparison: a stream of parts. Every record is added to the digest when it is read."""

    def __init__(self, parts: Iterator[RecordColumns], digest: RecordDigest) -> None:
        self._parts = parts
        self._digest = digest
        self.part = self._next()

    def _next(self) -> RecordColumns | None:
        part = next(self._parts, None)
        if part is not None:
            self._digest.add(part)
        return part

    def take(self, count: int) -> None:
        """Go on to the records after the first `count` of the part."""
        assert self.part is not None
        self.part = self.part.part(count, len(self.part.offsets)) if count < len(self.part.offsets) else self._next()

    def ahead(self) -> RecordColumns:
        """The records of this part and of the next one, to name a difference. They are not taken."""
        following = self._next()
        if self.part is None or following is None:
            return self.part or following or EMPTY
        self.part = RecordColumns._make([*mine, *theirs] for mine, theirs in zip(self.part, following, strict=True))
        return self.part


class _Tally:
    """What was compared so far. After the first difference the rest is only counted and added to the digests."""

    def __init__(self) -> None:
        self.expected = RecordDigest()
        self.found = RecordDigest()
        self.compared = 0
        self.problem: str | None = None

    def compare(
        self,
        context: ClusterContext,
        reader: RecordReader,
        frames: FrameReader,
        runs: Sequence[_Run],
        target: TargetPartition,
        bounds: tuple[int, int],
    ) -> None:
        """Compare the runs. `bounds` are those of the target partition: what is below them was deleted."""
        start, end = bounds
        for run in runs:
            first = target.base + run.before
            last = end if run.records is None else min(end, first + run.records)
            expected = _Side(_expected(context, frames, run), self.expected)
            found = _Side(reader.read(target.target, max(first, start), last), self.found)
            self._compare(expected, found, run.before + 1, first)

    def _compare(self, expected: _Side, found: _Side, number: int, offset: int) -> None:
        while expected.part is not None and found.part is not None:
            count = min(len(expected.part.offsets), len(found.part.offsets))
            if self.problem is None and not _is_equal(expected.part, found.part, count, offset):
                self.problem = first_difference(expected.ahead(), found.ahead(), number, offset)
            self.compared += count
            number, offset = number + count, offset + count
            expected.take(count)
            found.take(count)
        if self.problem is None and (expected.part is not None or found.part is not None):
            self.problem = first_difference(expected.part or EMPTY, found.part or EMPTY, number, offset)
        for side in (expected, found):
            while side.part is not None:
                side.take(len(side.part.offsets))

    def digest_problem(self) -> str | None:
        """The sentence about different digests, which no other check has explained."""
        if self.expected.hexdigest() != self.found.hexdigest():
            return "the digests of the expected and the found records differ."
        return None


def _is_equal(expected: RecordColumns, found: RecordColumns, count: int, offset: int) -> bool:
    """Whether the first `count` records of both are equal."""
    return equal(
        expected if len(expected.offsets) == count else expected.part(0, count),
        found if len(found.offsets) == count else found.part(0, count),
        offset,
    )


def _bound_problem(copy: PartitionCopy, target: TargetPartition, start: int, end: int) -> str | None:
    expected = (target.base, target.base + copy.records)
    if (start, end) == expected:
        return None
    if end == target.base:
        return f"the backup has {copy.records} records and the target has none."
    return (
        f"the backup has {copy.records} records, which need the target offsets {expected[0]} to {expected[1]}, but the "
        f"target has the offsets {start} to {end}."
    )


def _wrong_plan(copy: PartitionCopy, tally: _Tally) -> str | None:
    if tally.expected.records != copy.records:
        return f"the restore had to write {copy.records} records, but the backup has {tally.expected.records}."
    return None


def _nothing_compared(copy: PartitionCopy, tally: _Tally) -> str | None:
    if copy.records and not tally.compared:
        return f"no record was compared, although the backup has {copy.records} records."
    return None
