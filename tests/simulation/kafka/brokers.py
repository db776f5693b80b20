"""Brokers that die and come back: the elections that follow, and the records that an unclean one loses.

Source: Kafka's PartitionChangeBuilder.java (elections), KAFKA.md §4 (a restart takes the leader epoch from 0 to 2).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tasks.model.errors import BrokerUnavailableError
from tests.simulation.kafka.topics import LedPartition, Topic, Topics

PRODUCER_ID_EXPIRATION_MS = 86_400_000


class Brokers:
    """The nodes of the cluster, numbered from 1. Replicas that are alive have everything that their leader has."""

    def __init__(self, nodes: int, topics: Topics, now_ms: Callable[[], int]) -> None:
        self.is_alive = dict.fromkeys(range(1, nodes + 1), True)
        self._topics = topics
        self._now_ms = now_ms
        self._ends_when_left: dict[tuple[str, int, int], int] = {}

    @property
    def alive(self) -> list[int]:
        """The nodes that serve."""
        return [node for node, is_alive in self.is_alive.items() if is_alive]

    def require_one(self) -> None:
        """Raises `BrokerUnavailableError` when no broker is alive."""
        if not self.alive:
            raise BrokerUnavailableError("No broker can be reached.")

    def stop(self, node: int) -> None:
        """The node dies. Its partitions get another in-sync replica as leader, or stay without one."""
        self.is_alive[node] = False
        for topic, number, partition in self._kept_by(node):
            others = tuple(one for one in partition.isr if one != node)
            if node in partition.isr:
                self._ends_when_left[topic.topic_id, number, node] = partition.log.end
                partition.isr = others or partition.isr
            if partition.leader == node:
                partition.elect(next((one for one in others if self.is_alive[one]), None))
                self._elect_uncleanly(topic, number, partition)

    def start(self, node: int) -> None:
        """The node comes back: it follows the leaders there are, and leads what it was the last in-sync replica of.

        Partitions that allow unclean elections take it as leader even if it lacks records, which are lost then.
        """
        if self.is_alive[node]:
            return
        self.is_alive[node] = True
        for topic, number, partition in self._kept_by(node):
            if partition.leader is not None:
                partition.isr = tuple(one for one in partition.replicas if one in (*partition.isr, node))
            elif node in partition.isr:
                partition.log.producers.forget_all_but_last()
                expire_producers(partition, self._now_ms())
                partition.elect(node)
            else:
                self._elect_uncleanly(topic, number, partition)

    def _elect_uncleanly(self, topic: Topic, number: int, partition: LedPartition) -> None:
        candidates = [one for one in partition.replicas if self.is_alive[one]]
        if partition.leader is not None or not candidates:
            return
        if topic.settings.text("unclean.leader.election.enable") == "true":
            lose_beyond(partition, self._ends_when_left.get((topic.topic_id, number, candidates[0]), 0), candidates[0])

    def _kept_by(self, node: int) -> Iterator[tuple[Topic, int, LedPartition]]:
        for topic in self._topics.by_name.values():
            for number, partition in enumerate(topic.partitions):
                if node in partition.replicas:
                    yield topic, number, partition


def lose_beyond(partition: LedPartition, end: int, leader: int) -> None:
    """A replica that lacks what begins at or reaches beyond `end` becomes the leader: those batches are gone."""
    partition.log.truncate(end)
    partition.isr = (leader,)
    partition.elect(leader)


def expire_producers(partition: LedPartition, now_ms: int) -> None:
    """Drop producers whose newest record is a day old by its timestamp, as brokers do every ten minutes."""
    partition.log.producers.expire(now_ms, PRODUCER_ID_EXPIRATION_MS, set(partition.log.transactions.open))
