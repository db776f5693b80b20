"""Findings about the target topics of a restore, as they are now and with the settings that they would get: names that
collide, internal topics, replicas, different and unknown settings, retention."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from tasks.broker.admin_values import POSITIONS_TOPIC
from tasks.engine.options import RestoreOptions
from tasks.engine.target.accepted_settings import unknown_setting
from tasks.engine.target.findings import Finding
from tasks.engine.target.mapping import ChosenTarget, mapped_partition
from tasks.engine.target.restore_plan import RestoreSource, TargetView
from tasks.engine.target.staging import BEFORE, DIFFERENCE, applicable_settings, is_unknown, reason_not_applied
from tasks.model.counting import counted
from tasks.repository.restores import RestorePlan, TopicCopy
from tasks.repository.state_objects import TopicState

_INTERNAL_TOPICS = frozenset({POSITIONS_TOPIC, "__transaction_state", "__share_group_state"})

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
    plan: RestorePlan, source: RestoreSource, view: TargetView, options: RestoreOptions
) -> Iterator[Finding]:
    """The findings of every target topic. Pure."""
    states = {target.name: target.state for target in source.targets}
    for topic in plan.topics:
        yield from _topic_findings(topic, view, options)
    yield from _colliding_names(plan, view)
    for target in source.targets:
        yield from _shared_target(target, options)
    for topic in plan.topics:
        yield from _replica_findings(topic, states[topic.target], options, view)
    yield from _settings_findings(source, plan, view)
    yield from _unknown_retention_findings(plan, view)


def _colliding_names(plan: RestorePlan, view: TargetView) -> Iterator[Finding]:
    """Warnings for new topics whose names differ from another one only in `.` and `_`: Kafka's metrics have one name
    for both."""
    by_metric: dict[str, set[str]] = {}
    for name in {*view.names, *(topic.target for topic in plan.topics)}:
        by_metric.setdefault(name.replace(".", "_"), set()).add(name)
    for topic in plan.topics:
        others = sorted(by_metric[topic.target.replace(".", "_")] - {topic.target})
        if others and not topic.exists:
            yield Finding(
                "warning",
                topic.target,
                f"its name differs from {', '.join(others)} only in '.' and '_', so their metrics in Kafka "
                "have the same name. Map one of them to another name with topic_mapping.",
            )


def _shared_target(target: ChosenTarget, options: RestoreOptions) -> Iterator[Finding]:
    """Warnings for a target that gets the records of several sources, because their order by time is lost."""
    if len(target.topics) > 1:
        names = [topic.state.topic for topic in target.topics]
        yield Finding(
            "warning",
            target.name,
            f"it gets the records of {', '.join(names)}, one topic after the other in each partition and not in the "
            f"order of their times, and the settings of {names[0]}.",
        )
        compacted = [topic.state.topic for topic in target.topics if topic.state.is_compacted]
        if compacted:
            yield Finding(
                "warning",
                target.name,
                f"{', '.join(compacted)}: compaction keeps the last record of a key, and a key that several of the "
                f"topics have gets its value from the last of them, {names[-1]}.",
            )
    for topic in target.topics:
        sources = Counter(mapped_partition(row.partition, options.partition_mapping) for row in topic.rows)
        shared = sorted(number for number, count in sources.items() if count > 1)
        if shared:
            yield Finding(
                "warning",
                target.name,
                f"partition_mapping writes several partitions of {topic.state.topic} into "
                f"{counted(len(shared), 'partition')}, one after the other and not in the order of their times.",
            )


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
            message = "the topic does not exist and create_topics is false. Create the topic with "
            message += f"{counted(topic.partitions, 'partition')} or more, or set create_topics to true."
            yield Finding("error", topic.target, message)
        return
    if len(existing.partitions) < topic.partitions:
        yield Finding(
            "error",
            topic.target,
            f"it has {counted(len(existing.partitions), 'partition')}, the restore needs {topic.partitions}. Add "
            "partitions to it, or restore into another topic with topic_mapping.",
        )
    elif len(existing.partitions) > topic.partitions:
        yield Finding(
            "warning",
            topic.target,
            f"it has {counted(len(existing.partitions), 'partition')}, the backup has {topic.partitions}: "
            "producers can write new records of a key to another partition than its restored records.",
        )
    present = {entry.name: entry.value or "" for entry in view.settings[topic.target]}
    if topic.is_purged and "delete" not in present.get("cleanup.policy", "delete"):
        yield Finding(
            "error",
            topic.target,
            "its cleanup.policy is only compact, and Kafka cannot purge such a topic. Restore into another topic.",
        )


def _replica_findings(
    topic: TopicCopy, state: TopicState, options: RestoreOptions, view: TargetView
) -> Iterator[Finding]:
    """Findings about the number of replicas, and whether brokers would accept records with it."""
    configured = options.default_replication_factor or state.replication_factor
    if not topic.exists and topic.replication_factor < configured:
        yield Finding(
            "warning",
            topic.target,
            f"replication factor {topic.replication_factor} instead of {configured}, "
            f"because {counted(view.nodes, 'broker is', 'brokers are')} alive.",
        )
    least = _least_in_sync(topic, view)
    if least is None:
        return
    name = f"min.insync.replicas={least}"
    if not topic.exists and topic.replication_factor < least:
        is_refused = _refuses_few_replicas(view)
        consequence = (
            "brokers before Kafka 3.6 refuse every record" if is_refused else "one lost broker can lose records"
        )
        yield Finding(
            "error" if is_refused else "warning",
            topic.target,
            f"replication factor {topic.replication_factor} is below {name} of the target: {consequence}. "
            f"Set default_replication_factor to {least} or more.",
        )
    existing = view.topics.get(topic.target)
    for part in existing.partitions if existing else ():
        needed = least if _refuses_few_replicas(view) else min(least, len(part.replicas))
        if part.leader is not None and len(part.isr) < needed:
            yield Finding(
                "error",
                f"{topic.target}-{part.partition}",
                f"it has {len(part.isr)} in-sync replicas of {len(part.replicas)}, and with {name} brokers refuse "
                "every record. Start the other brokers, or lower min.insync.replicas of the topic.",
            )


def _least_in_sync(topic: TopicCopy, view: TargetView) -> int | None:
    """`min.insync.replicas` during the replay, None if it is not known."""
    present = {entry.name: entry.value for entry in view.settings.get(topic.target, ())}
    own = topic.original if topic.exists else topic.settings
    value = own.get("min.insync.replicas") or present.get("min.insync.replicas")
    value = value or view.defaults.get("min.insync.replicas")
    return None if value is None else int(value)


def _refuses_few_replicas(view: TargetView) -> bool:
    """Whether the brokers require `min.insync.replicas` in-sync replicas also of a partition with fewer replicas. Later
    Kafka versions require all replicas of such a partition instead."""
    return view.known_settings is not None and BEFORE not in view.known_settings and DIFFERENCE in view.known_settings


def _settings_findings(source: RestoreSource, plan: RestorePlan, view: TargetView) -> Iterator[Finding]:
    states = {target.name: target.state for target in source.targets}
    for topic in plan.topics:
        state = states[topic.target]
        for name in sorted(state.topic_settings()):
            reason = reason_not_applied(name, view.known_settings)
            if reason is not None:
                yield Finding("note", topic.target, f"{name} is not copied: {reason}.")
            elif is_unknown(name, view.known_settings) and plan.options.get("topic_configs") != "ignore":
                yield unknown_setting(topic.target, name)
        yield from _different_settings(topic, state, plan, view)
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
                "Apply them after the restore with `kafka-backup finalize`.",
            )


def _different_settings(topic: TopicCopy, state: TopicState, plan: RestorePlan, view: TargetView) -> Iterator[Finding]:
    if plan.options.get("topic_configs") != "validate" or not topic.exists:
        return
    for name, value in sorted(applicable_settings(state.topic_settings(), view.known_settings).items()):
        if topic.original.get(name) != value:
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
        for target in source.targets
        if target.name == topic.target
        for row in target.rows
        for line in source.lines[row.source]
    )


def _unknown_retention_findings(plan: RestorePlan, view: TargetView) -> Iterator[Finding]:
    if "retention.ms" not in view.defaults and any(topic.deferred for topic in plan.topics):
        yield Finding(
            "warning",
            "retention",
            "the brokers' retention is not known, because DescribeConfigs on Cluster kafka-cluster is missing. "
            "Settings that could delete restored records are deferred.",
        )
