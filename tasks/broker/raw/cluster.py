"""The connections of one thread to a cluster: the leaders of partitions, and one connection to each broker that is
used. Decides when metadata is requested again, in which order bootstrap servers are tried, and how long a new topic can
be unknown."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar

from tasks.broker.admin_values import POSITIONS_TOPIC
from tasks.broker.error_codes import ErrorCode
from tasks.broker.messages.topic_ids import topic_id_text
from tasks.broker.raw.addresses import advertised_error, bootstrap_addresses, check_advertised
from tasks.broker.raw.connection import BrokerAddress, Connection, ConnectionOptions
from tasks.broker.raw.metadata import metadata_request, metadata_request_by_name, topic_error
from tasks.broker.raw.required_versions import check_versions
from tasks.broker.retry import RetryDeadline
from tasks.model.errors import (
    AccessError,
    BrokerUnavailableError,
    ConfigError,
    KafkaBackupError,
    TopicGoneError,
    UnsupportedError,
)
from tasks.model.partition import Incarnation, Partition, require_topic_ids

T = TypeVar("T")

NEW_TOPIC_GRACE_MS = 2_000
"""How long a topic that a broker does not know is looked up again, because it can be newer than that broker's
metadata."""

_BOOTSTRAP_NODE_ID = -1
"""The key of a connection to a bootstrap server, because its node id is not known."""


class Leader(NamedTuple):
    """The broker that leads a partition, and its leader epoch."""

    node_id: int
    epoch: int


class Cluster:
    """Metadata and connections for one thread. Opens a connection when it is first needed. Topics are identified by
    topic id: a re-created topic is another topic. Raises `ConfigError` for an invalid bootstrap address. Every method
    that connects or sends a request raises `InterruptedRunError` soon after `stop` is set."""

    def __init__(self, options: ConnectionOptions, *, stop: threading.Event | None = None) -> None:
        self.options = options
        self.stop = stop or threading.Event()
        self._addresses: dict[int, BrokerAddress] = {}
        self._connections: dict[int, Connection] = {}
        self._leaders: dict[Partition, Leader] = {}
        self._bootstrap = bootstrap_addresses(options.bootstrap_servers)
        self._rotation = 0
        self._controller_id: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection. May be called twice, and later calls of other methods connect again."""
        for connection in self._connections.values():
            connection.close()
        self._connections.clear()

    def node_ids(self) -> list[int]:
        """The node ids of the brokers in the newest metadata, in ascending order. Raises `BrokerUnavailableError` if no
        broker answers before the deadline."""
        deadline = RetryDeadline(self.options.deadline_ms, self.stop)
        with self.options.contact.operation("the cluster to list its brokers") as waiting:
            while not self._addresses:
                try:
                    self._refresh_metadata([])
                except BrokerUnavailableError as error:
                    waiting.failed(error)
                    deadline.pause(error)
        return sorted(self._addresses)

    def check_reachable(self, *, is_writing: bool) -> None:
        """Connect to a bootstrap server, and then to a broker at the address that it advertises.

        Raises `BrokerUnavailableError` after the deadline, `ConfigError` if the address or the protocol is wrong,
        `AccessError` for wrong credentials, and `InterruptedRunError`. Raises `UnsupportedError` if the broker has
        topics without ids, or lacks a request that reading needs, or with `is_writing` one that writing needs.
        """
        deadline = RetryDeadline(self.options.deadline_ms, self.stop)
        with self.options.contact.operation("the cluster to answer") as waiting:
            while True:
                try:
                    connection = self._any_advertised(deadline)
                    self._check_versions(connection, is_writing=is_writing)
                    self._check_topic_ids(connection)
                    return
                except BrokerUnavailableError as error:
                    waiting.failed(error)
                    deadline.pause(error)

    def _check_versions(self, connection: Connection, *, is_writing: bool) -> None:
        """Raises what `check_versions` raises. If the port is a controller's listener, a bootstrap server named it, and
        the error says so."""
        try:
            check_versions(connection.pick, is_writing=is_writing)
        except UnsupportedError:
            raise
        except ConfigError as error:
            nodes = [node_id for node_id, address in self._addresses.items() if address == connection.address]
            raise advertised_error(nodes[0], connection.address, error) if nodes else error from None

    def _check_topic_ids(self, connection: Connection) -> None:
        """Raises `UnsupportedError` if the topic of group positions has no id. Almost every cluster has this topic; a
        plan checks its own topics."""
        answer = connection.call(metadata_request_by_name(connection, [POSITIONS_TOPIC]))
        known = [topic for topic in answer.topics if not topic.error_code]
        require_topic_ids((topic.name, topic_id_text(topic.topic_id)) for topic in known)

    def _any_advertised(self, deadline: RetryDeadline) -> Connection:
        """A connection to any broker at its advertised address. After the deadline no further broker is tried, because
        each attempt can take seconds. Raises the last error."""
        self._refresh_metadata([])
        failure: KafkaBackupError = BrokerUnavailableError("The cluster's metadata contains no broker.")
        for node_id in sorted(self._addresses):
            try:
                return self.connection(node_id)
            except (BrokerUnavailableError, AccessError, ConfigError) as error:
                failure = error
            if deadline.is_over:
                break
        raise failure

    def refresh_brokers(self) -> list[int]:
        """Request the brokers and the controller again, once. Returns the node ids of the brokers in ascending order.
        Raises `BrokerUnavailableError`, `AccessError` or `ConfigError`."""
        self._refresh_metadata([])
        return sorted(self._addresses)

    def knows(self, node_id: int) -> bool:
        """Whether the newest metadata contains this broker."""
        return node_id in self._addresses

    def controller(self) -> Connection:
        """The connection to the controller: the broker to which changes of topics are sent. Raises
        `BrokerUnavailableError` if the cluster has none now, and the errors of `connection`."""
        if self._controller_id is None or self._controller_id not in self._addresses:
            self.refresh_brokers()
        if self._controller_id is None or self._controller_id not in self._addresses:
            raise BrokerUnavailableError("The cluster has no controller now.", code=ErrorCode.NOT_CONTROLLER)
        return self.connection(self._controller_id)

    def look_up(self, partitions: Collection[Partition]) -> dict[Incarnation, KafkaBackupError]:
        """Look up the leaders of the partitions whose leader is not known, with one request for all topics.

        Returns the error for each topic that could not be looked up: `TopicGoneError` if the cluster does not know the
        id, `AccessError`, or `BrokerUnavailableError` after the deadline. A partition without a leader is not an error.
        Raises `UnsupportedError` for a topic without id, `AccessError` or `ConfigError` if no connection can be used,
        and `InterruptedRunError`.
        """
        require_topic_ids(partition.incarnation for partition in partitions)
        deadline = RetryDeadline(self.options.deadline_ms, self.stop)
        new_topic_deadline = RetryDeadline(NEW_TOPIC_GRACE_MS, self.stop)
        with self.options.contact.operation("the cluster to look up the leaders of partitions") as waiting:
            while True:
                topics = {partition.incarnation for partition in partitions if partition not in self._leaders}
                if not topics:
                    return {}
                try:
                    failures = self._refresh_metadata(topics)
                except BrokerUnavailableError as error:
                    failures = dict.fromkeys(topics, error)
                retryable = [error for error in failures.values() if error.retryable]
                is_gone = any(isinstance(error, TopicGoneError) for error in failures.values())
                if retryable:
                    waiting.failed(retryable[0])
                if not (retryable and deadline.wait()) and not (is_gone and new_topic_deadline.wait()):
                    return failures

    def look_up_once(self, partitions: Collection[Partition]) -> None:
        """Look up the leaders that are not known, with one request and without a retry. The errors of single topics are
        left to a later `look_up`. Raises `BrokerUnavailableError`, `AccessError`, `ConfigError` or
        `InterruptedRunError`."""
        topics = {partition.incarnation for partition in partitions if partition not in self._leaders}
        if topics:
            self._refresh_metadata(topics)

    def known_leader(self, partition: Partition) -> Leader | None:
        """The leader that `look_up` or `look_up_once` found. None if the partition had no leader, or if `forget` was
        called after that."""
        return self._leaders.get(partition)

    def leader(self, partition: Partition) -> Leader:
        """The partition's leader. It is looked up if it is not known.

        Raises the errors that `look_up` returns or raises, and `BrokerUnavailableError` if the partition has no leader
        now.
        """
        for error in self.look_up([partition]).values():
            raise error
        found = self._leaders.get(partition)
        if found is None:
            raise no_leader_error(partition)
        return found

    def forget(self, partitions: Iterable[Partition]) -> None:
        """Drop the known leaders of these partitions, so that the next use looks them up again."""
        for partition in partitions:
            self._leaders.pop(partition, None)

    def connection(self, node_id: int) -> Connection:
        """The open connection to a broker, or a new one to the address that the broker advertises.

        Raises `BrokerUnavailableError` if the broker cannot be reached or is not in the newest metadata, and
        `AccessError` or `ConfigError` if the address, the protocol or the credentials are wrong.
        """
        known = self._connections.get(node_id)
        if known is not None and known.is_open:
            return known
        if node_id not in self._addresses:
            raise BrokerUnavailableError(f"Broker {node_id} is not in the cluster's metadata.")
        opened = self._adopt_bootstrap(node_id) or self._open_advertised(node_id)
        self._connections[node_id] = opened
        self.options.contact.mark_answered()
        return opened

    def idle_connection(self, node_id: int) -> Connection:
        """The connection to a broker, without requests in flight, because the answer to an earlier request would be
        received first. Raises the same errors as `connection`."""
        known = self.connection(node_id)
        if not known.in_flight:
            return known
        known.close()
        return self.connection(node_id)

    def _adopt_bootstrap(self, node_id: int) -> Connection | None:
        """The bootstrap connection, if its address is the one that this broker advertises. It is used again because
        brokers limit the number of connections."""
        bootstrap = self._connections.get(_BOOTSTRAP_NODE_ID)
        if bootstrap is None or not bootstrap.is_open or bootstrap.address != self._addresses[node_id]:
            return None
        return self._connections.pop(_BOOTSTRAP_NODE_ID)

    def _open_advertised(self, node_id: int) -> Connection:
        address = self._addresses[node_id]
        check_advertised(node_id, address)
        try:
            return Connection(address, self.options, stop=self.stop)
        except (BrokerUnavailableError, AccessError, ConfigError) as error:
            if self.options.gate.most_threads() is not None:
                self._close_idle()
            is_new = address not in self._bootstrap and not self.options.gate.has_reached(str(address))
            raise advertised_error(node_id, address, error) if is_new else error from None

    def _close_idle(self) -> None:
        """Close the connections without requests in flight, because the broker possibly refused the new one at its
        limit."""
        for node_id, connection in list(self._connections.items()):
            if not connection.in_flight:
                connection.close()
                del self._connections[node_id]

    def _refresh_metadata(self, topics: Collection[Incarnation]) -> dict[Incarnation, KafkaBackupError]:
        connection = self.any_connection()
        request = metadata_request(connection, topics)
        response = connection.call(request, self.stop)
        self._controller_id = response.controller_id
        self._addresses = {broker.node_id: BrokerAddress(broker.host, broker.port) for broker in response.brokers}
        by_id = {topic_id_text(topic.topic_id): topic for topic in response.topics}
        by_name = {topic.name: topic for topic in response.topics}
        failures: dict[Incarnation, KafkaBackupError] = {}
        for incarnation in topics:
            described = by_id.get(incarnation.topic_id) or by_name.get(incarnation.topic)
            error = topic_error(incarnation, described)
            if error is None:
                self._set_leaders(incarnation, described)
            else:
                failures[incarnation] = error
        return failures

    def _set_leaders(self, incarnation: Incarnation, described: Any) -> None:
        for part in described.partitions:
            partition = Partition(incarnation.topic, incarnation.topic_id, part.partition_index)
            if part.leader_id in self._addresses:
                self._leaders[partition] = Leader(part.leader_id, part.leader_epoch)
            else:
                self._leaders.pop(partition, None)

    def any_connection(self) -> Connection:
        """A connection without requests in flight to any broker: an open one, otherwise a new one to a known broker,
        otherwise a new one to a bootstrap server.

        Each call for a new connection begins with another broker, so that a broker that accepts connections and answers
        nothing does not block all retries. Raises `BrokerUnavailableError` if no broker can be reached, and
        `AccessError` or `ConfigError` at once.
        """
        for connection in self._connections.values():
            if connection.is_open and not connection.in_flight:
                return connection
        failure: BrokerUnavailableError | None = None
        failed: list[str] = []
        self._rotation += 1
        for node_id in _rotated(list(self._addresses), self._rotation):
            known = self._connections.get(node_id)
            if known is not None and known.in_flight:
                continue
            try:
                return self._instead_of(failed, self.connection(node_id))
            except BrokerUnavailableError as error:
                failure = error
                failed.append(str(self._addresses[node_id]))
        for address in self._bootstrap_order():
            try:
                opened = Connection(address, self.options, stop=self.stop)
            except BrokerUnavailableError as error:
                failure = error
                failed.append(str(address))
                continue
            self.options.contact.last_address = str(address)
            self._keep_bootstrap(opened)
            return self._instead_of(failed, opened)
        if failure is not None and not self.options.contact.has_answered:
            advice = "Check bootstrap_servers; `kafka-backup check` tries each address."
            raise BrokerUnavailableError(f"{failure} {advice}", code=failure.code)
        raise failure or BrokerUnavailableError("No broker can be reached.")

    def _instead_of(self, failed: Iterable[str], opened: Connection) -> Connection:
        """Return the connection. Ends the waits for the addresses that failed before: nothing waits for them any
        more."""
        for address in failed:
            self.options.contact.over(address)
        return opened

    def _bootstrap_order(self) -> list[BrokerAddress]:
        """The bootstrap addresses in the order in which they are tried. The first order begins with the address that
        answered another thread of this process last, so that not every thread waits for an address that does not
        work."""
        rotated = _rotated(self._bootstrap, self._rotation - 1)
        if self._rotation > 1:
            return rotated
        return sorted(rotated, key=lambda address: str(address) != self.options.contact.last_address)

    def _keep_bootstrap(self, opened: Connection) -> None:
        old = self._connections.pop(_BOOTSTRAP_NODE_ID, None)
        if old is not None:
            old.close()
        self._connections[_BOOTSTRAP_NODE_ID] = opened


def _rotated(items: list[T], rotation: int) -> list[T]:
    start = rotation % len(items) if items else 0
    return items[start:] + items[:start]


def no_leader_error(partition: Partition) -> BrokerUnavailableError:
    """The retryable error for a partition that has no leader now."""
    return BrokerUnavailableError(f"{partition} has no leader.", code=ErrorCode.LEADER_NOT_AVAILABLE)
