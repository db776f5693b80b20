"""Finds out which batches of a restore a target partition contains, and refuses a log that is not the beginning of what
the restore writes.

The log end says how many records are written. It is not enough: the batches from the last section on are read back and
compared, because somebody else can have written to the topic.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tasks.batches.header import BatchHeader, iter_headers, read_header
from tasks.batches.records import Record, decode_records
from tasks.batches.rewrite import next_sequence
from tasks.broker.log_values import OutgoingBatch
from tasks.broker.ports import LogReader
from tasks.broker.retry import RetryDeadline
from tasks.engine.replay.outgoing import outgoing_batches, section_counts, section_of
from tasks.engine.run_context import RunContext
from tasks.engine.started_restore import StartedRestore
from tasks.model.errors import BrokerUnavailableError, RefusedError
from tasks.model.partition import Partition
from tasks.repository.restores import TargetPartition, Targets

_FETCH_BYTES = 1 << 20


def remaining_batches(
    context: RunContext, log: LogReader, started: StartedRestore, targets: Targets, index: int, bounds: tuple[int, int]
) -> Iterator[OutgoingBatch]:
    """The batches of a partition that its target does not contain yet. `bounds` are the first offset and the end of the
    target's log. The backup is read from the section on in which the log ends.

    Raises `RefusedError` if the log is not the beginning of what this restore writes: nothing is sent then.
    """
    copy, target = started.plan.partitions[index], targets.partitions[index]
    reading = _ReadBack(context, log, target, started.plan.restore)
    kept = reading.kept_records(bounds, copy.records)
    if kept == 0:
        return outgoing_batches(started, targets, index)
    if kept == copy.records:
        reading.require_own_end(targets, bounds[1])
        return iter(())
    start = section_of(section_counts(started, index), kept - 1)
    batches = outgoing_batches(started, targets, index, start)
    reading.require_same(batches, target.base + start.records_before, bounds[1])
    return batches


@dataclass(frozen=True, slots=True)
class _ReadBack:
    """Reads the log of one target partition."""

    context: RunContext
    log: LogReader
    target: TargetPartition
    restore: str

    def kept_records(self, bounds: tuple[int, int], planned: int) -> int:
        """The number of records that the log contains of this restore, if it contains no others."""
        first, end = bounds
        if first > self.target.base:
            raise self._refused(f"its log begins at {first}, so records after offset {self.target.base} were deleted")
        if not self.target.base <= end <= self.target.base + planned:
            last = self.target.base + planned
            raise self._refused(f"its log ends at {end}, and this restore writes offsets {self.target.base} to {last}")
        return end - self.target.base

    def require_own_end(self, targets: Targets, end: int) -> None:
        """Refuse unless the last batch of the log is one of this restore."""
        [(header, _)] = list(self._stored(end - 1, end))[-1:]
        sequence = next_sequence(0, header.base_offset - self.target.base)
        expected = (targets.producer_id, targets.producer_epoch, sequence)
        if (header.producer_id, header.producer_epoch, header.base_sequence) != expected:
            raise self._refused(_foreign(header))

    def require_same(self, batches: Iterator[OutgoingBatch], position: int, end: int) -> None:
        """Take the batches with offsets in [position, end) from the iterator, and refuse unless the log contains
        exactly these. The records of the last one are decoded and compared."""
        for header, stored in self._stored(position, end):
            batch = next(batches, None)
            if batch is None or _identity(read_header(batch.data, 0), batch.expected_offset) != _identity(header):
                raise self._refused(_foreign(header))
            if header.next_offset >= end and _contents(stored) != _contents(batch.data):
                raise self._refused(f"the batch at offset {header.base_offset} has other records than the backup")

    def _stored(self, position: int, end: int) -> Iterator[tuple[BatchHeader, bytes]]:
        """(header, bytes) of the batches of the log with offsets in [position, end). Fetches until the end is reached,
        because a broker that throttles sends empty answers."""
        fetcher = self.log.fetcher(max_bytes=_FETCH_BYTES)
        deadline = RetryDeadline(self.log.retry_deadline_ms, self.context.stop, self.context.clock)
        while position < end:
            fetcher.send(self.target.target, position, None)
            records, before = fetcher.receive().records, position
            for at, header in iter_headers(records):
                if header.next_offset > position and position < end:
                    position = header.next_offset
                    yield header, records[at : at + header.size_bytes]
            if position == before:
                deadline.pause(_unavailable(self.target.target, position, end))
            else:
                deadline = RetryDeadline(self.log.retry_deadline_ms, self.context.stop, self.context.clock)

    def _refused(self, reason: str) -> RefusedError:
        return RefusedError(
            f"{self.target.target}: restore {self.restore} cannot go on, because {reason}. Begin another "
            f"restore into other topics, or with purge_topics, with `kafka-backup restore --new`, or give this one up "
            f"with `kafka-backup abandon {self.restore}`."
        )


def _identity(header: BatchHeader, offset: int | None = None) -> tuple[int, ...]:
    """The fields of a batch that a broker does not change when it compresses the batch again."""
    base = header.base_offset if offset is None else offset
    return (base, header.producer_id, header.producer_epoch, header.base_sequence, header.record_count)


def _contents(batch: bytes) -> list[Record]:
    """The records, without their offsets."""
    return [record._replace(offset=0) for record in decode_records(batch)]


def _foreign(header: BatchHeader) -> str:
    return f"offset {header.base_offset} contains a batch that is not one of this restore, so another client wrote it"


def _unavailable(target: Partition, position: int, end: int) -> BrokerUnavailableError:
    return BrokerUnavailableError(
        f"{target}: the leader returns no batch at offset {position}, although the log ends at {end}."
    )
