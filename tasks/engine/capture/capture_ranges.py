"""Capture of one bin: each partition's planned range, verbatim, into data objects with their fragments."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import cache, partial

from tasks.batches.aborted import AbortTracker
from tasks.batches.header import BatchHeader, check_crc
from tasks.batches.records import count_in_range
from tasks.broker.raw.cluster import Cluster
from tasks.broker.raw.connection import ConnectionOptions
from tasks.broker.raw.fetch import Fetcher
from tasks.engine.capture.capture_result import CapturedBin, CapturedRange, CaptureFailure
from tasks.engine.capture.object_sink import ObjectSink
from tasks.engine.capture.range_reader import Batches, Diverged, EmptyTail, RangeReader, Trimmed
from tasks.engine.capture.segment_builder import SegmentBuilder
from tasks.engine.progress import Progress, silent
from tasks.model.errors import AccessError, BrokerError, InterruptedRunError, KafkaBackupError, UnsupportedBatchError
from tasks.model.partition import Partition
from tasks.model.ranges import Gap
from tasks.repository.plans import Plan, PlannedPartition
from tasks.repository.repository import Repository
from tasks.repository.state_objects import TopicsState, read_state

BIG_PARTITION_BYTES = 32 << 20
"""A partition of at least this size begins an object of its own; smaller ones share objects."""


def capture_bin(
    repository: Repository,
    plan: Plan,
    bin_number: int,
    connection: ConnectionOptions,
    *,
    stop: threading.Event,
    progress: Progress = silent,
) -> CapturedBin:
    """Capture the partitions of one bin of a plan. May run again: each attempt writes under a writer id of its own.

    A partition that fails is reported and the others are finished. Raises `InterruptedRunError` when `stop` is set,
    and `StoreError` when the repository fails: what was written then is named by nobody.
    """
    sink = ObjectSink(repository.store, plan)
    ranges: list[CapturedRange] = []
    failures: list[CaptureFailure] = []
    with Cluster(connection, stop=stop) as cluster:
        for index in plan.bins[bin_number]:
            planned = plan.partitions[index]
            reader = RangeReader(
                cluster,
                Fetcher(cluster, max_bytes=plan.fetch_bytes, stop=stop),
                planned,
                is_compacted=cache(partial(_is_compacted, repository, plan, planned.source)),
                stop=stop,
            )
            capture = _PartitionCapture(planned, sink, repository.now_ms, progress)
            try:
                capture.run(reader, stop)
            except (BrokerError, AccessError) as error:
                failures.append(_failure(capture.planned.source, error))
            ranges.append(capture.finish())
    sink.flush()
    return CapturedBin(writer=sink.writer_id, fragments=sink.fragments, ranges=tuple(ranges), failures=tuple(failures))


def _is_compacted(repository: Repository, plan: Plan, source: Partition) -> bool:
    """By the topic's settings when the run was planned."""
    topics = read_state(repository.store, plan.topics, TopicsState).topics
    return any(topic.is_compacted for topic in topics if topic.topic_id == source.topic_id)


def _failure(source: Partition, error: KafkaBackupError) -> CaptureFailure:
    return CaptureFailure(
        source=source, reason=str(error), is_denied=isinstance(error, AccessError), is_passing=error.retryable
    )


class _PartitionCapture:
    """One partition's way into the sink: it may span several objects, hence several segments."""

    def __init__(
        self, planned: PlannedPartition, sink: ObjectSink, now_ms: Callable[[], int], progress: Progress
    ) -> None:
        self.planned = planned
        self._sink = sink
        self._now_ms = now_ms
        self._progress = progress
        self._first = planned.start
        self._began = time.monotonic()
        self._records = 0
        self._log_bytes = 0
        if planned.bytes >= BIG_PARTITION_BYTES:
            sink.flush()
        self._begin(planned.start)

    def run(self, reader: RangeReader, stop: threading.Event) -> None:
        """Read the range to its end. Raises what the reader raises; what was read before stays captured."""
        for event in reader:
            if stop.is_set():
                raise InterruptedRunError("Stopped; there is no new restore point.")
            match event:
                case Batches():
                    self._take(event)
                case Gap():
                    self._segment.add_gap(event)
                    # The batch after it may begin inside the gap; only a range of its own keeps those records out.
                    self._cut(event.next)
                case Trimmed(first):
                    self._first = first
                    self._begin(first, trimmed_from=self.planned.start)
                case Diverged(offset):
                    self._cut(offset)
                case EmptyTail(offset):
                    self._segment.empty_from = offset
                    self._segment.skip_to(self.planned.end)
            del event  # or this answer would still be in memory while the next one is read

    def finish(self) -> CapturedRange:
        """Hand the last segment to the sink. Call it once, also after `run` raised."""
        captured_to = min(self._segment.next, max(self.planned.end, self._first))
        self._end_segment(captured_to)
        return CapturedRange(
            source=self.planned.source,
            first=self._first,
            next=captured_to,
            records=self._records,
            log_bytes=self._log_bytes,
            seconds=time.monotonic() - self._began,
        )

    def _begin(self, first: int, *, trimmed_from: int | None = None) -> None:
        self._tracker = AbortTracker()
        self._segment = SegmentBuilder(self._sink.object, self.planned.source, first, trimmed_from=trimmed_from)

    def _cut(self, offset: int) -> None:
        """End the segment here and go on from `offset` in a new one."""
        self._end_segment(self._segment.next)
        self._begin(offset)

    def _end_segment(self, end: int) -> None:
        segment = self._segment
        segment.close_frame()
        segment.next = end
        self._records += segment.records
        if not segment.is_fresh:
            self._sink.add(segment.line(aborted=self._tracker.ranges(), captured_ms=self._now_ms()))

    def _take(self, event: Batches) -> None:
        records = event.fetched.records
        view = memoryview(records)
        self._tracker.start_response(event.fetched.aborted)
        before = self._segment.records
        done = 0
        last = event.batches[-1][0] if event.batches else -1
        for at, header in event.batches:
            if not check_crc(records, at, header):
                raise UnsupportedBatchError(
                    f"{self.planned.source}: the broker served a batch at offset {header.base_offset} "
                    "whose CRC does not match its bytes."
                )
            restorable = self._restorable(records, at, header)
            closed = self._segment.add(view, at, header, restorable=restorable, ends_answer=at == last)
            done += header.batch_length + 12
            if closed and self._segment.next < self.planned.end and self._sink.is_full(self._segment.records):
                before, done = self._report(before, done), 0
                self._renew_object()
                before = 0
        self._segment.skip_to(event.next)
        self._report(before, done)

    def _renew_object(self) -> None:
        """Store the full object; the segment goes on in the next one, with the same transactions in flight."""
        tracker, position = self._tracker, self._segment.next
        self._end_segment(position)
        self._sink.flush()
        self._begin(position)
        self._tracker = tracker.continued()

    def _report(self, before: int, log_bytes: int) -> int:
        self._log_bytes += log_bytes
        self._progress(self.planned.source, records=self._segment.records - before, log_bytes=log_bytes)
        return self._segment.records

    def _restorable(self, records: bytes, at: int, header: BatchHeader) -> int:
        """Records that a restore will write: no control record, no aborted one, none outside the planned range."""
        is_aborted = self._tracker.judge(header, records, at)
        if is_aborted or header.attributes & 0x20:
            return 0
        first, end = self._segment.next, self.planned.end
        if header.base_offset >= first and header.base_offset + header.last_offset_delta < end:
            return header.record_count
        return count_in_range(records[at : at + header.batch_length + 12], first, end)
