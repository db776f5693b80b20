"""Removes what a drill made: its scratch groups, and its scratch topics by topic id. Also after the drill died.

A topic is one of the drill if the drill recorded its id, or if it has the scratch name, which contains the drill's id,
and the drill died before it recorded ids. A topic that has the name and another id was made by somebody else, for
example by a consumer on a cluster that creates topics automatically. It is removed if it is empty, and kept otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from threading import Event

from tasks.broker.admin_values import TopicDescription
from tasks.broker.ports import ClusterAdmin
from tasks.engine.drilling.drill_result import CleanUp
from tasks.engine.run_context import ClusterContext
from tasks.model.errors import KafkaBackupError, TopicGoneError
from tasks.model.partition import Partition
from tasks.repository.drills import DrillRecord, forget_drill
from tasks.repository.restores import Targets, read_part

LOOKS = 3
"""How often it is checked that the topics are gone. A client that creates topics automatically can make one again."""

PAUSE_S = 1.0
"""The time between two of these checks, in seconds."""


def clean_up(context: ClusterContext, record: DrillRecord) -> CleanUp:
    """Remove what the drill made, and then its record, so that nothing of it is left. May be called again.

    It does not end on `context.stop`: a drill that is stopped is cleaned up too. Problems are in the result, and then
    the record stays, so that the next clean-up tries again.
    """
    own = replace(context, stop=Event())
    removed: dict[str, str] = {}
    groups: tuple[str, ...] = ()
    problems: list[str] = []
    try:
        with own.admin() as admin:
            if admin.cluster_id() != record.cluster_id:
                raise KafkaBackupError(f"the drill {record.restore} ran on another cluster, {record.cluster_id}")
            groups = _remove_groups(admin, record, problems)
            _remove_topics(own, admin, record, removed, problems)
    except KafkaBackupError as error:
        problems.append(f"The clean-up failed: {error}")
    if not problems:
        forget_drill(context.repository.restore_state, record.restore)
    return CleanUp(topics=removed, groups=groups, problems=tuple(problems))


def _remove_groups(admin: ClusterAdmin, record: DrillRecord, problems: list[str]) -> tuple[str, ...]:
    scratch = set(record.groups.values())
    present = [one.group_id for one in admin.list_groups() if one.group_id in scratch] if scratch else []
    answers = admin.delete_groups(present) if present else {}
    problems += [f"The group {name} remains: {error}" for name, error in answers.items() if error is not None]
    return tuple(name for name, error in answers.items() if error is None)


def _remove_topics(
    context: ClusterContext,
    admin: ClusterAdmin,
    record: DrillRecord,
    removed: dict[str, str],
    problems: list[str],
) -> None:
    """Remove the scratch topics, and look again until they stay away. `removed` gets each name with its topic id."""
    known = _recorded_ids(context, record)
    names = list(record.topics.values())
    quiet = 0
    for _ in range(LOOKS * 4):
        present = admin.describe_topics(names)
        ours = [topic for topic in present if topic.topic_id == known.get(topic.name, topic.topic_id)]
        others = [topic for topic in present if topic not in ours]
        empty = _empty(context, others)
        kept = [topic for topic in others if topic not in empty]
        if not present:
            quiet += 1
            if quiet == LOOKS:
                return
            context.stop.wait(PAUSE_S)
            continue
        quiet = 0
        _delete(admin, [*ours, *empty], removed, problems)
        problems += [f"The topic {topic.name} was made by somebody else and has records. It stays." for topic in kept]
        if problems:
            return
    problems.append(f"The scratch topics {', '.join(names)} come back after each removal: a client creates them again.")


def _delete(
    admin: ClusterAdmin, topics: Sequence[TopicDescription], removed: dict[str, str], problems: list[str]
) -> None:
    answers = admin.delete_topics_by_id([topic.topic_id for topic in topics])
    for topic in topics:
        error = answers[topic.topic_id]
        if error is None or isinstance(error, TopicGoneError):
            removed.setdefault(topic.name, topic.topic_id)
        else:
            problems.append(f"The topic {topic.name} remains: {error}")


def _recorded_ids(context: ClusterContext, record: DrillRecord) -> Mapping[str, str]:
    """The ids of the topics by name. Empty if the drill died before it recorded them."""
    targets = read_part(context.repository.restore_state, record.restore, "targets", Targets)
    return {} if targets is None else {target.topic: target.topic_id for target in targets.partitions}


def _empty(context: ClusterContext, topics: Sequence[TopicDescription]) -> list[TopicDescription]:
    if not topics:
        return []
    parts = [Partition(topic.name, topic.topic_id, part.partition) for topic in topics for part in topic.partitions]
    with context.reader() as log:
        latest = log.list_offsets(parts, "latest")
    filled = {part.topic for part in parts if latest.offsets.get(part) != 0}
    return [topic for topic in topics if topic.name not in filled]
