"""The identity of a log: a partition of one incarnation of a topic. Refuses topics without ids."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from tasks.model.errors import UnsupportedError

NO_TOPIC_ID = "A" * 22
"""Kafka's value for "no id" as it prints it: 16 zero bytes. All topics of a cluster without topic ids have it."""


class Incarnation(NamedTuple):
    """A topic as identified by its topic id (KIP-516). A topic that is deleted and created again is another
    incarnation.

    `topic_id` is the id as Kafka prints it: 22 characters of unpadded URL-safe base64.
    """

    topic: str
    topic_id: str

    def __str__(self) -> str:
        return f"{self.topic} ({self.topic_id})"


class Partition(NamedTuple):
    """One partition of one incarnation. Its text is the topic's name and the number: `orders-3`."""

    topic: str
    topic_id: str
    partition: int

    @property
    def incarnation(self) -> Incarnation:
        return Incarnation(self.topic, self.topic_id)

    def __str__(self) -> str:
        return f"{self.topic}-{self.partition}"


def require_topic_ids(topics: Iterable[tuple[str, str]]) -> None:
    """Raises `UnsupportedError` if one of these (name, topic id) has no id.

    Without ids a topic that was deleted and created again cannot be told apart from the old one, and every topic looks
    like every other one.
    """
    for name, topic_id in topics:
        if topic_id == NO_TOPIC_ID:
            raise UnsupportedError(
                f"The brokers give topic {name} no topic id, so this program cannot see whether a topic was deleted "
                "and created again. Raise `inter.broker.protocol.version` of all brokers to 2.8 or newer."
            )
