"""Finalize a restore: the topics get their own settings back. What would delete restored records comes last of all."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.broker.admin_values import DYNAMIC_TOPIC_CONFIG
from tasks.broker.ports import ClusterAdmin
from tasks.engine.target.staging import deferred_changes, final_changes
from tasks.model.errors import ConfigError, RefusedError
from tasks.repository.entries import NoteEntry
from tasks.repository.repository import Repository
from tasks.repository.restores import (
    RestorePlan,
    StepDone,
    Targets,
    TopicCopy,
    read_part,
    read_restore_plan,
    record_step,
)
from tasks.repository.set_state import SetState


def finish_settings(plan: RestorePlan, targets: Targets, admin: ClusterAdmin) -> list[TopicCopy]:
    """Give every topic its settings, all but the deferred ones. Returns the topics that have deferred ones.

    May be called again. Raises `RefusedError` when a topic is not the one that was restored.
    """
    _check_topics(plan.topics, targets, admin)
    for topic in plan.topics:
        to_set, to_delete = final_changes(topic.settings, topic.staging, topic.deferred)
        admin.alter_topic_configs(topic.target, to_set=to_set, to_delete=to_delete)
    return [topic for topic in plan.topics if topic.deferred]


def finalize_restore(repository: Repository, restore: str, admin: ClusterAdmin) -> list[TopicCopy]:
    """Apply what a restore deferred, and note it. Returns the topics that changed; none when it was done before.

    Topics that a restore left staged, because it died after it had verified them, get all their settings. Raises
    `NotFoundError` for an unknown restore, `ConfigError` when it never got that far or belongs to another cluster,
    `RefusedError` when it did not verify, or when a topic is not the one that was restored.
    """
    plan = read_restore_plan(repository.store, restore)
    targets = read_part(repository.store, restore, "targets", Targets)
    verified = read_part(repository.store, restore, "verified", StepDone)
    if targets is None or verified is None:
        raise ConfigError(f"The restore {restore} did not end; there is nothing to finalize.")
    if admin.cluster_id() != plan.cluster_id:
        raise ConfigError(f"The restore {restore} went to cluster {plan.cluster_id}, this is another one.")
    if read_part(repository.store, restore, "finalized", StepDone) is not None:
        return []
    if verified.report.get("mismatches"):
        raise RefusedError(
            f"The restore {restore} did not verify, so its topics keep their staging settings; restore them again."
        )
    staged = _still_staged(plan.topics, admin)
    changing = [topic for topic in plan.topics if topic.deferred or topic in staged]
    _check_topics(changing, targets, admin)
    for topic in changing:
        to_set, to_delete = (
            final_changes(topic.settings, topic.staging, ())
            if topic in staged
            else deferred_changes(topic.settings, topic.deferred)
        )
        admin.alter_topic_configs(topic.target, to_set=to_set, to_delete=to_delete)
    record_finalized(repository, plan)
    return changing


def positions_are_missing(repository: Repository, restore: str) -> bool:
    """Whether the restore was asked to write positions of groups and died before it did."""
    plan = read_restore_plan(repository.store, restore)
    is_asked_for = bool(plan.options.get("reset_consumer_offsets"))
    return is_asked_for and read_part(repository.store, restore, "groups", StepDone) is None


def record_finalized(repository: Repository, plan: RestorePlan) -> None:
    """Note in the restore, and in the set's log, that nothing of it is deferred any more."""
    names = [topic.target for topic in plan.topics]
    record_step(
        repository.store,
        StepDone(restore=plan.restore, step="finalized", time_ms=repository.now_ms(), report={"topics": names}),
    )
    log = repository.log(plan.set)

    def build(state: SetState) -> NoteEntry:
        return NoteEntry(
            **repository.next_entry(plan.set, state),
            newest_point=state.newest_point,
            point=plan.point,
            text=f"restore {plan.restore} finalized",
        )

    log.append(build)


def _still_staged(topics: Sequence[TopicCopy], admin: ClusterAdmin) -> list[TopicCopy]:
    """The topics that have every staging setting on them: `finish_settings` never reached them."""
    described = {topic.name for topic in admin.describe_topics([topic.target for topic in topics])}
    configs = admin.topic_configs(sorted(described))
    own = {
        name: {entry.name: entry.value for entry in entries if entry.source == DYNAMIC_TOPIC_CONFIG}
        for name, entries in configs.items()
    }
    return [topic for topic in topics if topic.staging.items() <= own.get(topic.target, {}).items()]


def _check_topics(topics: Sequence[TopicCopy], targets: Targets, admin: ClusterAdmin) -> None:
    restored = {target.topic: target.topic_id for target in targets.partitions}
    described = {topic.name: topic.topic_id for topic in admin.describe_topics([topic.target for topic in topics])}
    for topic in topics:
        if described.get(topic.target) != restored[topic.target]:
            raise RefusedError(f"{topic.target} is not the topic that was restored any more; its settings stay.")
