"""Makes the plan of an incremental run: from the stored offsets of the newest point, a range for each partition that
changed. Decides which topics ended, and warns of compacted topics whose tombstones can be gone before they were read.

A stored offset is used only if the topic id is the same and the stored leader epoch is confirmed. Otherwise the
partition is read again from its log start."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tasks.broker.log_values import OffsetAnswers
from tasks.broker.ports import LogReader
from tasks.engine.bins import Bins, bins_to_capture
from tasks.engine.options import duration_ms
from tasks.engine.run_context import ClusterContext
from tasks.engine.source.lineage import CommonLog, Lineages, confirm_lineages
from tasks.engine.source.open_transactions import with_open_transactions
from tasks.engine.source.snapshot_plan import (
    ClusterState,
    SnapshotRequest,
    check_cluster,
    make_plan,
    read_cluster_state,
)
from tasks.engine.source.undescribable_topics import keep_hidden_topics
from tasks.model.partition import Incarnation, Partition
from tasks.repository.entries import PointKind
from tasks.repository.partition_table import Row
from tasks.repository.plans import EndedPartition, EndReason, Plan, PlanFailure, PlannedPartition, StartKind
from tasks.repository.restore_point import RestorePoint
from tasks.repository.set_state import SetState
from tasks.repository.state_objects import TopicState

HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True, kw_only=True)
class LogsNow:
    """The logs as they are now: log starts, stable ends, high watermarks, and lineages."""

    earliest: OffsetAnswers
    stable: OffsetAnswers
    high: OffsetAnswers
    lineages: Lineages


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What a run that continues the newest point would read, and the state of the cluster. `failures` are the
    partitions whose range is not known."""

    newest: RestorePoint
    cluster: ClusterState
    planned: tuple[PlannedPartition, ...]
    failures: tuple[PlanFailure, ...]
    ended: tuple[EndedPartition, ...]

    @property
    def is_empty(self) -> bool:
        """Whether a point would contain the same records as the newest point, and no partition more or less. Moved
        group positions and changed topic settings alone are no news."""
        rows = self.newest.rows
        changed = (_changes_records(part, rows.get(part.source)) for part in self.planned)
        failed = (one.source in rows and not rows[one.source].failure for one in self.failures)
        return not (any(changed) or any(failed) or self.ended)


def draft_incremental(
    context: ClusterContext, request: SnapshotRequest, newest: RestorePoint, *, is_dry_run: bool = False
) -> Plan:
    """Make the plan of a run that continues the newest point, without storing it.

    Raises as `plan_snapshot`.
    """
    return draft_of_news(context, request, read_news(context, request, newest), is_dry_run=is_dry_run)


def read_news(context: ClusterContext, request: SnapshotRequest, newest: RestorePoint) -> News:
    """Compare the cluster with the newest point. Stores nothing. Raises as `plan_snapshot`."""
    with context.admin() as admin:
        cluster = read_cluster_state(admin, request, newest)
    check_cluster(request.set_name, newest, cluster.cluster_id)
    partitions = [
        Partition(topic.name, topic.topic_id, part.partition) for topic in cluster.topics for part in topic.partitions
    ]
    with context.reader() as log:
        logs = _read_logs(log, newest, partitions)
        planned, failures = incremental_ranges(partitions, newest.rows, logs)
        planned = with_open_transactions(log, planned)
        planned = _sized(planned, logs, log.partition_bytes([part.source for part in planned if part.start < part.end]))
    return News(
        newest=newest,
        cluster=cluster,
        planned=planned,
        failures=failures,
        ended=ended_partitions(newest.rows, partitions, cluster.visible, cluster.hidden),
    )


def draft_of_news(
    context: ClusterContext,
    request: SnapshotRequest,
    news: News,
    *,
    kind: PointKind = "incremental",
    is_dry_run: bool = False,
) -> Plan:
    """Make the plan of a run that reads the news, without storing it. The state objects that it names are stored,
    except in a dry run. Raises what the store raises."""
    newest, cluster = news.newest, news.cluster
    hidden_failures, hidden_states = keep_hidden_topics(newest, cluster.hidden)
    return make_plan(
        context,
        request,
        cluster,
        newest,
        kind=kind,
        planned=news.planned,
        bins=_bins(news.planned, request),
        failures=(*news.failures, *hidden_failures),
        last_states=[*hidden_states, *_ended_states(newest, cluster)],
        ended=news.ended,
        warnings=tuple(
            late_tombstones(
                cluster.topics_state.topics,
                {source.incarnation for source in newest.rows},
                elapsed_ms=context.repository.now_ms() - newest.entry.planned_ms,
            )
        ),
        is_dry_run=is_dry_run,
    )


def is_base_due(state: SetState, full_every: str | None, now_ms: int) -> bool:
    """Whether the next run of the set reads everything: the set has no point, or its newest snapshot is at least
    `full_every` old. Pure."""
    if state.newest_point is None or full_every is None:
        return state.newest_point is None
    bases = [point.time_ms for point in state.points.values() if point.point_kind == "snapshot"]
    return not bases or now_ms - max(bases) >= duration_ms(full_every)


def incremental_ranges(
    partitions: Sequence[Partition], rows: Mapping[Partition, Row], logs: LogsNow
) -> tuple[tuple[PlannedPartition, ...], tuple[PlanFailure, ...]]:
    """The range of each partition whose row changes, or a failure with the reason. `rows` are those of the newest
    point. A partition that is in neither has nothing new, and its row stays as it is. Pure."""
    planned, failures = [], []
    for source in partitions:
        answers = (logs.earliest.failures, logs.stable.failures, logs.high.failures, logs.lineages.failures)
        reason = next((failed[source] for failed in answers if source in failed), None)
        if reason is not None:
            failures.append(
                PlanFailure(
                    topic=source.topic, topic_id=source.topic_id, partition=source.partition, reason=str(reason)
                )
            )
            continue
        part = _planned(source, rows.get(source), logs)
        if part is not None:
            planned.append(part)
    return tuple(planned), tuple(failures)


def ended_partitions(
    rows: Mapping[Partition, Row],
    partitions: Collection[Partition],
    visible: Mapping[str, str],
    hidden: Collection[str],
) -> tuple[EndedPartition, ...]:
    """The live rows that the run does not read any more, with the reason. `visible` has the ids of all topics by name,
    `hidden` the topics that exist and cannot be described: their rows do not end. Pure."""
    present = {source.incarnation for source in partitions}
    ended = []
    for source, row in sorted(rows.items()):
        if row.is_live and source.incarnation not in present and source.topic not in hidden:
            reason: EndReason = "deleted"
            if source.topic in visible:
                reason = "not selected" if visible[source.topic] == source.topic_id else "created again"
            ended.append(
                EndedPartition(topic=source.topic, topic_id=source.topic_id, partition=source.partition, reason=reason)
            )
    return tuple(ended)


def late_tombstones(
    topics: Sequence[TopicState], continued: Collection[Incarnation], *, elapsed_ms: int
) -> Iterator[str]:
    """A warning for each compacted topic whose tombstones can be gone before this run could read them. `continued` are
    the incarnations in the newest point, which was planned `elapsed_ms` ago. Pure."""
    for topic in topics:
        kept_ms = topic.delete_retention_ms
        if topic.is_compacted and (topic.topic, topic.topic_id) in continued and elapsed_ms > kept_ms:
            kept, elapsed = f"{kept_ms / HOUR_MS:.3g} hours", f"{elapsed_ms / HOUR_MS:.3g} hours"
            yield (
                f"Topic {topic.topic} is compacted and keeps tombstones for {kept}, but the last run was {elapsed} "
                "ago. A key that was deleted meanwhile can come back in a restore. Make a new base (a snapshot, or "
                "full_every), and run more often."
            )


def _changes_records(part: PlannedPartition, row: Row | None) -> bool:
    """Whether the partition has new records, has lost records that the row contains, or failed or had ended before."""
    if row is None or row.failure is not None or not row.is_live:
        return True
    return part.start < part.end or part.start < row.next


def _read_logs(log: LogReader, newest: RestorePoint, partitions: Sequence[Partition]) -> LogsNow:
    """The lineages are confirmed last, so that an election before that is noticed here. One after it is noticed by the
    capture, or by the next run. What is decided at a high watermark is below the stable end that is read after it."""
    earliest = log.list_offsets(partitions, "earliest")
    high = log.list_offsets(partitions, "latest")
    stable = log.list_offsets(partitions, "last_stable")
    known = [newest.rows[source] for source in partitions if source in newest.rows]
    return LogsNow(earliest=earliest, stable=stable, high=high, lineages=confirm_lineages(log, newest, known))


def _planned(source: Partition, row: Row | None, logs: LogsNow) -> PlannedPartition | None:
    """The range of a partition that the run reads. None if there is nothing to read and the row stays as it is. That is
    so for most partitions of a large cluster, so a model is made only for the others."""
    log_start, stable, high = (one.offsets[source] for one in (logs.earliest, logs.stable, logs.high))
    common = _decided_end(source, row, logs) if row is not None else None
    begin = _begin_of(row, common, log_start)
    end, high = max(begin.start, log_start, stable), max(stable, high)
    if row is not None and begin.start == end == row.next:
        changes_row = high > end or row.failure is not None or not row.is_live
        if not changes_row:
            return None
    return PlannedPartition(
        topic=source.topic,
        topic_id=source.topic_id,
        partition=source.partition,
        start=begin.start,
        end=end,
        high_watermark=high,
        leader_epoch=logs.high.leader_epochs.get(source),
        stored_next=row.next if row else None,
        start_epoch=begin.epoch,
        start_kind=begin.kind,
    )


class _Begin(NamedTuple):
    """Where a run begins to read a partition, the leader epoch of the batch before, and why there."""

    start: int
    epoch: int | None
    kind: StartKind


def _begin_of(row: Row | None, common: CommonLog | None, log_start: int) -> _Begin:
    if row is None:
        return _Begin(log_start, None, "log_start")
    if common is not None and common.end >= row.next:
        return _Begin(row.next, common.epoch, "stored")
    if common is not None and common.end > row.first:
        return _Begin(common.end, common.epoch, "truncated")
    if common is not None:
        return _Begin(min(row.first, log_start), None, "truncated")
    return _Begin(min(row.next, log_start), None, "stored" if row.first == row.next else "unconfirmed")


def _decided_end(source: Partition, row: Row, logs: LogsNow) -> CommonLog | None:
    """Up to where the log is as it was captured, and decided. If it lost the marker of a transaction and kept records
    of it, the transaction is open again. A leader that is new can show a smaller stable end for a moment, because it
    does not know yet how far its log is replicated."""
    common = logs.lineages.common.get(source)
    if common is None:
        return None
    end, stable = min(common.end, row.next), max(logs.stable.offsets[source], logs.earliest.offsets[source])
    is_same_leader = logs.stable.leader_epochs.get(source) == logs.high.leader_epochs.get(source)
    is_open_again = is_same_leader and stable < end <= logs.high.offsets[source]
    return CommonLog(stable if is_open_again else end, common.epoch)


def _sized(
    planned: Sequence[PlannedPartition], logs: LogsNow, sizes_bytes: Mapping[Partition, int] | None
) -> tuple[PlannedPartition, ...]:
    """The ranges with estimates of their bytes. Brokers report only the size of a whole partition, so a range gets the
    share of it that its offsets have in the partition's offsets. A partition whose size no broker reports gets 0. If no
    size at all is known, the bytes are the number of offsets, which balances the bins too."""
    sized = []
    for part in planned:
        offsets = part.end - part.start
        whole = max(1, logs.high.offsets[part.source] - logs.earliest.offsets[part.source], offsets)
        size = sizes_bytes.get(part.source, 0) * offsets // whole if sizes_bytes is not None else offsets
        sized.append(part.model_copy(update={"bytes": size}))
    return tuple(sized)


def _bins(planned: Sequence[PlannedPartition], request: SnapshotRequest) -> Bins:
    """Partitions without anything to read are in no bin."""
    busy = [index for index, part in enumerate(planned) if part.start < part.end]
    parts = [planned[index] for index in busy]
    bins = bins_to_capture(parts, request.most_bins, request.options.max_concurrent_partitions)
    return tuple(tuple(busy[index] for index in bin_) for bin_ in bins)


def _ended_states(newest: RestorePoint, cluster: ClusterState) -> Sequence[TopicState]:
    """The last states of incarnations that the point contains and the run does not read, so that they can be
    restored."""
    present = {(topic.name, topic.topic_id) for topic in cluster.topics}
    kept = {source.incarnation for source in newest.rows}
    return [
        state
        for state in newest.topics.topics
        if (state.topic, state.topic_id) in kept
        and (state.topic, state.topic_id) not in present
        and state.topic not in cluster.hidden
    ]
