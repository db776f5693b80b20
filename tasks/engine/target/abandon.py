"""Abandons a restore that did not end: its topics get their settings back, and on request those that it created are
deleted. Decides what happens to each topic, and which settings stay so that Kafka deletes no restored record."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tasks.broker.admin_values import DYNAMIC_TOPIC_CONFIG, ConfigChange, ConfigEntry
from tasks.broker.ports import ClusterAdmin
from tasks.engine.run_context import ClusterContext
from tasks.engine.target.finalize import record_end
from tasks.engine.target.prepare_topics import found_topics
from tasks.engine.target.recorded_restore import RecordedRestore, overlap, read_recorded, recorded_restores
from tasks.model.errors import ConfigError, RefusedError, TopicGoneError
from tasks.repository.drills import find_drill
from tasks.repository.leases import acquire, kept
from tasks.repository.names import restore_lease_key
from tasks.repository.pins import remove_pins, restore_purpose
from tasks.repository.restores import TopicCopy

_KEPT_NAMES = ("retention.ms", "retention.bytes")


@dataclass(frozen=True, slots=True)
class AbandonPlan:
    """What happens to the target topics. `deleted` are topic ids by name, `changes` the settings of the topics that
    stay. `kept` are the staged settings that a topic keeps. `left` are topics that are not touched, with the reason."""

    restore: str
    deleted: Mapping[str, str] = field(default_factory=dict)
    changes: Mapping[str, ConfigChange] = field(default_factory=dict)
    kept: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    left: Mapping[str, str] = field(default_factory=dict)


def abandon_restore(
    context: ClusterContext,
    admin: ClusterAdmin,
    restore: str,
    *,
    delete_topics: bool = False,
    waiting: Callable[[str], None] = lambda owner: None,
    planned: Callable[[AbandonPlan], None] = lambda plan: None,
) -> AbandonPlan:
    """Give up a restore that did not end, and return what was done. `planned` is called with the plan before anything
    is changed; it can raise an error. `waiting` is called with the owner of the lease if this process has to wait to
    see whether the owner is alive.

    Existing topics get the settings that they had. Created topics get those of the plan, except those that would delete
    restored records, or are deleted by their topic id. May be called again after a crash. Raises `NotFoundError` for
    an unknown restore, `LockedError` if it is running, `ConfigError` if it belongs to another cluster, and
    `RefusedError` if it has ended or belongs to a drill.
    """
    store = context.repository.restore_state
    recorded = read_recorded(store, restore)
    _require_abandonable(context, admin, recorded)
    key = restore_lease_key(restore)
    with kept(acquire(store, key, stop=context.stop, clock=context.clock, waiting=waiting), context.stop):
        recorded = read_recorded(store, restore)
        _require_abandonable(context, admin, recorded)
        plan = _plan(context, admin, recorded, delete_topics=delete_topics)
        planned(plan)
        _carry_out(admin, plan)
        record_end(context.repository, recorded.plan, "abandoned", {"kept": dict(plan.kept)})
        remove_pins(context.repository.store, restore_purpose(restore))
    return plan


def _require_abandonable(context: ClusterContext, admin: ClusterAdmin, recorded: RecordedRestore) -> None:
    restore = recorded.restore
    if find_drill(context.repository.restore_state, restore) is not None:
        raise RefusedError(f"The restore {restore} belongs to a drill. `kafka-backup drill --clean` removes it.")
    if "finalized" in recorded.steps:
        raise RefusedError(f"The restore {restore} has ended, so there is nothing to abandon. Nothing was changed.")
    if recorded.deferred and "abandoned" not in recorded.steps:
        raise RefusedError(
            f"The restore {restore} is complete and waits for `kafka-backup finalize {restore}`. Nothing was changed."
        )
    if admin.cluster_id() != recorded.plan.cluster_id:
        raise ConfigError(
            f"The restore {restore} wrote to cluster {recorded.plan.cluster_id}; the file names another cluster."
        )


def _plan(
    context: ClusterContext, admin: ClusterAdmin, recorded: RecordedRestore, *, delete_topics: bool
) -> AbandonPlan:
    topics = recorded.plan.topics
    present = {topic.name: topic.topic_id for topic in admin.describe_topics([topic.target for topic in topics])}
    left = _left(context, admin, recorded, present)
    own = [topic for topic in topics if topic.target not in left]
    deleted = {topic.target: present[topic.target] for topic in own if delete_topics and not topic.exists}
    staying = [topic for topic in own if topic.target not in deleted]
    configs = admin.topic_configs([topic.target for topic in staying]) if staying else {}
    settled = {
        topic.target: abandoned_settings(topic, configs[topic.target], has_records=recorded.targets is not None)
        for topic in staying
    }
    return AbandonPlan(
        recorded.restore,
        deleted=deleted,
        changes={name: change for name, (change, _) in settled.items() if change.to_set or change.to_delete},
        kept={name: names for name, (_, names) in settled.items() if names},
        left=left,
    )


def _left(
    context: ClusterContext, admin: ClusterAdmin, recorded: RecordedRestore, present: Mapping[str, str]
) -> dict[str, str]:
    """The topics that the restore does not own any more, with the reason."""
    later = _later_restores(context, recorded)
    written = {target.topic: target.topic_id for target in recorded.targets.partitions} if recorded.targets else {}
    found = found_topics(context, admin, recorded.plan) if recorded.targets is None else {}
    left: dict[str, str] = {}
    for topic in recorded.plan.topics:
        name, expected = topic.target, topic.target_id if topic.exists else written.get(topic.target)
        if name not in present:
            left[name] = "it does not exist"
        elif name in later:
            left[name] = f"the later restore {later[name]} writes or wrote to it"
        elif expected is not None and present[name] != expected:
            left[name] = "it was deleted and created again"
        elif expected is None and (difference := found.get(name)) is not None:
            left[name] = f"this restore did not create it: {difference}"
    return left


def _later_restores(context: ClusterContext, recorded: RecordedRestore) -> dict[str, str]:
    """The newest later restore into each topic that was not abandoned."""
    later: dict[str, str] = {}
    store, cluster = context.repository.restore_state, recorded.plan.cluster_id
    names = [topic.target for topic in recorded.plan.topics]
    for other in recorded_restores(store, cluster_id=cluster, unreadable=lambda restore, error: None):
        if other.restore <= recorded.restore:
            break
        if "abandoned" not in other.steps:
            later = {**dict.fromkeys(overlap(other, names), other.restore), **later}
    return later


def abandoned_settings(
    topic: TopicCopy, configs: Sequence[ConfigEntry], *, has_records: bool
) -> tuple[ConfigChange, tuple[str, ...]]:
    """(the change that takes the staging settings away, the names of those that stay). Pure.

    A value that somebody has changed since stays. `has_records`: the topic can contain restored records. Then a created
    topic keeps its staged retention, and with it `compact,delete` becomes `compact`. An existing topic gets exactly the
    settings that it had.
    """
    own = {entry.name: entry.value for entry in configs if entry.source == DYNAMIC_TOPIC_CONFIG}
    staged = [name for name, value in topic.staging.items() if own.get(name) == value]
    wanted = dict(topic.original if topic.exists else topic.settings)
    stay = tuple(name for name in _KEPT_NAMES if name in staged) if has_records and not topic.exists else ()
    if stay and "cleanup.policy" in staged and "delete" in wanted.get("cleanup.policy", "delete"):
        wanted["cleanup.policy"] = "compact"
        kept_names = (*stay, "cleanup.policy")
    else:
        kept_names = stay
    to_set = {name: wanted[name] for name in staged if name in wanted and name not in stay}
    to_delete = [name for name in staged if name not in wanted and name not in stay]
    return ConfigChange(to_set=to_set, to_delete=to_delete), kept_names


def _carry_out(admin: ClusterAdmin, plan: AbandonPlan) -> None:
    """Change and delete. Raises the first error after all were tried."""
    answers = list(admin.alter_topics(plan.changes).values()) if plan.changes else []
    if plan.deleted:
        answers += admin.delete_topics_by_id(list(plan.deleted.values())).values()
    for error in answers:
        if error is not None and not isinstance(error, TopicGoneError):
            raise error
