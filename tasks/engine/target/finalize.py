"""Gives the target topics of a restore their own settings after the replay. `finalize_restore` alone gives them the
deferred ones, which can delete restored records. Makes the sentence about positions that were not written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from tasks.broker.admin_values import DYNAMIC_TOPIC_CONFIG, ConfigChange
from tasks.broker.ports import ClusterAdmin
from tasks.engine.target.staging import deferred_changes, final_changes
from tasks.model.counting import counted
from tasks.model.errors import AccessError, ConfigError, RefusedError, StoreFullError
from tasks.model.quoting import quoted
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
    """Give every topic its settings except the deferred ones. Returns the topics with deferred settings.

    May be called again. Raises `RefusedError` if a topic is not the one that was restored.
    """
    _check_topics(plan.topics, targets, admin)
    _change(admin, {topic.target: _final(topic, topic.deferred) for topic in plan.topics})
    return [topic for topic in plan.topics if topic.deferred]


def finalize_restore(repository: Repository, restore: str, admin: ClusterAdmin) -> list[TopicCopy]:
    """Apply the deferred settings of a restore, and record it. Returns the topics that were changed. A second call
    changes nothing.

    If a restore died after it was verified, its topics can still be staged; they get all their settings. Raises
    `NotFoundError` for an unknown restore, `ConfigError` if it ended before it was verified or belongs to another
    cluster, `RefusedError` if it found mismatches or was abandoned, or if a topic is not the one that was restored.
    """
    plan = read_restore_plan(repository.restore_state, restore)
    targets = read_part(repository.restore_state, restore, "targets", Targets)
    verified = read_part(repository.restore_state, restore, "verified", StepDone)
    if read_part(repository.restore_state, restore, "abandoned", StepDone) is not None:
        raise RefusedError(f"The restore {restore} was abandoned, so it cannot be finalized. Nothing was changed.")
    if targets is None or verified is None:
        raise ConfigError(
            f"The restore {restore} ended before it was verified, so it cannot be finalized. Run the same restore "
            "again to continue it."
        )
    if admin.cluster_id() != plan.cluster_id:
        raise ConfigError(f"The restore {restore} wrote to cluster {plan.cluster_id}; the file names another cluster.")
    if read_part(repository.restore_state, restore, "finalized", StepDone) is not None:
        return []
    if verified.report.get("mismatches"):
        raise RefusedError(
            f"The restore {restore} found mismatches, so its topics keep their staging settings. Restore them again."
        )
    has_settings = read_part(repository.restore_state, restore, "settings", StepDone) is not None
    unfinished = [] if has_settings else _unfinished_topics(plan.topics, admin)
    to_change = [topic for topic in plan.topics if topic.deferred or topic in unfinished]
    _check_topics(to_change, targets, admin)
    _change(
        admin,
        {
            topic.target: _final(topic, ())
            if topic in unfinished
            else _as_change(deferred_changes(topic.settings, topic.deferred))
            for topic in to_change
        },
    )
    record_finalized(repository, plan)
    return to_change


def unwritten_positions(plan: RestorePlan, done: StepDone | None) -> str | None:
    """A sentence if the restore was configured to write group positions and did not write all of them; else None.
    `done` is its step `groups`, None if it did not record this step. Pure."""
    if not plan.options.get("reset_consumer_offsets"):
        return None
    restore = plan.restore
    if done is None:
        return f"Restore {restore} ended before it wrote the group positions. Set them before consumers start."
    recorded = done.report.get("positions")
    positions = [one for one in recorded if isinstance(one, dict)] if isinstance(recorded, list) else []
    failed = [one for one in positions if one.get("failure")]
    if not failed:
        return None
    first = f"group {quoted(str(failed[0].get('group')))}: {failed[0].get('failure')}"
    return (
        f"Restore {restore} could not write or confirm {len(failed):,} of {counted(len(positions), 'group position')}. "
        f"Check them, and set them before consumers start. First: {first}"
    )


def record_finalized(repository: Repository, plan: RestorePlan) -> None:
    """Record in the restore and in the set's log that the restore has no deferred settings left. If the restore keeps
    its state outside the repository, a log that cannot be written to is not an error."""
    record_end(repository, plan, "finalized", {"topics": [topic.target for topic in plan.topics]})


def record_end(
    repository: Repository, plan: RestorePlan, step: Literal["finalized", "abandoned"], report: dict[str, object]
) -> None:
    """Record the end of a restore, in the restore and in the set's log, as `record_finalized` describes."""
    record_step(
        repository.restore_state,
        StepDone(restore=plan.restore, step=step, time_ms=repository.now_ms(), report=report),
    )
    log = repository.log(plan.set)

    def build(state: SetState) -> NoteEntry:
        return NoteEntry(
            **repository.next_change(plan.set, state),
            point=plan.point,
            text=f"restore {plan.restore} {step}",
        )

    try:
        log.append(build)
    except (AccessError, StoreFullError):
        if repository.restore_store is None:
            raise


def _final(topic: TopicCopy, deferred: Sequence[str]) -> ConfigChange:
    """The change that gives a topic its settings, without the deferred ones."""
    present = topic.original if topic.exists else topic.settings
    return _as_change(final_changes(topic.settings, topic.staging, deferred, present))


def _as_change(change: tuple[Mapping[str, str], Sequence[str]]) -> ConfigChange:
    return ConfigChange(to_set=change[0], to_delete=change[1])


def _change(admin: ClusterAdmin, changes: Mapping[str, ConfigChange]) -> None:
    """Change all these topics. Raises the first error after all were tried."""
    for error in admin.alter_topics(changes).values():
        if error is not None:
            raise error


def _unfinished_topics(topics: Sequence[TopicCopy], admin: ClusterAdmin) -> list[TopicCopy]:
    """The topics that `finish_settings` possibly did not reach, because the restore died before. They still have all
    their staging settings. An existing topic without staging settings shows no difference, so it is always one of
    them."""
    described = {topic.name for topic in admin.describe_topics([topic.target for topic in topics])}
    configs = admin.topic_configs(sorted(described))
    own_settings = {
        name: {entry.name: entry.value for entry in entries if entry.source == DYNAMIC_TOPIC_CONFIG}
        for name, entries in configs.items()
    }
    return [
        topic
        for topic in topics
        if topic.staging.items() <= own_settings.get(topic.target, {}).items() and (topic.staging or topic.exists)
    ]


def _check_topics(topics: Sequence[TopicCopy], targets: Targets, admin: ClusterAdmin) -> None:
    restored = {target.topic: target.topic_id for target in targets.partitions}
    described = {topic.name: topic.topic_id for topic in admin.describe_topics([topic.target for topic in topics])}
    for topic in topics:
        if described.get(topic.target) != restored[topic.target]:
            raise RefusedError(
                f"The topic {topic.target} is not the one that was restored. Its settings were not changed."
            )
