"""Replay of one bin: stored batches become produce batches, in order, with the restore's own producer id."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from tasks.batches.header import record_count, stamp
from tasks.batches.regroup import regroup
from tasks.batches.rewrite import needs_rebuild, rebuild
from tasks.broker.log_values import OutgoingBatch
from tasks.broker.raw.cluster import Cluster
from tasks.broker.raw.connection import ConnectionOptions
from tasks.broker.raw.offsets import list_offsets
from tasks.broker.raw.produce import produce
from tasks.engine.progress import Progress, silent
from tasks.model.errors import DamagedError, RefusedError
from tasks.model.partition import Partition
from tasks.repository.frame_reader import FrameReader
from tasks.repository.lines import Frame, IndexLine
from tasks.repository.restores import RestorePlan, TargetPartition, Targets

BARRIER_LOG_BYTES = 4 << 20
"""Regrouping begins anew with the frame that takes a partition past a multiple of this, so that it can be repeated
from there."""

PARTITIONS_AT_ONCE = 4
"""Partitions of a bin that share requests; each holds a frame in memory."""


def replay_bin(
    reader: FrameReader,
    plan: RestorePlan,
    targets: Targets,
    lines: Mapping[Partition, Sequence[IndexLine]],
    bin_number: int,
    connection: ConnectionOptions,
    *,
    produce_timeout_ms: int,
    stop: threading.Event,
    progress: Progress = silent,
) -> None:
    """Write every restorable record of the bin's partitions to their targets, exactly once.

    Raises `RefusedError` unless each target's log ends at its base offset, `DamagedError` when the backup does not
    hold what it says, `BrokerError` when the target cluster refuses. Not to be called again after it wrote.
    """
    indexes = plan.bins[bin_number]
    with Cluster(connection, stop=stop) as cluster:
        _check_at_base(cluster, [targets.partitions[index] for index in indexes])
        for start in range(0, len(indexes), PARTITIONS_AT_ONCE):
            wave = indexes[start : start + PARTITIONS_AT_ONCE]
            sources = {
                targets.partitions[index].target: _outgoing(reader, plan, targets, lines, index) for index in wave
            }
            names = {targets.partitions[index].target: plan.partitions[index].source for index in wave}

            def acknowledged(
                target: Partition, batch: OutgoingBatch, names: dict[Partition, Partition] = names
            ) -> None:
                progress(names[target], records=batch.records, log_bytes=len(batch.data))

            produce(cluster, sources, timeout_ms=produce_timeout_ms, stop=stop, on_acknowledged=acknowledged)


def restorable_batches(reader: FrameReader, line: IndexLine, frame: Frame, log: bytes) -> Iterator[bytes]:
    """The frame's batches as a target shall get them: dense, with CreateTime, without markers or aborted data."""
    for position, header in reader.restorable(line, frame, log):
        batch = log[position : position + header.size_bytes]
        is_inside = header.base_offset >= line.first and header.next_offset <= line.next
        if is_inside and not needs_rebuild(header):
            yield batch
            continue
        rebuilt = rebuild(batch, first=line.first, next=line.next)
        if rebuilt is not None:
            yield rebuilt


def target_batches(reader: FrameReader, lines: Sequence[IndexLine], *, regroup_bytes: int) -> Iterator[bytes]:
    """The sequence of batches that a partition's target gets: a function of the lines and `regroup_bytes` alone."""
    for _, section in groupby(_numbered_frames(reader, lines), key=lambda item: item[0]):
        batches = (batch for _, line, frame, log in section for batch in restorable_batches(reader, line, frame, log))
        yield from regroup(batches, target_bytes=regroup_bytes)


def _numbered_frames(reader: FrameReader, lines: Sequence[IndexLine]) -> Iterator[tuple[int, IndexLine, Frame, bytes]]:
    """(section, line, frame, its batches); a section ends where the log bytes before it pass a barrier."""
    before = 0
    for line in lines:
        for frame, log in reader.frames(line):
            yield before // BARRIER_LOG_BYTES, line, frame, log
            before += frame.log_bytes


def _outgoing(
    reader: FrameReader,
    plan: RestorePlan,
    targets: Targets,
    lines: Mapping[Partition, Sequence[IndexLine]],
    index: int,
) -> Iterator[OutgoingBatch]:
    copy, target = plan.partitions[index], targets.partitions[index]
    sent = 0
    for batch in target_batches(reader, lines[copy.source], regroup_bytes=plan.regroup_bytes):
        records = record_count(batch)
        yield OutgoingBatch(
            data=stamp(
                batch,
                producer_id=targets.producer_id,
                producer_epoch=targets.producer_epoch,
                base_sequence=sent & 0x7FFFFFFF,
            ),
            records=records,
            expected_offset=target.base + sent,
        )
        sent += records
    if sent != copy.records:
        raise DamagedError(f"{copy.source}: the backup says {copy.records} restorable records and holds {sent}.")


def _check_at_base(cluster: Cluster, targets: Sequence[TargetPartition]) -> None:
    answers = list_offsets(cluster, [target.target for target in targets], "latest")
    for failure in answers.failures.values():
        raise failure
    for target in targets:
        end = answers.offsets[target.target]
        if end != target.base:
            raise RefusedError(
                f"{target.target}: its log ends at {end}, not at {target.base} where this restore begins; "
                "someone else wrote to it."
            )
