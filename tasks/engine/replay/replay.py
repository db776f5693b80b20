"""Replays one bin: sends the stored batches in order, with the producer identity of the restore. Refuses a target that
does not end at its base offset."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tasks.batches.header import record_count, stamp
from tasks.batches.rewrite import next_sequence
from tasks.broker.log_values import OutgoingBatch
from tasks.broker.ports import LogWriter
from tasks.engine.bins import PARTITIONS_AT_ONCE
from tasks.engine.replay.staged_settings import changed_settings
from tasks.engine.replay.target_batches import target_batches
from tasks.engine.run_context import ClusterContext
from tasks.engine.started_restore import StartedRestore
from tasks.model.errors import BrokerError, DamagedError, RefusedError
from tasks.model.partition import Partition
from tasks.repository.restores import TargetPartition, Targets


def replay_bin(context: ClusterContext, started: StartedRestore, targets: Targets, number: int) -> None:
    """Write every restorable record of the bin's partitions to their targets, exactly once.

    Raises `RefusedError` unless each target's log ends at its base offset, and if somebody else changed a staged
    setting; `DamagedError` if the backup does not have the records of its index, `BrokerError` if the target cluster
    refuses a batch. Must not be called again after it wrote.
    """
    indexes = started.plan.bins[number]
    try:
        with context.writer() as writer:
            _check_ends_at_base(writer, [targets.partitions[index] for index in indexes])
            for start in range(0, len(indexes), PARTITIONS_AT_ONCE):
                _replay_partitions(context, writer, started, targets, indexes[start : start + PARTITIONS_AT_ONCE])
    except BrokerError as error:
        _require_staged(context, started, indexes, error)
        raise
    _require_staged(context, started, indexes, None)


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
    context: ClusterContext, writer: LogWriter, started: StartedRestore, targets: Targets, indexes: Sequence[int]
) -> None:
    """Replay several partitions at the same time, so that small batches share requests."""
    sources = {
        targets.partitions[index].target: _limited(context, started, _outgoing_batches(started, targets, index))
        for index in indexes
    }
    source_of = {targets.partitions[index].target: started.plan.partitions[index].source for index in indexes}

    def acknowledged(target: Partition, batch: OutgoingBatch) -> None:
        context.progress(source_of[target], records=batch.records, log_bytes=len(batch.data))

    writer.produce(sources, timeout_ms=started.options.produce_timeout_ms, on_acknowledged=acknowledged)


def _limited(
    context: ClusterContext, started: StartedRestore, batches: Iterator[OutgoingBatch]
) -> Iterator[OutgoingBatch]:
    """The same batches, each as soon as the rate limit of the restore allows it."""
    for batch in batches:
        started.limit.spend(log_bytes=len(batch.data), records=batch.records, stop=context.stop)
        yield batch


def _outgoing_batches(started: StartedRestore, targets: Targets, index: int) -> Iterator[OutgoingBatch]:
    copy, target = started.plan.partitions[index], targets.partitions[index]
    lines, wanted = started.lines[copy.source], started.filter_of(copy.source)
    sent = sequence = 0
    for batch in target_batches(started.reader, lines, wanted, regroup_bytes=started.plan.regroup_bytes):
        records = record_count(batch)
        yield OutgoingBatch(
            data=stamp(
                batch,
                producer_id=targets.producer_id,
                producer_epoch=targets.producer_epoch,
                base_sequence=sequence,
            ),
            records=records,
            expected_offset=target.base + sent,
        )
        sent, sequence = sent + records, next_sequence(sequence, records)
    if sent != copy.records:
        raise DamagedError(
            f"{copy.source}: the backup should contain {copy.records} restorable records and contains {sent}."
        )


def _check_ends_at_base(writer: LogWriter, targets: Sequence[TargetPartition]) -> None:
    answers = writer.list_offsets([target.target for target in targets], "latest")
    for failure in answers.failures.values():
        raise failure
    for target in targets:
        end = answers.offsets[target.target]
        if end != target.base:
            raise RefusedError(
                f"{target.target}: its log ends at {end}, but this restore begins at {target.base}. Another producer "
                "or an earlier attempt wrote to it. Restore into another topic."
            )
