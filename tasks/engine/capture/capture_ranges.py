"""Captures offset ranges: stores the batches of each range unchanged in data objects, and describes them in fragments.
Decides which failures end one partition and which end the capture."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from tasks.batches.header import BatchHeader
from tasks.broker.log_values import Fetched
from tasks.broker.ports import LogReader
from tasks.engine.capture.capture_result import CapturedRange, CaptureFailure, CaptureResult
from tasks.engine.capture.first_answers import FirstAnswers
from tasks.engine.capture.object_sink import ObjectSettings, ObjectSink
from tasks.engine.capture.range_reader import Batches, CaptureRange, Diverged, EmptyTail, Event, RangeReader, Trimmed
from tasks.engine.capture.segment import Segment, SegmentStart
from tasks.engine.rate_limit import RateLimit
from tasks.engine.run_context import ClusterContext, RunContext
from tasks.model.errors import AccessError, BrokerError, InterruptedRunError, KafkaBackupError
from tasks.model.partition import Partition
from tasks.model.ranges import Gap

BIG_PARTITION_BYTES = 32 << 20
"""A partition of at least this size begins a new object. Smaller ones share objects."""

IsCompacted = Callable[[Partition], bool]
"""Whether a cleaner can have removed the last batches of the partition's log, because its topic is compacted."""


def capture_ranges(
    context: ClusterContext,
    ranges: Sequence[CaptureRange],
    settings: ObjectSettings,
    *,
    fetch_bytes: int,
    is_compacted: IsCompacted,
    ending: threading.Event | None = None,
    limit: RateLimit | None = None,
) -> CaptureResult:
    """Capture the ranges one after the other. May be called again: each attempt writes under a new writer id. If
    `ending` is set, the capture ends after the fetch answer that it is storing, and what it has read stays captured.
    Captures with the same `limit` share it.

    A partition whose capture fails is reported in the result, and the others are still captured. Raises
    `InterruptedRunError` when `stop` is set, and the store's error if the repository fails. After an error the objects
    that this attempt has stored stay: if the run dies, the run that finishes it can adopt them.
    """
    ending = ending or threading.Event()
    sink = ObjectSink(context.repository.store, settings, context.repository.now_ms)
    captured: list[CapturedRange] = []
    failures: list[CaptureFailure] = []
    with context.reader() as log:
        first_answers = FirstAnswers(log, ranges, fetch_bytes=fetch_bytes)
        for range_ in ranges:
            if ending.is_set():
                break
            capture = RangeCapture(range_, sink, context, ending)
            try:
                capture.run(_events(log, range_, first_answers.take(range_), context, fetch_bytes, is_compacted, limit))
            except BrokerError as error:
                failures.append(_failure(range_.source, error))
            except _DeniedReadError as error:
                failures.append(_failure(range_.source, error.reason))
            captured.append(capture.result())
    sink.flush()
    return CaptureResult(
        writer=sink.writer_id,
        fragments=sink.fragments,
        ranges=tuple(captured),
        failures=tuple(failures),
        is_cut_short=ending.is_set(),
    )


def _events(
    log: LogReader,
    range_: CaptureRange,
    first: Fetched | None,
    context: ClusterContext,
    fetch_bytes: int,
    is_compacted: IsCompacted,
    limit: RateLimit | None,
) -> Iterator[Event]:
    reader = RangeReader(
        log,
        range_,
        fetch_bytes=fetch_bytes,
        is_compacted=partial(is_compacted, range_.source),
        stop=context.stop,
        first=first,
        limit=limit,
        clock=context.clock,
    )
    try:
        yield from reader
    except AccessError as error:
        raise _DeniedReadError(error) from error


class _DeniedReadError(Exception):
    """The brokers' `AccessError`, which ends one partition. The store's `AccessError` ends the capture."""

    def __init__(self, reason: AccessError) -> None:
        super().__init__(str(reason))
        self.reason = reason


def _failure(source: Partition, error: KafkaBackupError) -> CaptureFailure:
    return CaptureFailure(
        source=source, reason=str(error), is_denied=isinstance(error, AccessError), is_passing=error.retryable
    )


class RangeCapture:
    """The capture of one range from a reader's events. It writes several segments if an object becomes full or offsets
    are lost. If `ending` is set, it ends after the answer that it is storing."""

    def __init__(
        self, range_: CaptureRange, sink: ObjectSink, context: RunContext, ending: threading.Event | None = None
    ) -> None:
        self._range = range_
        self._ending = ending or threading.Event()
        self._sink = sink
        self._context = context
        self._began = time.monotonic()
        self._first = self._next = range_.start
        self._records = 0
        self._log_bytes = 0
        self._answer: _Answer | None = None

    def run(self, events: Iterator[Event]) -> None:
        """Read the range to its end. Raises the errors of the reader, the segment and the store, and
        `InterruptedRunError` when the run is stopped. The batches that were added before the error stay captured."""
        if self._range.bytes >= BIG_PARTITION_BYTES:
            self._sink.flush()
        start: SegmentStart | None = SegmentStart(first=self._range.start)
        while start is not None:
            start = self._write_segment(start, events)

    def result(self) -> CapturedRange:
        """The captured part of the range. Call it after `run`, also if `run` raised."""
        return CapturedRange(
            source=self._range.source,
            first=self._first,
            next=self._next,
            records=self._records,
            log_bytes=self._log_bytes,
            seconds=time.monotonic() - self._began,
        )

    def _write_segment(self, start: SegmentStart, events: Iterator[Event]) -> SegmentStart | None:
        """Write one segment. Returns the start of the next segment, None at the end of the range."""
        try:
            with self._sink.segment(self._range.source, start, self._range.end) as segment:
                following = self._fill(segment, events)
        finally:
            self._next = segment.next
            self._records += segment.records
        if self._answer is not None:
            self._sink.flush()  # the segment ended because its object is full
        return following

    def _fill(self, segment: Segment, events: Iterator[Event]) -> SegmentStart | None:
        if self._answer is not None and not self._add(segment, self._answer):
            return segment.next_start()
        for event in events:
            if self._context.stop.is_set():
                raise InterruptedRunError("The run was stopped. There is no new restore point.")
            if self._ending.is_set():
                return None
            match event:
                case Batches():
                    segment.start_answer(event.fetched.aborted)
                    self._answer = _Answer(event)
                    if not self._add(segment, self._answer):
                        return segment.next_start()
                case Gap():
                    segment.add_gap(event)
                    # The next batch can begin inside the gap. A segment after the gap leaves those records out.
                    return SegmentStart(first=event.next)
                case Trimmed(first):
                    self._first = first
                    return SegmentStart(first=first, trimmed_from=self._range.start)
                case Diverged(offset):
                    return SegmentStart(first=offset)
                case EmptyTail(offset):
                    segment.mark_empty(offset)
            del event  # otherwise this answer would stay in memory while the next one is read
        return None

    def _add(self, segment: Segment, answer: _Answer) -> bool:
        """Add the remaining batches of the answer. Returns False if the object is full before all were added."""
        before, log_bytes = segment.records, 0
        is_complete = True
        for at, header in answer.batches:
            closed = segment.add(answer.records, answer.view, at, header, ends_answer=at == answer.last)
            log_bytes += header.size_bytes
            if closed and segment.next < self._range.end and self._sink.is_full:
                is_complete = False
                break
        if is_complete:
            segment.skip_to(answer.next)
            self._answer = None
        self._log_bytes += log_bytes
        self._context.progress(self._range.source, records=segment.records - before, log_bytes=log_bytes)
        return is_complete


class _Answer:
    """A fetch answer, and its batches that are not yet in a segment."""

    def __init__(self, event: Batches) -> None:
        self.records = event.fetched.records
        self.view = memoryview(self.records)
        self.next = event.next
        self.last = event.batches[-1][0] if event.batches else -1
        self.batches: Iterator[tuple[int, BatchHeader]] = iter(event.batches)
