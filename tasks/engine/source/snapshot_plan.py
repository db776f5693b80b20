"""Makes and stores the plan of a snapshot, before the first record is read: its ranges, its bins, its state objects.
Reads the cluster for the plans of every kind of run, and refuses a set that belongs to another cluster.

The order is: topic ids, groups, topics, offsets. The ids are read before the groups, so that a topic that is created
again later does not get the positions of the old topic.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tasks.broker.admin_values import TopicDescription
from tasks.broker.log_values import OffsetAnswers
from tasks.broker.ports import ClusterAdmin, LogReader
from tasks.engine.bins import Bins, bins_to_capture
from tasks.engine.options import BackupOptions, TopicSelection
from tasks.engine.pattern_notes import pattern_notes
from tasks.engine.run_context import ClusterContext
from tasks.engine.source.client_state import client_notes, read_clients
from tasks.engine.source.group_state import groups_of_topics, read_groups
from tasks.engine.source.open_transactions import with_open_transactions
from tasks.engine.source.permissions import denied_topics
from tasks.engine.source.selected_topics import selected_topics
from tasks.engine.source.topic_state import read_topics
from tasks.engine.source.undescribable_topics import keep_hidden_topics, live_topics
from tasks.engine.topic_selection import is_selected
from tasks.model.errors import AccessError, ConfigError, InterruptedRunError, KafkaBackupError
from tasks.model.partition import Partition
from tasks.repository.compressed_objects import StoredRef
from tasks.repository.entries import PointKind
from tasks.repository.leases import read_lease
from tasks.repository.names import capture_lease_key
from tasks.repository.plans import EndedPartition, Plan, PlanFailure, PlannedPartition, write_plan
from tasks.repository.repository import Repository, tool_name
from tasks.repository.restore_point import RestorePoint
from tasks.repository.state_objects import (
    AnyState,
    ClientsState,
    GroupsState,
    TopicsState,
    TopicState,
    write_state,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotRequest:
    """The snapshot to make: set, run, topics, options, and the largest number of bins. It contains only values, so that
    it can be sent to a task in another process."""

    set_name: str
    run: str
    topics: TopicSelection
    options: BackupOptions
    most_bins: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterState:
    """The state of the cluster without its records and offsets. The groups were read before the topics, and after the
    topic ids."""

    cluster_id: str
    topics: list[TopicDescription]
    """The topics to back up."""
    visible: Mapping[str, str]
    """The ids of all topics, selected or not."""
    topics_state: TopicsState
    groups: GroupsState | None
    groups_failure: str | None
    clients: ClientsState | None
    """None if the configuration does not include quotas and users."""
    denied: tuple[str, ...]
    hidden: Mapping[str, str]
    """The topics of the newest point that the user can no longer describe, with the reasons."""

    not_selected: tuple[str, ...]
    """The topics of the newest point that this run does not select."""


class _StateRefs(NamedTuple):
    """The stored state objects of a plan."""

    topics: StoredRef
    groups: StoredRef | None
    clients: StoredRef | None


def plan_snapshot(context: ClusterContext, request: SnapshotRequest) -> Plan:
    """Decide which ranges the run will read, and store the plan. May be called again: if the run already has a plan,
    that plan is returned.

    Raises `ConfigError` if an included topic does not exist, if the selection matches no topic, or if the set belongs
    to another cluster. Raises `AccessError` if the user is not allowed to describe an included topic, and the errors of
    the cluster and the repository.
    """
    return write_plan(context.repository.store, draft_snapshot(context, request))


def draft_snapshot(context: ClusterContext, request: SnapshotRequest, *, is_dry_run: bool = False) -> Plan:
    """Make the plan, but do not store it. The state objects that the plan names are stored, except in a dry run.

    Raises the same errors as `plan_snapshot`.
    """
    repository = context.repository
    newest = repository.log(request.set_name).newest_point()
    with context.admin() as admin:
        cluster = read_cluster_state(admin, request, newest)
    check_cluster(request.set_name, newest, cluster.cluster_id)
    partitions = [
        Partition(topic.name, topic.topic_id, part.partition) for topic in cluster.topics for part in topic.partitions
    ]
    with context.reader() as log:
        planned, failures = _plan_partitions(log, partitions)
    hidden_failures, last_states = keep_hidden_topics(newest, cluster.hidden)
    return make_plan(
        context,
        request,
        cluster,
        newest,
        kind="snapshot",
        planned=planned,
        bins=bins_to_capture(planned, request.most_bins, request.options.max_concurrent_partitions),
        failures=(*failures, *hidden_failures),
        last_states=last_states,
        is_dry_run=is_dry_run,
    )


def make_plan(
    context: ClusterContext,
    request: SnapshotRequest,
    cluster: ClusterState,
    newest: RestorePoint | None,
    *,
    kind: PointKind,
    planned: tuple[PlannedPartition, ...],
    bins: Bins,
    failures: tuple[PlanFailure, ...],
    last_states: Sequence[TopicState],
    ended: tuple[EndedPartition, ...] = (),
    warnings: tuple[str, ...] = (),
    is_dry_run: bool,
) -> Plan:
    """The plan of a run of any kind. Stores the state objects that it names, unless it is a dry run. `last_states` are
    earlier states of topics that the cluster does not describe any more and that the new point contains."""
    repository, options = context.repository, request.options
    states = _write_states(repository, request, cluster, last_states, newest, is_dry_run=is_dry_run)
    return Plan(
        repository_id=repository.root.repository_id,
        set=request.set_name,
        run=request.run,
        kind=kind,
        cluster_id=cluster.cluster_id,
        cluster_label=options.source_cluster_id,
        planned_ms=repository.now_ms(),
        based_on=newest.seq if newest else None,
        begun_after=_begun_after(repository, request),
        compression=options.compression,
        compression_level=options.compression_level,
        object_log_bytes=options.segment_max_bytes,
        object_records=options.segment_max_records,
        fetch_bytes=options.fetch_bytes,
        max_bytes_per_second=options.max_bytes_per_second,
        index_timestamps=options.index_timestamps,
        partitions=planned,
        bins=bins,
        failures=failures,
        ended=ended,
        warnings=warnings,
        topics=states.topics,
        groups=states.groups,
        groups_failure=cluster.groups_failure,
        clients=states.clients,
        denied=(*cluster.denied, *cluster.hidden.values()),
        not_selected=cluster.not_selected,
        labels=options.labels,
        notes=(
            *pattern_notes(request.topics, {topic.name for topic in cluster.topics}),
            *client_notes(cluster.clients),
        ),
        tool=tool_name(),
    )


def planned_ranges(
    partitions: Sequence[Partition],
    *,
    earliest: OffsetAnswers,
    stable: OffsetAnswers,
    high: OffsetAnswers,
    sizes_bytes: dict[Partition, int] | None,
) -> tuple[tuple[PlannedPartition, ...], tuple[PlanFailure, ...]]:
    """(the partitions with their ranges [log start, last stable offset), the partitions that failed, with the reason).
    Pure.

    `sizes_bytes` is None if the brokers returned no sizes. Then the number of offsets is used instead of the size.
    """
    planned, failures = [], []
    for source in partitions:
        reason = next(
            (answer.failures[source] for answer in (earliest, stable, high) if source in answer.failures), None
        )
        if reason is not None:
            failures.append(
                PlanFailure(
                    topic=source.topic, topic_id=source.topic_id, partition=source.partition, reason=str(reason)
                )
            )
            continue
        start = earliest.offsets[source]
        end = max(start, stable.offsets[source])
        planned.append(
            PlannedPartition(
                topic=source.topic,
                topic_id=source.topic_id,
                partition=source.partition,
                start=start,
                end=end,
                high_watermark=high.offsets[source],
                leader_epoch=high.leader_epochs.get(source),
                bytes=(end - start) if sizes_bytes is None else sizes_bytes.get(source, 0),
            )
        )
    return tuple(planned), tuple(failures)


def _plan_partitions(
    log: LogReader, partitions: Sequence[Partition]
) -> tuple[tuple[PlannedPartition, ...], tuple[PlanFailure, ...]]:
    planned, failures = planned_ranges(
        partitions,
        earliest=log.list_offsets(partitions, "earliest"),
        stable=log.list_offsets(partitions, "last_stable"),
        high=log.list_offsets(partitions, "latest"),
        sizes_bytes=log.partition_bytes(partitions),
    )
    return with_open_transactions(log, planned), failures


def read_cluster_state(admin: ClusterAdmin, request: SnapshotRequest, newest: RestorePoint | None) -> ClusterState:
    """Read the groups, then the topics. `newest` is the newest point of the set."""
    options = request.options
    # A topic that is deleted and created again after the groups were read must not get the positions of the old topic.
    before = admin.describe_topics() if options.consumer_group_snapshot else []
    ids = {topic.name: topic.topic_id for topic in before}
    groups, groups_failure, denied = _groups(admin, options)
    described, topics = selected_topics(admin, request.topics, options)
    visible, chosen = {topic.name for topic in described}, {topic.name for topic in topics}
    missing = [name for name in live_topics(newest) if name not in visible and is_selected(name, request.topics)]
    return ClusterState(
        cluster_id=admin.cluster_id(),
        topics=topics,
        visible={topic.name: topic.topic_id for topic in described},
        topics_state=read_topics(admin, topics),
        groups=groups_of_topics(groups, {name: ids[name] for name in chosen if name in ids}) if groups else None,
        groups_failure=groups_failure,
        clients=read_clients(admin) if options.client_state_snapshot else None,
        denied=denied,
        hidden=denied_topics(admin, missing),
        not_selected=_not_selected(newest, chosen, visible, request.topics),
    )


def _not_selected(
    newest: RestorePoint | None, chosen: Collection[str], visible: Collection[str], selection: TopicSelection
) -> tuple[str, ...]:
    """The topics of the newest point that this run leaves out although they exist, or that the selection does not
    match. All other topics that are missing are gone."""
    names = sorted({source.topic for source in newest.rows} - set(chosen)) if newest else []
    return tuple(name for name in names if name in visible or not is_selected(name, selection))


def _groups(admin: ClusterAdmin, options: BackupOptions) -> tuple[GroupsState | None, str | None, tuple[str, ...]]:
    """(the groups, the reason if they could not be read, the reasons of all missing permissions). If the configuration
    does not include groups, both the groups and the reason are None."""
    if not options.consumer_group_snapshot:
        return None, None, ()
    try:
        state, denied = read_groups(admin)
    except InterruptedRunError:
        raise
    except KafkaBackupError as error:
        return None, str(error), (str(error),) if isinstance(error, AccessError) else ()
    return state, None, denied


def _write_states(
    repository: Repository,
    request: SnapshotRequest,
    cluster: ClusterState,
    last_states: Sequence[TopicState],
    newest: RestorePoint | None,
    *,
    is_dry_run: bool,
) -> _StateRefs:
    if is_dry_run:
        not_stored = StoredRef(key="", sha256="", stored_bytes=0)
        return _StateRefs(not_stored, not_stored, not_stored)

    def write(state: AnyState, ref: StoredRef | None) -> StoredRef:
        earlier = ref.model_copy(update={"seq": ref.seq or newest.seq}) if ref and newest else None
        return write_state(repository.store, request.set_name, request.run, state, newest=earlier)

    entry = newest.entry if newest else None
    groups = write(cluster.groups, entry.groups if entry else None) if cluster.groups else None
    clients = write(cluster.clients, entry.clients if entry else None) if cluster.clients else None
    topics = write(_with_topics(cluster.topics_state, last_states), entry.topics if entry else None)
    return _StateRefs(topics, groups, clients)


def _with_topics(state: TopicsState, more: Sequence[TopicState]) -> TopicsState:
    topics = sorted((*state.topics, *more), key=lambda topic: (topic.topic, topic.topic_id))
    return state.model_copy(update={"topics": tuple(topics)})


def _begun_after(repository: Repository, request: SnapshotRequest) -> int | None:
    """The seq at the end of the set's log when the run began, from the run's lease. None if the run has no lease (a dry
    run)."""
    lease = read_lease(repository.store, capture_lease_key(request.set_name))
    return lease.begun_after if lease is not None and lease.run == request.run else None


def check_cluster(set_name: str, newest: RestorePoint | None, cluster_id: str) -> None:
    """Raises `ConfigError` if the set belongs to another cluster."""
    if newest is not None and newest.entry.cluster_id != cluster_id:
        raise ConfigError(
            f"The backup set {set_name!r} belongs to cluster {newest.entry.cluster_id}; this is cluster {cluster_id}. "
            "Correct the address of the cluster, or name another set with backup_id."
        )
