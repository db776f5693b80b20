"""Verify a restored target against the backup: counts, boundaries, first and last records."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from tasks.batches.header import iter_headers
from tasks.batches.records import Record, decode_records
from tasks.broker.ports import PartitionFetcher
from tasks.broker.retry import RetryDeadline
from tasks.engine.replay.replay import restorable_batches
from tasks.engine.run_context import ClusterContext
from tasks.engine.started_restore import StartedRestore
from tasks.model.errors import BrokerUnavailableError, KafkaBackupError, TopicGoneError
from tasks.model.partition import Partition
from tasks.repository.frame_reader import FrameReader
from tasks.repository.lines import IndexLine
from tasks.repository.restores import PartitionCopy, TargetPartition, Targets

_FETCH_BYTES = 64 << 10
"""One record is wanted; its batch comes whole even when it is larger."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A target partition that is not what the backup says, in one sentence."""

    target: Partition
    message: str


def verify_counts(context: ClusterContext, started: StartedRestore, targets: Targets) -> list[Mismatch]:
    """Every mismatch of the restored partitions: offsets, number of records, and the first and last record itself.

    Raises what keeps it from looking: `BrokerUnavailableError`, `AccessError`. It may be called again.
    """
    with context.reader() as log:
        partitions = [target.target for target in targets.partitions]
        earliest = log.list_offsets(partitions, "earliest")
        latest = log.list_offsets(partitions, "latest")
        failures = {**earliest.failures, **latest.failures}
        found = [Mismatch(partition, str(error)) for partition, error in failures.items() if _is_lasting(error)]
        fetcher = log.fetcher(max_bytes=_FETCH_BYTES)
        for copy, target in zip(started.plan.partitions, targets.partitions, strict=True):
            if target.target not in failures:
                bounds = (earliest.offsets[target.target], latest.offsets[target.target])
                # Where the bounds are wrong, the first or last offset may not exist.
                deadline = RetryDeadline(log.retry_deadline_ms, context.stop, context.clock)
                found += list(_boundaries(copy, target, bounds)) or _ends(
                    started.reader, copy, target, started.lines[copy.source], fetcher, deadline
                )
    return found


def _is_lasting(error: KafkaBackupError) -> bool:
    """That a topic has gone is a mismatch. Other trouble is raised: it says nothing of the records, and a mismatch is
    for good."""
    if not isinstance(error, TopicGoneError):
        raise error
    return True


def _boundaries(copy: PartitionCopy, target: TargetPartition, bounds: tuple[int, int]) -> Iterator[Mismatch]:
    expected = (target.base, target.base + copy.records)
    if bounds != expected:
        yield Mismatch(
            target.target,
            f"it has offsets {bounds[0]} to {bounds[1]}, the backup's {copy.records} records make {expected[0]} to "
            f"{expected[1]}.",
        )


def _ends(
    reader: FrameReader,
    copy: PartitionCopy,
    target: TargetPartition,
    lines: Sequence[IndexLine],
    fetcher: PartitionFetcher,
    deadline: RetryDeadline,
) -> Iterator[Mismatch]:
    if copy.records == 0:
        return
    for which, offset, expected in (
        ("first", target.base, _edge_record(reader, lines, 0)),
        ("last", target.base + copy.records - 1, _edge_record(reader, lines, -1)),
    ):
        actual = _record_at(fetcher, target.target, offset, deadline)
        if expected is None or actual is None or actual[1:] != expected[1:]:
            yield Mismatch(target.target, f"the {which} restored record, at offset {offset}, is not the backup's.")


def _edge_record(reader: FrameReader, lines: Sequence[IndexLine], edge: int) -> Record | None:
    """The first (0) or last (-1) restorable record of a partition."""
    step = 1 if edge == 0 else -1
    for line in lines[::step]:
        for frame in line.frames[::step]:
            [(_, log)] = reader.frames(line, [frame])
            batches = restorable_batches(reader, line, frame, log)
            found = deque(batches if edge else islice(batches, 1), maxlen=1)
            if found:
                return decode_records(found[0])[edge]
    return None


def _record_at(fetcher: PartitionFetcher, target: Partition, offset: int, deadline: RetryDeadline) -> Record | None:
    """The record at an offset that the log has. An answer without a whole batch means wait: the broker throttles."""
    while True:
        fetcher.send(target, offset, None)
        records = fetcher.receive().records
        batches = [records[at : at + header.size_bytes] for at, header in iter_headers(records)]
        if batches:
            return next((one for batch in batches for one in decode_records(batch) if one.offset == offset), None)
        deadline.pause(BrokerUnavailableError(f"{target}: the leader does not serve offset {offset}."))
