"""Replays one bin: sends the stored batches in order, with the producer identity of the restore. If the targets contain
a part of them already, only the rest is sent."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain

from tasks.broker.log_values import OffsetAnswers, OutgoingBatch
from tasks.broker.ports import LogReader, LogWriter
from tasks.engine.bins import PARTITIONS_AT_ONCE
from tasks.engine.replay.log_ends import log_ends, still_ends
from tasks.engine.replay.outgoing import outgoing_batches
from tasks.engine.replay.staged_settings import changed_settings
from tasks.engine.replay.written_batches import remaining_batches
from tasks.engine.run_context import ClusterContext
from tasks.engine.started_restore import StartedRestore
from tasks.model.errors import BrokerError, RefusedError
from tasks.model.partition import Partition
from tasks.repository.restores import RestorePlan, Targets, planned_bounds


def replay_bin(
    context: ClusterContext, started: StartedRestore, targets: Targets, number: int, *, is_repeated: bool = False
) -> None:
    """Write every restorable record of the bin's partitions to their targets, exactly once. May be called again after
    an error or a crash: what the targets contain is read back, and only the rest is sent.

    `is_repeated`: an earlier call of this bin can have requests on their way, so the ends of the logs are awaited.
    Raises `RefusedError` if a target contains anything else than the beginning of what this restore writes, and if
    somebody else changed a staged setting; `DamagedError` if the backup does not have the records of its index;
    `BrokerError` if the target cluster refuses a batch.
    """
    indexes = started.plan.bins[number]
    try:
        with context.writer() as writer, context.reader() as log:
            written = _written(context, writer, started.plan, targets, indexes, is_repeated=is_repeated)
            for start in range(0, len(indexes), PARTITIONS_AT_ONCE):
                together = indexes[start : start + PARTITIONS_AT_ONCE]
                sources = {index: _source(context, log, started, targets, index, written) for index in together}
                _replay_partitions(context, writer, started, targets, sources)
    except BrokerError as error:
        _require_staged(context, started, indexes, error)
        raise
    _require_staged(context, started, indexes, None)


def _written(
    context: ClusterContext,
    writer: LogWriter,
    plan: RestorePlan,
    targets: Targets,
    indexes: Sequence[int],
    *,
    is_repeated: bool,
) -> dict[int, tuple[int, int]]:
    """(first offset of the log, end of the records) of each source partition that the log of its target contains
    records of, or a log that does not belong to this restore."""
    planned = planned_bounds(plan, targets)
    names = list(dict.fromkeys(targets.partitions[index].target for index in indexes))
    ends = still_ends(context, writer, names) if is_repeated else log_ends(writer, names)
    written = [part for part, end in ends.items() if end != planned[part][0]]
    earliest = writer.list_offsets(written, "earliest") if written else OffsetAnswers()
    for failure in earliest.failures.values():
        raise failure
    found = {}
    for index in indexes:
        copy, target = plan.partitions[index], targets.partitions[index]
        if target.target in earliest.offsets and not (target.written_before and ends[target.target] <= target.base):
            end = _own_end(target.base + copy.records, planned[target.target][1], ends[target.target])
            found[index] = (earliest.offsets[target.target], end)
    return found


def _own_end(own_planned: int, planned: int, end: int) -> int:
    """The end of the records of one source partition in a log that ends at `end`. `own_planned` is the planned end of
    its records, and `planned` that of all records of the target: if others follow, the log can end later. Pure."""
    return min(end, own_planned) if own_planned < planned else end


def _source(
    context: ClusterContext,
    log: LogReader,
    started: StartedRestore,
    targets: Targets,
    index: int,
    written: Mapping[int, tuple[int, int]],
) -> Iterator[OutgoingBatch]:
    """The batches that the target of this partition does not contain yet. Counts the others as progress."""
    copy, target = started.plan.partitions[index], targets.partitions[index]
    if index not in written:
        return outgoing_batches(started, targets, index)
    remaining = remaining_batches(context, log, started, targets, index, written[index])
    kept = written[index][1] - target.base
    if kept:
        context.progress(copy.source, records=kept, log_bytes=copy.log_bytes * kept // copy.records)
    return remaining


def _require_staged(
    context: ClusterContext, started: StartedRestore, indexes: Sequence[int], error: BrokerError | None
) -> None:
    """Raises `RefusedError` if a staged setting of the bin's topics was changed, which is then the likely cause of
    `error`."""
    names = {started.plan.partitions[index].target_topic for index in indexes}
    changes = changed_settings(context, [topic for topic in started.plan.topics if topic.target in names])
    if changes:
        failure = f" The replay had failed: {error}" if error is not None else ""
        raise RefusedError(f"{changes[0].target}: {changes[0]}{failure}") from error


def _replay_partitions(
    context: ClusterContext,
    writer: LogWriter,
    started: StartedRestore,
    targets: Targets,
    sources: Mapping[int, Iterator[OutgoingBatch]],
) -> None:
    """Replay several partitions at the same time, so that small batches share requests. Those with the same target
    partition follow one another, in the order of the plan."""
    by_target: dict[Partition, list[int]] = defaultdict(list)
    for index in sorted(sources):
        by_target[targets.partitions[index].target].append(index)
    limited = {
        target: _limited(context, started, chain.from_iterable(sources[index] for index in indexes))
        for target, indexes in by_target.items()
    }

    def acknowledged(target: Partition, batch: OutgoingBatch) -> None:
        indexes = by_target[target]
        of_batch = bisect_right(indexes, batch.expected_offset, key=lambda index: targets.partitions[index].base)
        source = started.plan.partitions[indexes[of_batch - 1]].source
        context.progress(source, records=batch.records, log_bytes=len(batch.data))

    writer.produce(limited, timeout_ms=started.options.produce_timeout_ms, on_acknowledged=acknowledged)


def _limited(
    context: ClusterContext, started: StartedRestore, batches: Iterator[OutgoingBatch]
) -> Iterator[OutgoingBatch]:
    """The same batches, each as soon as the rate limit of the restore allows it."""
    for batch in batches:
        started.limit.spend(log_bytes=len(batch.data), records=batch.records, stop=context.stop)
        yield batch
