"""A cluster as one worker thread sees it: who leads which partition, and a connection to each broker it needs."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar

from tasks.broker.error_codes import ErrorCode
from tasks.broker.messages.topic_ids import topic_id_text
from tasks.broker.raw.connection import BrokerAddress, Connection, ConnectionOptions
from tasks.broker.raw.metadata import error_of, metadata_request
from tasks.broker.retry import RetryDeadline
from tasks.model.errors import BrokerUnavailableError, ConfigError, KafkaBackupError, TopicGoneError
from tasks.model.partition import Incarnation, Partition

T = TypeVar("T")

NEW_TOPIC_GRACE_MS = 2_000
"""A topic that was just created may be unknown to some brokers for so long."""


class Leader(NamedTuple):
    """The broker that leads a partition, and its leader epoch."""

    node_id: int
    epoch: int


class Cluster:
    """Metadata and connections for one thread. Topics are known by id: a re-created one is another topic."""

    def __init__(self, options: ConnectionOptions, *, stop: threading.Event | None = None) -> None:
        self.options = options
        self.stop = stop or threading.Event()
        self._addresses: dict[int, BrokerAddress] = {}
        self._connections: dict[int, Connection] = {}
        self._leaders: dict[Partition, Leader] = {}
        self._turn = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection. May be called twice."""
        for connection in self._connections.values():
            connection.close()
        self._connections.clear()

    def node_ids(self) -> list[int]:
        """The brokers that the newest metadata named. Raises `BrokerUnavailableError` when none answers in time."""
        deadline = RetryDeadline(self.options.retry_deadline_ms, self.stop)
        while not self._addresses:
            try:
                self._refresh_metadata([])
            except BrokerUnavailableError as error:
                deadline.pause(error)
        return sorted(self._addresses)

    def look_up(self, partitions: Collection[Partition]) -> dict[Incarnation, KafkaBackupError]:
        """Learn the leaders of those partitions whose leader is not known, in one request for all topics.

        Returns the topics it could not learn about, and why: `TopicGoneError` when the cluster does not know the id,
        `AccessError`, `BrokerUnavailableError` after the deadline. A partition without a leader is no failure.
        """
        deadline = RetryDeadline(self.options.retry_deadline_ms, self.stop)
        new_topic_deadline = RetryDeadline(NEW_TOPIC_GRACE_MS, self.stop)
        while True:
            asked = {partition.incarnation for partition in partitions if partition not in self._leaders}
            if not asked:
                return {}
            try:
                failures = self._refresh_metadata(asked)
            except BrokerUnavailableError as error:
                failures = dict.fromkeys(asked, error)
            is_passing = any(error.retryable for error in failures.values())
            is_gone = any(isinstance(error, TopicGoneError) for error in failures.values())
            if not (is_passing and deadline.wait()) and not (is_gone and new_topic_deadline.wait()):
                return failures

    def known_leader(self, partition: Partition) -> Leader | None:
        """The leader that `look_up` learned; None when the partition had none, or it was forgotten."""
        return self._leaders.get(partition)

    def leader(self, partition: Partition) -> Leader:
        """The partition's leader, asked for when it is not known. Raises what `look_up` returns, and
        `BrokerUnavailableError` when it has none now."""
        for error in self.look_up([partition]).values():
            raise error
        found = self._leaders.get(partition)
        if found is None:
            raise no_leader(partition)
        return found

    def forget(self, partitions: Iterable[Partition]) -> None:
        """Their leaders are not what was thought; ask again when next needed."""
        for partition in partitions:
            self._leaders.pop(partition, None)

    def connection(self, node_id: int) -> Connection:
        """The connection to a broker, opened when there is none. Raises `BrokerUnavailableError`."""
        known = self._connections.get(node_id)
        if known is not None and known.is_open:
            return known
        if node_id not in self._addresses:
            raise BrokerUnavailableError(f"Broker {node_id} is not in the cluster's metadata.")
        opened = Connection(self._addresses[node_id], self.options)
        self._connections[node_id] = opened
        return opened

    def _refresh_metadata(self, topics: Collection[Incarnation]) -> dict[Incarnation, KafkaBackupError]:
        connection = self.any_connection()
        request = metadata_request(connection, topics)
        response = connection.call(request)
        self._addresses = {broker.node_id: BrokerAddress(broker.host, broker.port) for broker in response.brokers}
        by_id = {topic_id_text(topic.topic_id): topic for topic in response.topics}
        by_name = {topic.name: topic for topic in response.topics}
        failures: dict[Incarnation, KafkaBackupError] = {}
        for incarnation in topics:
            described = by_id.get(incarnation.topic_id) or by_name.get(incarnation.topic)
            error = error_of(incarnation, described)
            if error is None:
                self._learn(incarnation, described)
            else:
                failures[incarnation] = error
        return failures

    def _learn(self, incarnation: Incarnation, described: Any) -> None:
        for part in described.partitions:
            partition = Partition(incarnation.topic, incarnation.topic_id, part.partition_index)
            if part.leader_id in self._addresses:
                self._leaders[partition] = Leader(part.leader_id, part.leader_epoch)
            else:
                self._leaders.pop(partition, None)

    def any_connection(self) -> Connection:
        """An idle one to any broker: those that are open, then those that are known, then the bootstrap ones.

        Each time another one comes first, so that a broker which accepts connections and answers nothing is not asked
        for ever. Raises `BrokerUnavailableError` when none can be reached.
        """
        for connection in self._connections.values():
            if connection.is_open and not connection.in_flight:
                return connection
        failure: BrokerUnavailableError | None = None
        self._turn += 1
        for node_id in _rotated(list(self._addresses), self._turn):
            known = self._connections.get(node_id)
            if known is not None and known.in_flight:
                continue
            try:
                return self.connection(node_id)
            except BrokerUnavailableError as error:
                failure = error
        for address in _rotated(bootstrap_addresses(self.options.bootstrap_servers), self._turn - 1):
            try:
                opened = Connection(address, self.options)
            except BrokerUnavailableError as error:
                failure = error
                continue
            self._keep_bootstrap(opened)
            return opened
        raise failure or BrokerUnavailableError("No broker can be reached.")

    def _keep_bootstrap(self, opened: Connection) -> None:
        """A bootstrap connection has no node id yet; -1 is none."""
        old = self._connections.pop(-1, None)
        if old is not None:
            old.close()
        self._connections[-1] = opened


def _rotated(items: list[T], turn: int) -> list[T]:
    start = turn % len(items) if items else 0
    return items[start:] + items[:start]


def bootstrap_addresses(servers: Iterable[str]) -> list[BrokerAddress]:
    """`host:port` texts as addresses; IPv6 hosts stand in brackets. Raises `ConfigError` naming the wrong one."""
    found = []
    for server in servers:
        host, colon, port = server.strip().rpartition(":")
        if not colon or not host or not port.isdecimal() or not 0 < int(port) < 65536:
            raise ConfigError(f"bootstrap_servers: {server!r} is not host:port.")
        found.append(BrokerAddress(host.strip("[]"), int(port)))
    return found


def no_leader(partition: Partition) -> BrokerUnavailableError:
    """That the partition has no leader now: wait for one."""
    return BrokerUnavailableError(f"{partition} has no leader.", code=ErrorCode.LEADER_NOT_AVAILABLE)
