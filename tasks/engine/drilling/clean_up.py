"""Removes what a drill made: its scratch groups, and its scratch topics by topic id. Also after the drill died.

A topic with the recorded id is one of the drill. Another topic with a scratch name of the drill is removed only if it
has never had a record. Either the drill died before it recorded the id, and so before it wrote a record, or a client
created the topic automatically. A topic that has records and another id was made by somebody else and stays.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from threading import Event

from tasks.broker.admin_values import TopicDescription
from tasks.broker.ports import ClusterAdmin
from tasks.engine.drilling.drill_result import CleanUp
from tasks.engine.run_context import ClusterContext
from tasks.model.errors import KafkaBackupError, TopicGoneError
from tasks.model.partition import Partition
from tasks.repository.drills import DrillRecord, forget_drill
from tasks.repository.pins import remove_pins, restore_purpose
from tasks.repository.restores import Targets, read_part

PAUSE_S = 1.0
"""The time from one look at the cluster to the next, in seconds."""

QUIET_LOOKS = 3
"""How often in a row no topic has to be found."""

PAUSE_AFTER_RETURN_S = 3.0
"""The pause if a topic has come back. A consumer that follows a pattern and is allowed to create topics asks for a
deleted topic, and each of these requests can create it again, until the consumer has seen that the topic is gone. If it
is deleted faster than this, the consumer never sees that (tried with librdkafka 2)."""

QUIET_LOOKS_AFTER_RETURN = 5
"""How often in a row no topic has to be found if one has come back, because it can come back later again."""

MOST_LOOKS = 20
"""After so many looks the clean-up gives up. What comes back then is empty, and the next clean-up removes it."""


@dataclass(slots=True)
class Removal:
    """What has been removed so far. `removed` has the topic id of each name that was removed first, `again` the names
    that were removed more than once. `kept` and `problems` are sentences, see `CleanUp`."""

    removed: dict[str, str] = field(default_factory=dict)
    again: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def result(self) -> CleanUp:
        """The values."""
        return CleanUp(
            topics=dict(self.removed),
            groups=tuple(self.groups),
            problems=tuple(self.problems),
            kept=tuple(self.kept),
            came_back=tuple(dict.fromkeys(self.again)),
        )


def clean_up(context: ClusterContext, record: DrillRecord) -> CleanUp:
    """Remove what the drill made, and then its record, so that nothing of it is left. May be called again.

    It does not end on `context.stop`: a drill that is stopped is cleaned up too. Problems are in the result, and then
    the record stays, so that the next clean-up tries again.
    """
    own = replace(context, stop=Event())
    done = Removal()
    try:
        with own.admin() as admin:
            if admin.cluster_id() != record.cluster_id:
                raise KafkaBackupError(f"the drill {record.restore} ran on another cluster, {record.cluster_id}")
            _remove_groups(admin, record, done)
            _remove_topics(own, admin, record, done)
    except KafkaBackupError as error:
        done.problems.append(f"The clean-up failed: {error}")
    if not done.problems:
        remove_pins(context.repository.store, restore_purpose(record.restore))
        forget_drill(context.repository.restore_state, record.restore)
    return done.result()


def _remove_groups(admin: ClusterAdmin, record: DrillRecord, done: Removal) -> None:
    """Remove the scratch groups. A group with a position on another topic was not made by the drill and stays."""
    scratch, topics = set(record.groups.values()), set(record.topics.values())
    present = [one.group_id for one in admin.list_groups() if one.group_id in scratch] if scratch else []
    positions = admin.committed_offsets(present) if present else {}
    ours = []
    for name in present:
        found = positions[name]
        if isinstance(found, KafkaBackupError):
            done.problems.append(f"The group {name} remains: {found}")
        elif any(one.topic not in topics for one in found):
            done.kept.append(f"The group {name} has positions of other topics, so somebody else made it. It stays.")
        else:
            ours.append(name)
    answers = admin.delete_groups(ours) if ours else {}
    done.problems += [f"The group {name} remains: {error}" for name, error in answers.items() if error is not None]
    done.groups += [name for name, error in answers.items() if error is None]


def _remove_topics(context: ClusterContext, admin: ClusterAdmin, record: DrillRecord, done: Removal) -> None:
    """Remove the scratch topics, and look again until they stay away."""
    known = _recorded_ids(context, record)
    names = list(record.topics.values())
    quiet = 0
    for _ in range(MOST_LOOKS):
        found = [topic for topic in admin.describe_topics(names) if kept_sentence(topic) not in done.kept]
        quiet = 0 if found else quiet + 1
        remove_topics(context, admin, found, known, done)
        if done.problems or quiet == (QUIET_LOOKS_AFTER_RETURN if done.again else QUIET_LOOKS):
            return
        context.stop.wait(PAUSE_AFTER_RETURN_S if done.again else PAUSE_S)
    done.problems.append(
        f"The scratch topics {', '.join(names)} come back empty after each removal, because a client creates them "
        "again. Exclude scratch topics from its pattern or stop it, and run `kafka-backup drill --clean`."
    )


def kept_sentence(topic: TopicDescription) -> str:
    """Says that the topic stays."""
    return f"The topic {topic.name} was made by somebody else and has records. It stays."


def remove_topics(
    context: ClusterContext,
    admin: ClusterAdmin,
    topics: Sequence[TopicDescription],
    known: Mapping[str, str],
    done: Removal,
) -> None:
    """Delete those topics that have the `known` id of their name, and those that have never had a record. The others
    are kept."""
    others = [topic for topic in topics if topic.topic_id != known.get(topic.name)]
    filled, gone = _filled_and_gone(context, others)
    done.kept += [kept_sentence(topic) for topic in others if topic.name in filled]
    _delete(admin, [topic for topic in topics if topic.name not in filled | gone], done)


def _delete(admin: ClusterAdmin, topics: Sequence[TopicDescription], done: Removal) -> None:
    answers = admin.delete_topics_by_id([topic.topic_id for topic in topics]) if topics else {}
    for topic in topics:
        error = answers[topic.topic_id]
        if error is not None and not isinstance(error, TopicGoneError):
            done.problems.append(f"The topic {topic.name} remains: {error}")
        elif topic.name in done.removed:
            done.again.append(topic.name)
        else:
            done.removed[topic.name] = topic.topic_id


def _recorded_ids(context: ClusterContext, record: DrillRecord) -> Mapping[str, str]:
    """The ids of the topics by name. Empty if the drill died before it recorded them."""
    targets = read_part(context.repository.restore_state, record.restore, "targets", Targets)
    return {} if targets is None else {target.topic: target.topic_id for target in targets.partitions}


def _filled_and_gone(
    context: ClusterContext, topics: Collection[TopicDescription]
) -> tuple[frozenset[str], frozenset[str]]:
    """(the names of those topics that have or had a record, of those that do not exist any more)."""
    if not topics:
        return frozenset(), frozenset()
    parts = [Partition(topic.name, topic.topic_id, part.partition) for topic in topics for part in topic.partitions]
    with context.reader() as log:
        latest = log.list_offsets(parts, "latest")
    gone = frozenset(part.topic for part, error in latest.failures.items() if isinstance(error, TopicGoneError))
    for part, error in latest.failures.items():
        if part.topic not in gone:
            raise error
    return frozenset(part.topic for part, offset in latest.offsets.items() if offset) - gone, gone
