"""The plan of a restore: the point, the partitions, and the target topics with their settings and replication factors.
Decides how large joined batches can be, and which settings an existing topic had before. Changes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from tasks.broker.admin_values import DYNAMIC_TOPIC_CONFIG, ConfigEntry, TopicDescription
from tasks.broker.ports import ClusterAdmin
from tasks.engine.bins import Bins
from tasks.engine.options import RestoreOptions, TopicSelection
from tasks.engine.record_filter.record_filter import KEEPS_ALL, RecordFilter
from tasks.engine.record_filter.sections import Measured, counted_sections, hides_counts, measured, shown_sections
from tasks.engine.record_filter.tally import Tally
from tasks.engine.target.mapping import ChosenTarget, chosen_targets, mapped_partition, mapped_topics, ranks
from tasks.engine.target.record_selection import filters_of, planned_filters, read_until_mark, untils_of
from tasks.engine.target.restore_bins import bins_for_tasks, bins_for_workers
from tasks.engine.target.selection import ChosenTopic, choose, incarnations
from tasks.engine.target.staging import (
    RecordFacts,
    StagingNeeds,
    applicable_settings,
    deferred_settings,
    needed_staging,
    record_facts,
)
from tasks.engine.target.unfinished_restores import UnfinishedRestores
from tasks.engine.topic_selection import select_topics
from tasks.model.errors import AccessError, KafkaBackupError, RefusedError, TopicGoneError
from tasks.model.partition import Incarnation, Partition, require_topic_ids
from tasks.repository.frame_reader import FrameReader
from tasks.repository.lines import IndexLine
from tasks.repository.marks import MarkedOffsets
from tasks.repository.partition_table import Row
from tasks.repository.repository import Repository, tool_name
from tasks.repository.restore_point import RestorePoint
from tasks.repository.restores import PartitionCopy, RestorePlan, SelectedRecords, TopicCopy, TopicPatterns
from tasks.repository.state_objects import TopicState

REGROUP_BYTES = 960 << 10
"""Neighbouring small batches are joined up to this many bytes of records, so that a joined batch fits into Kafka's
default of `max.message.bytes`, also if compression makes it a little larger."""

_LEAST_REGROUP_BYTES = 64 << 10
"""Batches are joined less if a target accepts only small ones. Below this limit the target is staged instead."""

_MAX_SAMPLED_TOPICS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreRequest:
    """The restore to plan: values only, so that it can be sent to another process.

    With `bins_are_tasks` each partition with data has its own bin, and the empty ones share one, unless that needs more
    than `most_bins` bins. Without it small partitions share bins, because that is faster.
    """

    restore: str
    topics: TopicSelection
    options: RestoreOptions
    most_bins: int
    bins_are_tasks: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreSource:
    """What a restore reads of a point: the chosen topics, the same topics by target, and the counting lines of their
    partitions. A partition that is not in `filters` is restored whole. `mark` are the offsets of the mark at which the
    restore ends, if it does."""

    point: RestorePoint
    chosen: Sequence[ChosenTopic]
    targets: Sequence[ChosenTarget]
    lines: Mapping[Partition, Sequence[IndexLine]]
    filters: Mapping[Partition, RecordFilter] = field(default_factory=dict)
    mark: MarkedOffsets | None = None

    def filter_of(self, source: Partition) -> RecordFilter:
        """The filter for the records of a source partition."""
        return self.filters.get(source, KEEPS_ALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetView:
    """The target cluster before the restore.

    `topics` are the target topics that exist, `settings` all their settings, `defaults` the values that apply to topics
    without a setting, as far as they are known. `known_settings` are the names of all settings that a topic can have,
    None if no topic shows them. `names` are the names of all topics that the user is allowed to see.
    """

    cluster_id: str
    nodes: int
    topics: Mapping[str, TopicDescription]
    settings: Mapping[str, Sequence[ConfigEntry]]
    defaults: Mapping[str, str]
    known_settings: frozenset[str] | None = None
    names: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftRestore:
    """A plan whose settings the brokers have not checked yet, and for each target topic what its staging depends on."""

    plan: RestorePlan
    needs: Mapping[str, StagingNeeds]


def read_source(
    repository: Repository, point: RestorePoint, request: RestoreRequest, *, plan: RestorePlan | None = None
) -> RestoreSource:
    """Read what the point contains of the selected topics. A restore with a stored `plan` ends at the offsets of this
    plan, also if the mark does not exist any more. Raises `RefusedError` if it does not contain one of them, or
    a topic, partition or mark that a rule about records names."""
    chosen, options = chosen_topics(repository, point, request), request.options
    lines = point.lines([row for topic in chosen for row in topic.rows])
    targets = chosen_targets(chosen, options)
    sources = [row.source for topic in chosen for row in topic.rows]
    if plan is not None:
        filters = planned_filters(plan, options)
        return RestoreSource(point=point, chosen=chosen, targets=targets, lines=lines, filters=filters)
    mark = read_until_mark(repository, point.set_name, options)
    filters = filters_of(options, sources, untils_of(options, sources, mark))
    return RestoreSource(point=point, chosen=chosen, targets=targets, lines=lines, filters=filters, mark=mark)


def chosen_topics(repository: Repository, point: RestorePoint, request: RestoreRequest) -> list[ChosenTopic]:
    """The topics and partitions of the point that the request selects, and their targets. Raises `RefusedError` if the
    point does not contain one of them."""
    options, rows = request.options, list(point.rows.values())
    by_incarnation = {Incarnation(state.topic, state.topic_id): state for state in point.topics.topics}
    names = _selected_names(repository, point, by_incarnation, request.topics)
    rank_of = ranks(names, options.order)
    return choose(
        rows,
        by_incarnation,
        sorted(names, key=lambda name: rank_of[name]),
        targets=mapped_topics(names, options.topic_mapping),
        partitions=options.source_partitions,
        topic_ids=options.topic_ids,
    )


def describe_target(admin: ClusterAdmin, targets: Sequence[str]) -> TargetView:
    """Describe the target topics that exist, and the brokers' default settings of topics.

    Raises `AccessError` if the user is not allowed to describe one of the targets, because it can exist, and
    `UnsupportedError` if the cluster's topics have no ids.
    """
    visible = admin.describe_topics()
    require_topic_ids((topic.name, topic.topic_id) for topic in visible)
    described = {topic.name: topic for topic in admin.describe_topics(targets)}
    present = [name for name in targets if name in described]
    settings = admin.topic_configs(present)
    shown = [*settings.values(), _sample_settings(admin, visible)]
    return TargetView(
        cluster_id=admin.cluster_id(),
        nodes=admin.node_count(),
        topics={name: described[name] for name in present},
        settings=settings,
        defaults=admin.topic_defaults()
        | {
            entry.name: entry.value
            for entries in shown
            for entry in entries
            if entry.source != DYNAMIC_TOPIC_CONFIG and entry.value is not None
        },
        known_settings=frozenset(entry.name for entries in shown for entry in entries) or None,
        names=frozenset(topic.name for topic in visible),
    )


def _sample_settings(admin: ClusterAdmin, visible: Sequence[TopicDescription]) -> Sequence[ConfigEntry]:
    """The settings of any topic that the user is allowed to see; they show default values. Ordinary topics are tried
    first. Empty if there is no such topic."""
    for topic in sorted(visible, key=lambda topic: topic.is_internal)[:_MAX_SAMPLED_TOPICS]:
        try:
            return admin.topic_configs([topic.name])[topic.name]
        except (AccessError, TopicGoneError):
            continue
    return ()


def draft_restore(
    repository: Repository,
    request: RestoreRequest,
    source: RestoreSource,
    view: TargetView,
    *,
    is_readable: bool = True,
) -> DraftRestore:
    """Make the plan of a restore without storing it. Without `is_readable`, data objects are archived: then nothing is
    read of them, the records of lines that were clipped inside a frame are too many, and the caller has to refuse the
    plan."""
    reader = FrameReader(repository.store)
    unfinished = (
        UnfinishedRestores.read(repository.store, repository.restore_state) if view.topics else UnfinishedRestores(())
    )
    counts_of = {
        partition: measured(reader, source.lines[partition], wanted)
        for partition, wanted in source.filters.items()
        if is_readable
    }
    copies = [
        _partition_copy(
            row, topic.target, source, reader, counts_of.get(row.source), request.options, is_readable=is_readable
        )
        for topic in source.chosen
        for row in topic.rows
    ]
    now_ms = repository.now_ms()
    originals = {target.name: _original(unfinished, target.name, view) for target in source.targets}
    regroup_bytes = _regroup_bytes(
        _in_force(view, target.name, _final_settings(request.options, view, target, originals[target.name]))
        for target in source.targets
    )
    needs = {
        target.name: _needs(
            request.options, source, counts_of, view, target, originals[target.name], regroup_bytes, now_ms
        )
        for target in source.targets
    }
    plan = RestorePlan(
        repository_id=repository.root.repository_id,
        restore=request.restore,
        set=source.point.set_name,
        point=source.point.seq,
        created_ms=now_ms,
        cluster_id=view.cluster_id,
        options=request.options.model_dump(mode="json"),
        regroup_bytes=regroup_bytes,
        topics=tuple(
            _topic_copy(request.options, view, target, originals[target.name], needs[target.name])
            for target in source.targets
        ),
        partitions=tuple(copies),
        bins=_bins(request, copies, source.lines),
        drops=source.point.drops,
        selection=TopicPatterns(include=request.topics.include, exclude=request.topics.exclude),
        tool=tool_name(),
    )
    return DraftRestore(plan=plan, needs=needs)


def _partition_copy(
    row: Row,
    target: str,
    source: RestoreSource,
    reader: FrameReader,
    counted: Measured | None,
    options: RestoreOptions,
    *,
    is_readable: bool,
) -> PartitionCopy:
    """`counted` is what the rules keep of the partition, None if the restore has no rules, or nothing can be read."""
    lines, wanted = source.lines[row.source], source.filter_of(row.source)
    is_hidden = is_readable and hides_counts(lines, wanted)
    if counted is not None:
        counts = counted.sections
    else:
        counts = counted_sections(reader, lines, wanted) if is_hidden else shown_sections(lines, wanted)
    return PartitionCopy(
        topic=row.topic,
        topic_id=row.topic_id,
        partition=row.partition,
        target_topic=target,
        target_partition=mapped_partition(row.partition, options.partition_mapping),
        records=sum(counts),
        log_bytes=counted.tally.log_bytes if counted else sum(line.log_bytes for line in lines),
        section_records=tuple(counts) if is_hidden else (),
        selection=_selected_records(wanted, counted.tally) if counted else None,
    )


def _selected_records(wanted: RecordFilter, tally: Tally) -> SelectedRecords:
    return SelectedRecords(
        until=wanted.until,
        left_out=dict(tally.left_out),
        selected=dict(tally.selected),
        oldest_ms=tally.oldest_ms,
        newest_ms=tally.newest_ms,
        has_exact_times=tally.has_exact_times,
        odd_times=dict(tally.odd),
        has_exact_odd_times=tally.has_exact_odd,
        decoded_log_bytes=tally.decoded_log_bytes,
    )


def _regroup_bytes(in_force: Iterable[Mapping[str, str]]) -> int:
    limits = [int(values["max.message.bytes"]) for values in in_force if "max.message.bytes" in values]
    return min([REGROUP_BYTES, *(limit * 15 // 16 for limit in limits if limit >= _LEAST_REGROUP_BYTES)])


def _bins(
    request: RestoreRequest, copies: Sequence[PartitionCopy], lines: Mapping[Partition, Sequence[IndexLine]]
) -> Bins:
    rank_of = ranks({copy.topic for copy in copies}, request.options.order)
    if request.bins_are_tasks:
        return bins_for_tasks(copies, lines, request.most_bins, request.options.max_concurrent_partitions, rank_of)
    return bins_for_workers(copies, lines, request.most_bins, rank_of)


def _topic_copy(
    options: RestoreOptions,
    view: TargetView,
    target: ChosenTarget,
    original: Mapping[str, str],
    needs: StagingNeeds,
) -> TopicCopy:
    existing = view.topics.get(target.name)
    staging = {**_left_by_others(view, target.name, original), **needed_staging(needs)}
    return TopicCopy(
        topic=target.state.topic,
        topic_id=target.state.topic_id,
        other_topics=tuple(topic.state.topic for topic in target.topics[1:]),
        target=target.name,
        partitions=target.partitions,
        replication_factor=_replication_factor(options, target.state, existing, view),
        exists=existing is not None,
        target_id=existing.topic_id if existing else None,
        settings=_final_settings(options, view, target, original),
        staging=staging,
        original=dict(original),
        deferred=deferred_settings(needs, staging),
        is_purged=existing is not None and options.purge_topics,
    )


def _final_settings(
    options: RestoreOptions, view: TargetView, target: ChosenTarget, original: Mapping[str, str]
) -> dict[str, str]:
    """The own settings of the topic after the restore."""
    if options.topic_configs == "ignore" or (options.topic_configs == "validate" and target.name in view.topics):
        return dict(original)
    applicable = applicable_settings(target.state.topic_settings(), view.known_settings)
    return {**original, **applicable}


def _needs(
    options: RestoreOptions,
    source: RestoreSource,
    counts: Mapping[Partition, Measured],
    view: TargetView,
    target: ChosenTarget,
    original: Mapping[str, str],
    regroup_bytes: int,
    now_ms: int,
) -> StagingNeeds:
    final = _final_settings(options, view, target, original)
    return StagingNeeds(
        facts=_facts(options, source, counts, target),
        during=_in_force(view, target.name, final),
        after={**view.defaults, **final},
        known=view.known_settings,
        is_keyed=all(topic.state.is_compacted for topic in target.topics),
        choice=options.finalize,
        joined_batch_bytes=regroup_bytes * 16 // 15,
        now_ms=now_ms,
    )


def _facts(
    options: RestoreOptions, source: RestoreSource, counts: Mapping[Partition, Measured], target: ChosenTarget
) -> RecordFacts:
    """The facts about the records that a target topic receives. Several sources can have one target partition."""
    rows = list(target.rows)
    facts = record_facts(
        [source.lines[row.source] for row in rows],
        [counts[row.source].tally if row.source in counts else None for row in rows],
    )
    sizes = Counter[int]()
    for row in rows:
        number = mapped_partition(row.partition, options.partition_mapping)
        sizes[number] += sum(line.log_bytes for line in source.lines[row.source])
    is_shared = len(sizes) < len(rows)
    return replace(facts, largest_partition_bytes=max(sizes.values())) if is_shared else facts


def _in_force(view: TargetView, target: str, new: Mapping[str, str]) -> dict[str, str]:
    """The values in force on a topic if nothing is staged, as far as they are known. `new` are the settings with which
    a topic that does not exist is created."""
    if target in view.topics:
        return {entry.name: entry.value for entry in view.settings[target] if entry.value is not None}
    return {**view.defaults, **new}


def _own(view: TargetView, target: str) -> dict[str, str]:
    return {
        entry.name: entry.value
        for entry in view.settings.get(target, ())
        if entry.source == DYNAMIC_TOPIC_CONFIG and entry.value is not None
    }


def _original(unfinished: UnfinishedRestores, target: str, view: TargetView) -> Mapping[str, str]:
    """The own settings of an existing topic, without those that an unfinished restore staged. Empty for a new topic."""
    existing = view.topics.get(target)
    if existing is None:
        return {}
    return unfinished.original_settings(target, existing.topic_id, _own(view, target))


def _left_by_others(view: TargetView, target: str, original: Mapping[str, str]) -> dict[str, str]:
    """The present values of the settings that an unfinished restore staged. This restore treats them as its own staging
    settings, so in the end it sets their original values again."""
    return {name: value for name, value in _own(view, target).items() if original.get(name) != value}


def _replication_factor(
    options: RestoreOptions, state: TopicState, existing: TopicDescription | None, view: TargetView
) -> int:
    if existing is not None:
        return len(existing.partitions[0].replicas)
    return min(options.default_replication_factor or state.replication_factor, view.nodes)


def _selected_names(
    repository: Repository,
    point: RestorePoint,
    states: Mapping[Incarnation, TopicState],
    selection: TopicSelection,
) -> list[str]:
    available = incarnations(point.rows.values())
    internal = {state.topic: state.is_internal for state in states.values()}
    try:
        return select_topics(
            {name: internal.get(name, False) for name in available},
            selection,
            include_internal=True,
            internal_topics=(),
        )
    except KafkaBackupError as error:
        raise RefusedError(f"{error} {_other_points(repository, point, selection)}".strip()) from None


def _other_points(repository: Repository, point: RestorePoint, selection: TopicSelection) -> str:
    """Names the points of the set that contain the missing topics, if there are any."""
    log = repository.log(point.set_name)
    found = []
    for name in selection.include:
        for seq in sorted(log.state().points, reverse=True):
            available = incarnations(log.point(seq).rows.values()) if seq != point.seq else {}
            if name in available:
                found.append(f"{point.set_name}@{seq} has {name}.")
                break
    return " ".join(found)
