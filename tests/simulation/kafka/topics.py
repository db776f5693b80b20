"""Topics of the cluster: incarnations with ids, partitions with leaders, and the checks of a new topic.

Source: Kafka's ReplicationControlManager.java and Topic.java.
"""

from __future__ import annotations

import random
import re
from base64 import urlsafe_b64encode
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from tasks.broker.admin_values import PartitionDescription, TopicDescription, TopicPartition
from tests.simulation.kafka.refusals import (
    INVALID_PARTITIONS,
    INVALID_REPLICATION_FACTOR,
    INVALID_TOPIC,
    TOPIC_ALREADY_EXISTS,
    Refused,
)
from tests.simulation.kafka.stored_log import StoredLog
from tests.simulation.kafka.topic_settings import TopicSettings

_LONGEST_NAME = 249
_LEGAL_NAME = re.compile(r"[a-zA-Z0-9._-]+")


@dataclass(slots=True)
class LedPartition:
    """One partition: its log as the leader has it, and the brokers that keep it. `leader` is None when none leads."""

    log: StoredLog
    replicas: tuple[int, ...]
    isr: tuple[int, ...]
    leader: int | None
    epoch: int = 0

    def elect(self, leader: int | None) -> None:
        """Another leader, or none: in either case the leader epoch goes up."""
        self.leader = leader
        self.epoch += 1
        if leader is not None:
            self.log.begin_epoch(self.epoch)

    def described(self, number: int) -> PartitionDescription:
        """As Metadata describes it."""
        return PartitionDescription(partition=number, leader=self.leader, replicas=self.replicas, isr=self.isr)


@dataclass(slots=True)
class Topic:
    """One incarnation of a topic."""

    name: str
    topic_id: str
    settings: TopicSettings
    partitions: list[LedPartition]
    is_internal: bool = False

    def described(self) -> TopicDescription:
        """As Metadata describes it."""
        return TopicDescription(
            name=self.name,
            topic_id=self.topic_id,
            is_internal=self.is_internal,
            partitions=tuple(part.described(number) for number, part in enumerate(self.partitions)),
        )


@dataclass(slots=True)
class Topics:
    """All topics by name. Topic ids come from `source`, so that the same history makes the same ids."""

    source: random.Random
    by_name: dict[str, Topic] = field(default_factory=dict)
    hidden_answers: dict[str, int] = field(default_factory=dict)

    def create(self, name: str, partitions: int, replicas: Iterable[tuple[int, ...]], settings: TopicSettings) -> Topic:
        """Make it, with the first replica of each partition as leader. `check_new_topic` comes before."""
        made = [
            LedPartition(StoredLog(is_3=settings.brokers.version.startswith("3.")), nodes, nodes, nodes[0])
            for _, nodes in zip(range(partitions), replicas, strict=False)
        ]
        for partition in made:
            partition.log.begin_epoch(0)
        topic = Topic(name, new_topic_id(self.source), settings, made)
        self.by_name[name] = topic
        return topic

    def place(self, place: TopicPartition) -> LedPartition | None:
        """The partition of whichever incarnation there is now."""
        topic = self.by_name.get(place[0])
        return topic.partitions[place[1]] if topic is not None and 0 <= place[1] < len(topic.partitions) else None

    def seen(self, name: str) -> Topic | None:
        """The topic, unless the broker that answers does not have it in its metadata yet."""
        if self.hidden_answers.get(name, 0) > 0:
            self.hidden_answers[name] -= 1
            return None
        return self.by_name.get(name)


def new_topic_id(source: random.Random) -> str:
    """22 characters of URL-safe base64; like Kafka's, it does not begin with a dash."""
    while True:
        text = urlsafe_b64encode(source.randbytes(16)).decode().rstrip("=")
        if not text.startswith("-"):
            return text


def check_new_topic(
    name: str, partitions: int, replication_factor: int, existing: Collection[str], nodes: Collection[int]
) -> None:
    """Raises `Refused` as the controller does. -1 stands for the brokers' default number."""
    _check_name(name)
    if name in existing:
        raise Refused(TOPIC_ALREADY_EXISTS, f"Topic '{name}' already exists")
    for other in existing:
        if other.replace(".", "_") == name.replace(".", "_"):
            raise Refused(INVALID_TOPIC, f"Topic '{name}' collides with existing topic: {other}")
    if partitions < -1 or partitions == 0:
        raise Refused(INVALID_PARTITIONS, "Number of partitions was set to an invalid non-positive value")
    if replication_factor < -1 or replication_factor == 0:
        raise Refused(
            INVALID_REPLICATION_FACTOR,
            "Replication factor must be larger than 0, or -1 to use the default value",
        )
    if replication_factor > len(nodes):
        raise Refused(
            INVALID_REPLICATION_FACTOR,
            f"The target replication factor of {replication_factor} cannot be reached because only {len(nodes)} "
            "broker(s) are registered",
        )


def _check_name(name: str) -> None:
    if not name:
        raise Refused(INVALID_TOPIC, "Topic name is invalid: the empty string is not allowed")
    if name in (".", ".."):
        raise Refused(INVALID_TOPIC, f"Topic name is invalid: '{name}' is not allowed")
    if len(name) > _LONGEST_NAME:
        raise Refused(INVALID_TOPIC, f"Topic name is invalid: the length of '{name}' is longer than {_LONGEST_NAME}")
    if not _LEGAL_NAME.fullmatch(name):
        raise Refused(
            INVALID_TOPIC, f"Topic name is invalid: '{name}' contains other than alphanumerics, '.', '_', '-'"
        )


def assigned(nodes: Mapping[int, bool], replication_factor: int, first: int) -> Iterable[tuple[int, ...]]:
    """Replicas of one partition after the other, over the brokers in turn; those that are alive come first."""
    alive = [node for node, is_alive in nodes.items() if is_alive] or list(nodes)
    everyone = alive + [node for node in nodes if node not in alive]
    turn = first
    while True:
        rotated = alive[turn % len(alive) :] + alive[: turn % len(alive)] + everyone[len(alive) :]
        yield tuple(rotated[:replication_factor])
        turn += 1
