"""Preflight of a restore: every reason against it, found before anything on the target is changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tasks.broker.admin import Admin
from tasks.broker.cluster import Cluster
from tasks.broker.connection import ConnectionOptions
from tasks.broker.groups import describe_groups
from tasks.broker.offsets import list_offsets
from tasks.broker.topics import NewTopicSpec
from tasks.engine.options import RestoreOptions
from tasks.engine.restore.findings import Finding, error_finding
from tasks.engine.restore.permissions import missing_for_groups
from tasks.engine.restore.plan import RestoreSource, TargetView
from tasks.engine.restore.positions import wanted_groups
from tasks.engine.restore.staging import NOT_COPIED
from tasks.model.errors import InterruptedRunError, KafkaBackupError, ObjectNotFoundError
from tasks.model.partition import Partition
from tasks.repository.lines import IndexLine
from tasks.repository.repository import Repository
from tasks.repository.restores import RestorePlan, TopicCopy
from tasks.repository.state_objects import TopicState

_COMPARED = (
    "cleanup.policy",
    "max.message.bytes",
    "message.timestamp.after.max.ms",
    "message.timestamp.before.max.ms",
    "message.timestamp.type",
    "min.insync.replicas",
    "retention.bytes",
    "retention.ms",
)
"""Settings whose effective value should be known before a topic is relied upon."""

_LARGEST_REQUEST_BYTES = 100 << 20
"""The default `socket.request.max.bytes`: no broker takes a larger batch unless it was told to."""


def preflight(
    repository: Repository,
    plan: RestorePlan,
    source: RestoreSource,
    view: TargetView,
    options: RestoreOptions,
    admin: Admin,
    connection: ConnectionOptions,
) -> list[Finding]:
    """All findings, errors first. Reads the cluster and the repository, changes neither."""
    findings = [
        *(finding for topic in plan.topics for finding in _topic_findings(topic, view, options)),
        *_settings_findings(source, plan, view),
        *_emptiness(plan, view, options, connection),
        *_creation(plan, admin),
        *missing_for_groups(source, admin, options),
        *_objects(repository, source),
        *_batches(source),
        *_groups(admin, source, options),
    ]
    order = {"error": 0, "warning": 1, "note": 2}
    return sorted(dict.fromkeys(findings), key=lambda finding: order[finding.level])


def _topic_findings(topic: TopicCopy, view: TargetView, options: RestoreOptions) -> Iterator[Finding]:
    existing = view.topics.get(topic.target)
    if existing is None:
        if not options.create_topics:
            yield Finding("error", topic.target, "the topic does not exist and create_topics is false.")
        wanted = options.default_replication_factor
        if wanted is not None and wanted > view.nodes:
            yield Finding(
                "warning",
                topic.target,
                f"replication factor {topic.replication_factor}: there are {view.nodes} brokers.",
            )
        return
    if len(existing.partitions) < topic.partitions:
        yield Finding(
            "error", topic.target, f"it has {len(existing.partitions)} partitions, the backup has {topic.partitions}."
        )
    elif len(existing.partitions) > topic.partitions:
        yield Finding(
            "warning",
            topic.target,
            f"it has {len(existing.partitions)} partitions, the backup has {topic.partitions}: "
            "producers will place keys elsewhere than the restored records.",
        )
    if topic.is_purged and "delete" not in _effective(topic, view, "cleanup.policy", "delete"):
        yield Finding("error", topic.target, "it is compact-only, and records of such topics cannot be deleted.")


def _settings_findings(source: RestoreSource, plan: RestorePlan, view: TargetView) -> Iterator[Finding]:
    states = {chosen.target: chosen.state for chosen in source.chosen}
    for topic in plan.topics:
        state = states[topic.target]
        for name in sorted(state.topic_settings().keys() & NOT_COPIED.keys()):
            yield Finding("note", topic.target, f"{name} is not copied: {NOT_COPIED[name]}.")
        yield from _validated(topic, state, plan)
        yield from _differences(topic, state, view)
        if _appended_time(source, topic):
            yield Finding(
                "note", topic.target, "records of a LogAppendTime topic come back as CreateTime with their append time."
            )
        if topic.deferred:
            yield Finding(
                "warning",
                topic.target,
                f"{', '.join(topic.deferred)} would delete restored records and will wait; "
                f"apply with `kafka-backup finalize {plan.restore}`.",
            )


def _validated(topic: TopicCopy, state: TopicState, plan: RestorePlan) -> Iterator[Finding]:
    if plan.options.get("topic_configs") != "validate" or not topic.exists:
        return
    for name, value in sorted(state.topic_settings().items()):
        if name not in NOT_COPIED and topic.original.get(name) != value:
            has = topic.original.get(name, "nothing of its own")
            yield Finding("error", topic.target, f"{name} is {value} in the backup, the topic has {has}.")


def _differences(topic: TopicCopy, state: TopicState, view: TargetView) -> Iterator[Finding]:
    before = {entry.name: entry.value for entry in state.settings}
    for name in _COMPARED:
        after = _effective(topic, view, name, before.get(name) or "")
        if before.get(name) is not None and after != before[name]:
            yield Finding("warning", topic.target, f"{name} was {before[name]} at the source and will be {after}.")


def _effective(topic: TopicCopy, view: TargetView, name: str, otherwise: str) -> str:
    return topic.settings.get(name, view.defaults.get(name, otherwise))


def _appended_time(source: RestoreSource, topic: TopicCopy) -> bool:
    return any(
        line.timestamp_type in ("LogAppendTime", "mixed")
        for partition, lines in source.lines.items()
        if partition.topic_id == topic.topic_id
        for line in lines
    )


def _emptiness(
    plan: RestorePlan, view: TargetView, options: RestoreOptions, connection: ConnectionOptions
) -> Iterator[Finding]:
    """A target that holds anything is refused: what was there could never be told from what was restored."""
    existing = [
        Partition(name, topic.topic_id, part.partition)
        for name, topic in view.topics.items()
        for part in topic.partitions
    ]
    if not existing or options.purge_topics:
        return
    with Cluster(connection) as cluster:
        earliest = list_offsets(cluster, existing, "earliest")
        latest = list_offsets(cluster, existing, "latest")
    for partition in existing:
        failure = earliest.failures.get(partition) or latest.failures.get(partition)
        if failure is not None:
            yield error_finding(str(partition), failure)
        elif latest.offsets[partition] != earliest.offsets[partition]:
            count = latest.offsets[partition] - earliest.offsets[partition]
            yield Finding(
                "error",
                str(partition),
                f"it is not empty ({count} offsets). Restore into another topic with topic_mapping, "
                "or let purge_topics delete what is there.",
            )


def _creation(plan: RestorePlan, admin: Admin) -> Iterator[Finding]:
    """Each new topic is tried with `validate_only`, with its staging and with its final settings."""
    missing = [topic for topic in plan.topics if not topic.exists]
    for settings_of in (creation_settings, lambda topic: topic.settings):
        specs = [
            NewTopicSpec(
                name=topic.target,
                partitions=topic.partitions,
                replication_factor=topic.replication_factor,
                configs=settings_of(topic),
            )
            for topic in missing
        ]
        if specs:
            failed = admin.create_topics(specs, validate_only=True)
            yield from (
                error_finding(name, error, lead="cannot be created: ") for name, error in failed.items() if error
            )


def creation_settings(topic: TopicCopy) -> dict[str, str]:
    """What a new topic is created with: its own settings under the staging ones."""
    return {**topic.settings, **topic.staging}


def _objects(repository: Repository, source: RestoreSource) -> Iterator[Finding]:
    """Every object that the restore will read must be there with its size."""
    lines = {line.object: line for part in source.lines.values() for line in part if line.object}
    for key, line in sorted(lines.items()):
        try:
            size = repository.store.head(key).size_bytes
        except ObjectNotFoundError:
            yield Finding("error", key, f"the object is missing (topic {line.topic}, partition {line.partition}).")
            continue
        if size != line.stored_bytes:
            yield Finding("error", key, f"the object has {size} bytes instead of {line.stored_bytes}.")


def _batches(source: RestoreSource) -> Iterator[Finding]:
    for partition, lines in source.lines.items():
        largest = _largest(lines)
        if largest > _LARGEST_REQUEST_BYTES:
            yield Finding("error", str(partition), f"it has a batch of {largest} bytes, more than a broker accepts.")


def _largest(lines: Sequence[IndexLine]) -> int:
    return max((line.largest_batch_bytes for line in lines), default=0)


def _groups(admin: Admin, source: RestoreSource, options: RestoreOptions) -> Iterator[Finding]:
    """Positions of a group that is in use cannot be written; a group whose positions are not here is named."""
    if options.consumer_group_strategy == "skip":
        return
    if source.groups is None:
        reason = source.point.groups_failure or "the backup was made without consumer_group_snapshot"
        yield Finding("error" if options.reset_consumer_offsets else "note", "groups", f"no positions: {reason}.")
        return
    wanted = wanted_groups(source.groups, options.consumer_groups)
    for group in wanted:
        if group.failure is not None:
            yield Finding("warning", group.group, f"its positions could not be captured: {group.failure}")
    for name in sorted(set(options.consumer_groups or ()) - {group.group for group in wanted}):
        yield Finding("error", name, "the point has no positions of this group.")
    if not options.reset_consumer_offsets:
        return
    try:
        described = describe_groups(admin, [group.group for group in wanted])
    except InterruptedRunError:
        raise
    except KafkaBackupError as error:
        yield error_finding("groups", error)
        return
    for found in described:
        if found.members:
            yield Finding(
                "error", found.group_id, f"the group has {found.members} active members: stop its consumers first."
            )
