"""Verifies a restored target: compares counts, bounds, and the first and last records with the backup."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from tasks.batches.header import iter_headers
from tasks.batches.records import Record, decode_records
from tasks.broker.ports import PartitionFetcher
from tasks.broker.retry import RetryDeadline
from tasks.engine.record_filter.batches import kept_batches
from tasks.engine.record_filter.record_filter import Kept, RecordFilter
from tasks.engine.record_filter.sections import placed_frames
from tasks.engine.run_context import ClusterContext
from tasks.engine.started_restore import StartedRestore
from tasks.model.errors import BrokerUnavailableError, KafkaBackupError, TopicGoneError
from tasks.model.partition import Partition
from tasks.repository.frame_reader import FrameReader
from tasks.repository.lines import IndexLine
from tasks.repository.restores import PartitionCopy, RestorePlan, TargetPartition, Targets, planned_bounds

_FETCH_BYTES = 64 << 10
"""Enough for one record. The leader sends its batch whole even if it is larger."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A target partition that differs from the backup, and how, in one sentence."""

    target: Partition
    message: str


def verify_counts(context: ClusterContext, started: StartedRestore, targets: Targets) -> list[Mismatch]:
    """Returns every mismatch of the restored partitions: deleted ones, bounds and number of records, and then, in the
    order of the plan's bins, the first and the last record of each source partition.

    Raises `BrokerUnavailableError` or `AccessError` if a target cannot be read. May be called again.
    """
    with context.reader() as log:
        partitions = list(dict.fromkeys(target.target for target in targets.partitions))
        earliest = log.list_offsets(partitions, "earliest")
        latest = log.list_offsets(partitions, "latest")
        failures = {**earliest.failures, **latest.failures}
        found = list(_deleted(failures))
        bounds = planned_bounds(started.plan, targets)
        wrong = {
            target: _bound_mismatch(target, expected, (earliest.offsets[target], latest.offsets[target]))
            for target, expected in bounds.items()
            if target not in failures
        }
        found += filter(None, wrong.values())
        fetcher = log.fetcher(max_bytes=_FETCH_BYTES)
        for copy, target in _by_object(started.plan, targets):
            # If the bounds are wrong, the first or last offset does not have to exist.
            if wrong.get(target.target, True) is None:
                deadline = RetryDeadline(log.retry_deadline_ms, context.stop, context.clock)
                found += _edge_mismatches(started, copy, target, fetcher, deadline)
    return found


def _deleted(failures: Mapping[Partition, KafkaBackupError]) -> Iterator[Mismatch]:
    """The partitions whose topic was deleted, which is a mismatch. Any other failure is raised, because it does not
    show whether the records are there, and a mismatch is final."""
    for partition, error in failures.items():
        if not isinstance(error, TopicGoneError):
            raise error
        yield Mismatch(partition, str(error))


def _by_object(plan: RestorePlan, targets: Targets) -> Iterator[tuple[PartitionCopy, TargetPartition]]:
    """The partitions in the order of the bins: those that share a packed object are neighbours, so that each object is
    downloaded once."""
    for index in (index for bin_ in plan.bins for index in bin_):
        yield plan.partitions[index], targets.partitions[index]


def _bound_mismatch(target: Partition, expected: tuple[int, int], bounds: tuple[int, int]) -> Mismatch | None:
    if bounds == expected:
        return None
    return Mismatch(
        target,
        f"its offsets are {bounds[0]} to {bounds[1]}, but the backup's {expected[1] - expected[0]} records need "
        f"{expected[0]} to {expected[1]}.",
    )


def _edge_mismatches(
    started: StartedRestore,
    copy: PartitionCopy,
    target: TargetPartition,
    fetcher: PartitionFetcher,
    deadline: RetryDeadline,
) -> Iterator[Mismatch]:
    if copy.records == 0:
        return
    lines, wanted = started.lines[copy.source], started.filter_of(copy.source)
    for which, offset, expected in (
        ("first", target.base, _edge_record(started.reader, lines, wanted, copy.section_records, 0)),
        ("last", target.base + copy.records - 1, _edge_record(started.reader, lines, wanted, copy.section_records, -1)),
    ):
        actual = _record_at(fetcher, target.target, offset, deadline)
        if expected is None or actual is None or actual[1:] != expected[1:]:
            yield Mismatch(target.target, f"the {which} restored record, at offset {offset}, differs from the backup.")


def _edge_record(
    reader: FrameReader, lines: Sequence[IndexLine], wanted: RecordFilter, counts: Sequence[int], edge: int
) -> Record | None:
    """The first (`edge` 0) or last (`edge` -1) kept record of a partition. None if there is none. `counts` are the
    records of the sections, empty if the index shows them: sections without records are not read."""
    placed = [one for one in placed_frames(lines) if not counts or counts[one.section]]
    for _, line, frame in placed if edge == 0 else reversed(placed):
        if wanted.kept(line, frame) is Kept.NONE:
            continue
        [(_, log)] = reader.frames(line, [frame])
        batches = kept_batches(reader, line, frame, log, wanted)
        found = deque(batches if edge else islice(batches, 1), maxlen=1)
        if found:
            return decode_records(found[0])[edge]
    return None


def _record_at(fetcher: PartitionFetcher, target: Partition, offset: int, deadline: RetryDeadline) -> Record | None:
    """Read the record at an offset that the log contains. After an answer without a whole batch the request is repeated
    until the deadline, because a broker that throttles sends such answers."""
    while True:
        fetcher.send(target, offset, None)
        records = fetcher.receive().records
        batches = [records[at : at + header.size_bytes] for at, header in iter_headers(records)]
        if batches:
            return next((one for batch in batches for one in decode_records(batch) if one.offset == offset), None)
        deadline.pause(BrokerUnavailableError(f"{target}: the leader does not send the record at offset {offset}."))
