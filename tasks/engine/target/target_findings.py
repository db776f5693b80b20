"""Findings about the target topics of a restore: as they are now, and with the settings that they would get."""

from __future__ import annotations

from collections.abc import Iterator

from tasks.broker.admin_values import NewTopicSpec
from tasks.broker.ports import ClusterAdmin
from tasks.engine.options import RestoreOptions
from tasks.engine.target.findings import Finding, error_finding
from tasks.engine.target.restore_plan import RestoreSource, TargetView
from tasks.engine.target.staging import NOT_COPIED
from tasks.model.errors import InterruptedRunError, KafkaBackupError
from tasks.repository.restores import RestorePlan, TopicCopy
from tasks.repository.state_objects import TopicState

_INTERNAL_TOPICS = frozenset({"__consumer_offsets", "__transaction_state", "__share_group_state"})

_COMPARED_SETTINGS = (
    "cleanup.policy",
    "max.message.bytes",
    "message.timestamp.after.max.ms",
    "message.timestamp.before.max.ms",
    "message.timestamp.type",
    "min.insync.replicas",
    "retention.bytes",
    "retention.ms",
)
"""Settings whose effective values are compared with those at the source."""


def target_findings(
    plan: RestorePlan, source: RestoreSource, view: TargetView, options: RestoreOptions, admin: ClusterAdmin
) -> Iterator[Finding]:
    """The findings of every target topic. The brokers only check the planned changes (`validate_only`)."""
    for topic in plan.topics:
        yield from _topic_findings(topic, view, options)
    yield from _settings_findings(source, plan, view, options)
    yield from _unknown_retention_findings(plan, view)
    yield from _creation_errors(plan, admin)
    yield from _alteration_errors(plan, admin)


def _topic_findings(topic: TopicCopy, view: TargetView, options: RestoreOptions) -> Iterator[Finding]:
    existing = view.topics.get(topic.target)
    if topic.target in _INTERNAL_TOPICS:
        yield Finding(
            "error",
            topic.target,
            "Kafka does not let clients write to this internal topic. Exclude it, or map it to another name.",
        )
    if existing is None:
        if not options.create_topics:
            yield Finding("error", topic.target, "the topic does not exist and create_topics is false.")
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
            "producers can write new records of a key to another partition than its restored records.",
        )
    present = {entry.name: entry.value or "" for entry in view.settings[topic.target]}
    if topic.is_purged and "delete" not in present.get("cleanup.policy", "delete"):
        yield Finding("error", topic.target, "its cleanup.policy is only compact, and Kafka cannot purge such a topic.")


def _replication_findings(
    topic: TopicCopy, state: TopicState, options: RestoreOptions, view: TargetView
) -> Iterator[Finding]:
    configured = options.default_replication_factor or state.replication_factor
    if not topic.exists and topic.replication_factor < configured:
        yield Finding(
            "warning",
            topic.target,
            f"replication factor {topic.replication_factor} instead of {configured}, "
            f"because {view.nodes} brokers are alive.",
        )


def _settings_findings(
    source: RestoreSource, plan: RestorePlan, view: TargetView, options: RestoreOptions
) -> Iterator[Finding]:
    states = {chosen.target: chosen.state for chosen in source.chosen}
    for topic in plan.topics:
        state = states[topic.target]
        for name in sorted(state.topic_settings().keys() & NOT_COPIED.keys()):
            yield Finding("note", topic.target, f"{name} is not copied: {NOT_COPIED[name]}.")
        yield from _replication_findings(topic, state, options, view)
        yield from _different_settings(topic, state, plan)
        yield from _changed_values(topic, state, view)
        if _has_append_time(source, topic):
            yield Finding(
                "note",
                topic.target,
                "records with LogAppendTime are restored as CreateTime with their append time.",
            )
        if topic.deferred:
            yield Finding(
                "warning",
                topic.target,
                f"{', '.join(topic.deferred)} would delete restored records and will be deferred. "
                f"Apply with `kafka-backup finalize {plan.restore}`.",
            )


def _different_settings(topic: TopicCopy, state: TopicState, plan: RestorePlan) -> Iterator[Finding]:
    if plan.options.get("topic_configs") != "validate" or not topic.exists:
        return
    for name, value in sorted(state.topic_settings().items()):
        if name not in NOT_COPIED and topic.original.get(name) != value:
            present = topic.original.get(name, "not set")
            yield Finding("error", topic.target, f"{name} is {value} in the backup and {present} on the topic.")


def _changed_values(topic: TopicCopy, state: TopicState, view: TargetView) -> Iterator[Finding]:
    before = {entry.name: entry.value for entry in state.settings}
    for name in _COMPARED_SETTINGS:
        after = _effective(topic, view, name, before.get(name) or "")
        if before.get(name) is not None and after != before[name]:
            yield Finding("warning", topic.target, f"{name} was {before[name]} at the source and will be {after}.")


def _effective(topic: TopicCopy, view: TargetView, name: str, unknown: str) -> str:
    return topic.settings.get(name, view.defaults.get(name, unknown))


def _has_append_time(source: RestoreSource, topic: TopicCopy) -> bool:
    return any(
        line.timestamp_type in ("LogAppendTime", "mixed")
        for partition, lines in source.lines.items()
        if partition.topic_id == topic.topic_id
        for line in lines
    )


def _creation_errors(plan: RestorePlan, admin: ClusterAdmin) -> Iterator[Finding]:
    """Errors for new topics that the brokers would refuse, with their staging settings or with their final settings."""
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
                error_finding(name, error, prefix="cannot be created: ") for name, error in failed.items() if error
            )


def _alteration_errors(plan: RestorePlan, admin: ClusterAdmin) -> Iterator[Finding]:
    """Errors for existing topics whose staging or final settings the brokers would refuse."""
    for topic in plan.topics:
        for settings in (topic.staging, topic.settings) if topic.exists else ():
            try:
                admin.alter_topic_configs(topic.target, to_set=settings, to_delete=(), validate_only=True)
            except InterruptedRunError:
                raise
            except KafkaBackupError as error:
                yield error_finding(topic.target, error, prefix="its settings cannot be changed: ")


def creation_settings(topic: TopicCopy) -> dict[str, str]:
    """The settings with which a new topic is created: its own settings, overridden by the staging settings."""
    return {**topic.settings, **topic.staging}


def _unknown_retention_findings(plan: RestorePlan, view: TargetView) -> Iterator[Finding]:
    if "retention.ms" not in view.defaults and any(topic.deferred for topic in plan.topics):
        yield Finding(
            "warning",
            "retention",
            "the brokers' retention is not known, because DescribeConfigs on Cluster kafka-cluster is missing. "
            "Settings that could delete restored records are deferred.",
        )
