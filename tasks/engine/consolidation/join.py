"""Copies stored ranges into new data objects, and compares each copy with its originals."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from tasks.batches.header import HEADER_BYTES
from tasks.broker.log_values import Fetched
from tasks.engine.capture.capture_ranges import RangeCapture
from tasks.engine.capture.capture_result import CapturedRange, CaptureFailure, CaptureResult
from tasks.engine.capture.object_sink import ObjectSettings, ObjectSink
from tasks.engine.capture.range_reader import Batches, CaptureRange, EmptyTail, Event
from tasks.engine.run_context import RunContext
from tasks.model.errors import ObjectArchivedError
from tasks.model.partition import Partition
from tasks.repository.fragments import read_fragments
from tasks.repository.frame_reader import FrameReader
from tasks.repository.lines import IndexLine
from tasks.repository.plans import Plan, PlannedPartition


class _CannotJoinError(Exception):
    """A range whose segments cannot be joined."""


@dataclass(frozen=True, slots=True)
class Originals:
    """The lines that a consolidation copies, and the reader of their objects. The bins of one process share it."""

    lines: Mapping[Partition, Sequence[IndexLine]]
    reader: FrameReader

    def of(self, planned: PlannedPartition) -> list[IndexLine]:
        """The lines in a range of the plan."""
        return list(filter(planned.includes, self.lines[planned.source]))


def join_ranges(context: RunContext, plan: Plan, number: int, originals: Originals) -> CaptureResult:
    """Copy the ranges of one bin of a plan into new data objects. May be called again: each attempt writes under a new
    writer id.

    A partition whose ranges cannot be copied exactly, or of which an object is archived, is a failure in the result.
    Raises `DamagedError` if an original
    is damaged, `InterruptedRunError` when `stop` is set, and the store's error if the repository fails.
    """
    planned = [plan.partitions[index] for index in plan.bins[number]]
    oldest_ms = [0]
    has_times = any(frame.min_ts is not None for one in planned for line in originals.of(one) for frame in line.frames)
    settings = replace(ObjectSettings.of_plan(plan), index_timestamps=has_times)
    sink = ObjectSink(context.repository.store, settings, lambda: oldest_ms[0])
    copied: list[CapturedRange] = []
    failures: dict[Partition, str] = {}
    for one in planned:
        lines = originals.of(one)
        oldest_ms[0] = min(line.captured_ms for line in lines)
        range_ = CaptureRange(source=one.source, start=one.start, end=one.end)
        capture = RangeCapture(range_, sink, context)
        try:
            capture.run(_events(originals.reader, one.source, lines))
        except (_CannotJoinError, ObjectArchivedError) as error:
            failures[one.source] = str(error)
        copied.append(capture.result())
    sink.flush()
    failures |= _differing(context, plan, [one for one in planned if one.source not in failures], sink, originals)
    return CaptureResult(
        writer=sink.writer_id,
        fragments=sink.fragments,
        ranges=tuple(copied),
        failures=tuple(CaptureFailure(source=source, reason=reason) for source, reason in failures.items()),
    )


def batches_digest(reader: FrameReader, lines: Iterable[IndexLine]) -> str:
    """The SHA-256 of the headers of all batches that a restore reads from the lines, in order. A header contains the
    CRC of its records, which the reader checks, so equal digests mean equal batches. Raises `DamagedError`."""
    digest = hashlib.sha256()
    for line in lines:
        for frame, log in reader.frames(line):
            for position, _ in reader.restorable(line, frame, log):
                digest.update(log[position : position + HEADER_BYTES])
    return digest.hexdigest()


def _events(reader: FrameReader, source: Partition, lines: Sequence[IndexLine]) -> Iterator[Event]:
    """The lines as if a leader served them: a fetch answer for each frame, with its aborted transactions."""
    position = lines[0].first
    for line in lines:
        for frame, log in reader.frames(line):
            batches = list(reader.batches(line, frame, log))
            if batches and batches[0][1].base_offset < position:
                raise _CannotJoinError(f"a batch begins before offset {position}, where its segment begins")
            position = batches[-1][1].next_offset if batches else position
            aborted = tuple(
                (one.producer_id, one.first)
                for one in line.aborted
                if one.first < frame.next and one.last >= frame.first
            )
            yield Batches(Fetched(partition=source, position=position, records=log, aborted=aborted), batches, position)
        position = line.next
    if lines[-1].empty_from is not None:
        yield EmptyTail(lines[-1].empty_from)
    else:
        yield Batches(Fetched(partition=source, position=position, records=b""), [], position)


def _differing(
    context: RunContext, plan: Plan, planned: Sequence[PlannedPartition], sink: ObjectSink, originals: Originals
) -> dict[Partition, str]:
    """The partitions of which a restore would read other batches from the copies than from the originals."""
    fragments = read_fragments(
        context.repository.store,
        repository_id=plan.repository_id,
        set_name=plan.set,
        run=plan.run,
        writers=[(sink.writer_id, sink.fragments)],
    )
    copies: dict[Partition, list[IndexLine]] = defaultdict(list)
    for fragment in fragments:
        for line in fragment.lines:
            copies[line.source].append(line)
    reader = FrameReader(context.repository.store)
    return {
        one.source: f"the copy of offsets {one.start} to {one.end - 1} differs"
        for one in planned
        if batches_digest(reader, filter(one.includes, copies[one.source]))
        != batches_digest(originals.reader, originals.of(one))
    }
