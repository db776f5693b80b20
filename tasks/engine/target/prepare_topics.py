"""Prepares the target topics of a restore: creates or stages them, purges them if configured, reads their ids and base
offsets. Takes over the topics that an earlier attempt of the same restore created. After an error it undoes what it has
changed, except a purge, which cannot be undone. After a stop it undoes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from tasks.broker.admin_values import DYNAMIC_TOPIC_CONFIG, ConfigChange, ConfigEntry, TopicDescription
from tasks.broker.ports import ClusterAdmin, LogWriter
from tasks.engine.run_context import ClusterContext
from tasks.engine.target.accepted_settings import creation_settings, creation_spec
from tasks.engine.target.permissions import require_restorable
from tasks.model.errors import InterruptedRunError, KafkaBackupError, RefusedError
from tasks.model.partition import Partition, require_topic_ids
from tasks.repository.restores import RestorePlan, TargetPartition, Targets, TopicCopy


def prepare_targets(
    context: ClusterContext,
    admin: ClusterAdmin,
    plan: RestorePlan,
    *,
    is_repeated: bool = False,
    undone: Callable[[KafkaBackupError], None] = lambda error: None,
) -> Targets:
    """Create the topics that do not exist and stage those that do. Returns the ids and base offsets of the targets, and
    the producer identity, which have to be stored before the first record is written.

    `is_repeated`: an earlier attempt of this restore ended while it prepared the topics, and wrote no record. A topic
    that it created is taken over if it is empty and has the partitions and the creation settings of the plan;
    otherwise `RefusedError` is raised. A purge is repeated. `undone` is called with an error that a repetition does not
    pass, if everything was undone after it.

    Raises `RefusedError` if an existing topic is not the planned one or is not empty, and `AccessError` if a permission
    is missing that could not be checked before the topic existed. After an error of the cluster the topics that were
    created are deleted again, if they are empty, and those that were staged get their own settings back; the error
    names what could not be undone. Records that were purged stay deleted. Raises `InterruptedRunError` after a stop;
    then nothing is undone.
    """
    done = _Done()
    with _undone_after_errors(context, admin, done, undone):
        _create(plan, admin, done, found_topics(context, admin, plan) if is_repeated else {})
        ids = _topic_ids(plan, admin)
        done.ids |= {name: ids[name] for name in done.created}
        _stage(plan, ids, admin, done)
        is_purging = any(topic.is_purged for topic in plan.topics)
        require_restorable(admin, [topic.target for topic in plan.topics], is_purging=is_purging)
        with context.writer() as writer:
            bases = _bases(plan, ids, writer, admin)
            identity = writer.init_producer_id()
    return Targets(
        restore=plan.restore,
        producer_id=identity.producer_id,
        producer_epoch=identity.epoch,
        partitions=tuple(
            TargetPartition(topic=part.topic, topic_id=part.topic_id, partition=part.partition, base=bases[part])
            for copy in plan.partitions
            for part in [Partition(copy.target_topic, ids[copy.target_topic], copy.target_partition)]
        ),
    )


@dataclass(slots=True)
class _Done:
    """What was changed so far: the created topics with their ids, as far as they are known, and the staged ones."""

    created: list[str] = field(default_factory=list)
    ids: dict[str, str] = field(default_factory=dict)
    staged: list[TopicCopy] = field(default_factory=list)


def found_topics(context: ClusterContext, admin: ClusterAdmin, plan: RestorePlan) -> dict[str, str | None]:
    """The topics that the plan creates and that exist already: why this restore did not create them, as a text, or None
    if it can have created them: they are empty and have the partitions and the creation settings of the plan."""
    planned = {topic.target: topic for topic in plan.topics if not topic.exists}
    described = admin.describe_topics(list(planned)) if planned else []
    configs = admin.known_topic_configs([topic.name for topic in described]) if described else {}
    parts = [Partition(topic.name, topic.topic_id, part.partition) for topic in described for part in topic.partitions]
    with context.reader() as log:
        latest = log.list_offsets(parts, "latest")
    for failure in latest.failures.values():
        raise failure
    filled = {part.topic for part in parts if latest.offsets[part] != 0}
    return {
        topic.name: _difference(
            topic, planned[topic.name], configs.get(topic.name, ()), is_empty=topic.name not in filled
        )
        for topic in described
    }


def _difference(
    topic: TopicDescription, planned: TopicCopy, configs: Sequence[ConfigEntry], *, is_empty: bool
) -> str | None:
    """Why a topic is not the one that the plan creates, as a text; None if it can be. Pure."""
    if not is_empty:
        return "it is not empty"
    if len(topic.partitions) != planned.partitions:
        return f"it has {len(topic.partitions)} partitions instead of {planned.partitions}"
    own = {entry.name: entry.value for entry in configs if entry.source == DYNAMIC_TOPIC_CONFIG}
    name = next((name for name, value in creation_settings(planned).items() if own.get(name) != value), None)
    return None if name is None else f"its {name} is {own.get(name)} instead of {creation_settings(planned)[name]}"


def _create(plan: RestorePlan, admin: ClusterAdmin, done: _Done, found: Mapping[str, str | None]) -> None:
    done.created += [name for name, difference in found.items() if difference is None]
    for name, difference in found.items():
        if difference is not None:
            raise RefusedError(
                f"{name} exists, and this restore did not create it: {difference}. Delete the topic or restore into "
                f"another one: `kafka-backup abandon {plan.restore}`, and restore again."
            )
    missing = [topic for topic in plan.topics if not topic.exists and topic.target not in found]
    specs = [creation_spec(topic, creation_settings(topic)) for topic in missing]
    answers = admin.create_topics(specs) if specs else {}
    done.created += [name for name, error in answers.items() if error is None]
    _raise_first(answers)


def _stage(plan: RestorePlan, ids: Mapping[str, str], admin: ClusterAdmin, done: _Done) -> None:
    existing = [topic for topic in plan.topics if topic.exists]
    for topic in existing:
        if ids[topic.target] != topic.target_id:
            raise RefusedError(
                f"{topic.target} was deleted and created again since this restore was planned. Start a new restore."
            )
    answers = admin.alter_topics({topic.target: ConfigChange(to_set=topic.staging) for topic in existing})
    done.staged += [topic for topic in existing if topic.staging and answers[topic.target] is None]
    _raise_first(answers)


def _raise_first(answers: Mapping[str, KafkaBackupError | None]) -> None:
    for error in answers.values():
        if error is not None:
            raise error


@contextmanager
def _undone_after_errors(
    context: ClusterContext, admin: ClusterAdmin, done: _Done, undone: Callable[[KafkaBackupError], None]
) -> Iterator[None]:
    """Undo what was done if the body fails. The error is raised again, and its message then names what could not be
    undone. If everything was undone and the error is not retryable, `undone` is called with it. After
    `InterruptedRunError` nothing is undone, because that needs requests that would be interrupted too."""
    try:
        yield
    except InterruptedRunError:
        raise
    except KafkaBackupError as error:
        remaining = [*_delete_created(context, admin, done), *_restore_settings(admin, done)]
        if remaining:
            error.args = (f"{error} {' '.join(remaining)}",)
        elif not error.retryable:
            undone(error)
        raise


def _delete_created(context: ClusterContext, admin: ClusterAdmin, done: _Done) -> list[str]:
    """Delete the created topics that still have the same ids and contain no records. Returns sentences about the
    others."""
    if not done.created:
        return []
    try:
        empty = _empty_topics(context, admin, done)
        answers = admin.delete_topics(empty) if empty else {}
    except InterruptedRunError:
        raise
    except KafkaBackupError as error:
        return [f"The created topics {', '.join(done.created)} remain: {error}"]
    left = [name for name in done.created if name not in answers or answers[name] is not None]
    return [f"The created topics {', '.join(left)} remain."] if left else []


def _empty_topics(context: ClusterContext, admin: ClusterAdmin, done: _Done) -> list[str]:
    same = [
        topic
        for topic in admin.describe_topics(done.created)
        if done.ids.get(topic.name, topic.topic_id) == topic.topic_id
    ]
    parts = [Partition(topic.name, topic.topic_id, part.partition) for topic in same for part in topic.partitions]
    with context.reader() as log:
        latest = log.list_offsets(parts, "latest")
    filled = {part.topic for part in parts if latest.offsets.get(part) != 0}
    return [topic.name for topic in same if topic.name not in filled]


def _restore_settings(admin: ClusterAdmin, done: _Done) -> list[str]:
    """Give staged topics the settings that they had. Returns sentences about those that keep staging settings."""
    changes = {topic.target: _unstaging(topic) for topic in done.staged}
    try:
        answers = admin.alter_topics(changes) if changes else {}
    except InterruptedRunError:
        raise
    except KafkaBackupError as error:
        return [f"The topics {', '.join(changes)} keep staging settings: {error}"]
    left = [name for name, error in answers.items() if error is not None]
    return [f"The topics {', '.join(left)} keep staging settings."] if left else []


def _unstaging(topic: TopicCopy) -> ConfigChange:
    to_set = {name: topic.original[name] for name in topic.staging if name in topic.original}
    return ConfigChange(to_set=to_set, to_delete=[name for name in topic.staging if name not in to_set])


def _topic_ids(plan: RestorePlan, admin: ClusterAdmin) -> Mapping[str, str]:
    """The ids of the target topics. Waits until the broker that is asked knows all new topics."""
    names = [topic.target for topic in plan.topics]
    ids: dict[str, str] = {}

    def are_known() -> bool:
        ids.update({topic.name: topic.topic_id for topic in admin.describe_topics(names)})
        return set(names) <= ids.keys()

    admin.await_that(are_known, f"The topics {', '.join(names)} were created, but the brokers do not list all of them.")
    require_topic_ids(ids.items())
    return ids


def _bases(plan: RestorePlan, ids: Mapping[str, str], writer: LogWriter, admin: ClusterAdmin) -> dict[Partition, int]:
    partitions = [
        Partition(copy.target_topic, ids[copy.target_topic], copy.target_partition) for copy in plan.partitions
    ]
    purged = {topic.target for topic in plan.topics if topic.is_purged}
    latest = writer.list_offsets(partitions, "latest")
    if purged:
        admin.delete_records(
            {(part.topic, part.partition): latest.offsets[part] for part in partitions if part.topic in purged}
        )
    earliest = writer.list_offsets(partitions, "earliest")
    for failure in [*latest.failures.values(), *earliest.failures.values()]:
        raise failure
    for part in partitions:
        if earliest.offsets[part] != latest.offsets[part]:
            raise RefusedError(
                f"{part}: it is not empty. Restore into another topic, or stop its producers and set "
                "purge_topics: true."
            )
    return latest.offsets
