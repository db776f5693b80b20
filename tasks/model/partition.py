"""The identity of a log: a partition of one incarnation of a topic."""

from __future__ import annotations

from typing import NamedTuple


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
