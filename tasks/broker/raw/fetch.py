"""Fetch: record batches of one partition at a time, exactly as the broker serves them. The request names the topic by
its id; for brokers without this, by its name, and the id is checked after each answer. Decides how many bytes are
requested, and grows them for a large batch.

A leader can refer a client with a rack to a follower in this rack (KIP-392). A follower's answer is used only if it
contains records. After any other answer of a follower, the leader is asked, and its answer counts.
"""

from __future__ import annotations

import threading
from typing import NamedTuple

from tasks.batches.header import first_batch_bytes
from tasks.broker.error_codes import ErrorCode
from tasks.broker.log_values import Fetched, FetchPosition
from tasks.broker.messages.api_keys import ApiKey
from tasks.broker.messages.fetch_answer import FetchAnswer
from tasks.broker.messages.fetch_request import FETCH_VERSIONS, FIRST_BY_ID, fetch_request
from tasks.broker.raw.cluster import Cluster
from tasks.broker.raw.connection import Connection
from tasks.broker.retry import RetryDeadline
from tasks.broker.translation import Action, Permission, error_for_code
from tasks.model.errors import (
    AccessError,
    BrokerError,
    BrokerUnavailableError,
    ConfigError,
    KafkaBackupError,
    OffsetOutOfRangeError,
    UnsupportedBatchError,
)
from tasks.model.partition import Partition

FETCH_BYTES = 4 << 20
LARGEST_BATCH_BYTES = 110 << 20
"""A batch that is larger than the request's limit is requested again with a larger limit, up to this one."""

_UNKNOWN_TOPIC_CODES = frozenset(
    {ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ErrorCode.UNKNOWN_TOPIC_ID, ErrorCode.INCONSISTENT_TOPIC_ID}
)


class _PendingFetch(NamedTuple):
    partition: Partition
    position: int
    last_epoch: int | None


class _Followed(NamedTuple):
    """A follower that the leader named, and the partition."""

    partition: Partition
    node_id: int


class Fetcher:
    """The `PartitionFetcher` of real brokers. `max_wait_ms`: how long a broker waits for the first record. `rack`:
    records are read from followers in this rack; without one, from leaders only. Not thread-safe."""

    def __init__(
        self,
        cluster: Cluster,
        *,
        stop: threading.Event,
        max_bytes: int = FETCH_BYTES,
        max_wait_ms: int = 500,
        rack: str = "",
    ) -> None:
        self._cluster = cluster
        self._stop = stop
        self._max_bytes = max_bytes
        self._max_wait_ms = max_wait_ms
        self._next_max_bytes = max_bytes
        self._rack = rack
        self._pending: _PendingFetch | None = None
        self._connection: Connection | None = None
        self._followed: _Followed | None = None
        self._is_leader_only = False  # at the position of `_pending`

    def send(self, partition: Partition, position: int, last_epoch: int | None) -> None:
        """See `PartitionFetcher.send`."""
        self.abandon()
        if self._pending is None or (partition, position) != self._pending[:2]:
            self._next_max_bytes = self._max_bytes
            self._is_leader_only = False
        self._pending = _PendingFetch(partition, position, last_epoch)
        if self._followed is not None and self._followed.partition != partition:
            self._followed = None
        try:
            self._send_request(self._pending, self._usable_follower())
        except (BrokerError, AccessError, ConfigError):
            self._drop_connection()

    def receive(self) -> Fetched:
        """See `PartitionFetcher.receive`. Raises `UnsupportedBatchError` for a batch larger than `LARGEST_BATCH_BYTES`.

        If the answer contains no whole batch, the caller has to `send` the same position again: the next request has a
        larger limit if that can help.
        """
        assert self._pending is not None, "send a request first"
        pending = self._pending
        deadline = RetryDeadline(self._cluster.options.deadline_ms, self._stop)
        with self._cluster.options.contact.operation("the cluster to fetch records") as waiting:
            while True:
                if self._followed is not None:
                    fetched = self._received_from_follower(pending, self._followed)
                    if fetched is not None:
                        return fetched
                try:
                    if self._connection is None:
                        self._send_request(pending, None)
                    fetched = self._received(pending)
                except BrokerUnavailableError as error:
                    waiting.failed(f"{_where(pending)}: {error}")
                    self._drop_connection()
                    self._cluster.forget([pending.partition])
                    deadline.pause(error)
                    continue
                if not self._asks_for_follower() or fetched.preferred_replica < 0 or fetched.records:
                    return fetched
                self._followed = _Followed(pending.partition, fetched.preferred_replica)

    def abandon(self) -> None:
        """See `PartitionFetcher.abandon`. Closes the connection of the request, because answers arrive in order."""
        if self._connection is not None:
            self._drop_connection()

    def _drop_connection(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _received_from_follower(self, pending: _PendingFetch, followed: _Followed) -> Fetched | None:
        """The records of the follower that the leader named. None if it sent anything else or failed: then the leader
        has to be asked, and it must not refer to the follower again. Raises only `InterruptedRunError`."""
        try:
            if self._connection is None:
                self._send_request(pending, followed)
            fetched = self._received(pending)
            if fetched.throttle_time_ms or (fetched.records and fetched.diverging is None):
                return fetched
        except OffsetOutOfRangeError:
            pass  # the follower does not have the offset yet, or not any more
        except (BrokerError, AccessError, ConfigError):
            self._drop_connection()
            self._cluster.options.near_replicas.note_failure()
        self._followed, self._is_leader_only = None, True
        return None

    def _received(self, pending: _PendingFetch) -> Fetched:
        """The answer to the request that was sent."""
        connection, self._connection = self._connection, None
        assert connection is not None
        fetched = self._fetched(pending, connection.receive(self._stop))
        if _version(connection) < FIRST_BY_ID:
            self._check_topic_id(pending.partition)
        return fetched

    def _usable_follower(self) -> _Followed | None:
        """The follower to send the next request to. None: to the leader."""
        if not self._cluster.options.near_replicas.are_usable:
            self._followed = None
        return self._followed

    def _asks_for_follower(self) -> bool:
        return bool(self._rack) and not self._is_leader_only and self._cluster.options.near_replicas.are_usable

    def _send_request(self, pending: _PendingFetch, followed: _Followed | None) -> None:
        node_id = followed.node_id if followed else self._cluster.leader(pending.partition).node_id
        connection = self._cluster.idle_connection(node_id)
        request = fetch_request(
            [FetchPosition(*pending, max_bytes=self._next_max_bytes)],
            version=_version(connection),
            max_wait_ms=self._max_wait_ms,
            rack=self._rack if self._asks_for_follower() else "",
        )
        connection.send(request, extra_timeout_ms=self._max_wait_ms)
        self._connection = connection

    def _check_topic_id(self, partition: Partition) -> None:
        """Raises `TopicGoneError` if the topic has another id after a fetch by name. If it still has the same id, the
        answer is from the same topic, because Kafka never uses an id again."""
        self._cluster.forget([partition])
        self._cluster.leader(partition)

    def _fetched(self, pending: _PendingFetch, answer: FetchAnswer) -> Fetched:
        if answer.error_code:
            raise _fetch_error(answer.error_code, pending)
        if not answer.partitions:
            return Fetched(
                partition=pending.partition,
                position=pending.position,
                records=b"",
                throttle_time_ms=answer.throttle_time_ms,
            )
        [part] = answer.partitions
        if part.error_code:
            raise _fetch_error(part.error_code, pending)
        is_referred = part.preferred_replica >= 0
        has_more = part.last_stable_offset > pending.position and not answer.throttle_time_ms and not is_referred
        self._adapt_max_bytes(pending, part.records, has_more)
        return part.as_fetched(pending.partition, pending.position, answer.throttle_time_ms)

    def _adapt_max_bytes(self, pending: _PendingFetch, records: bytes, has_more: bool) -> None:
        """If the answer has no whole batch although the log has one, let the next request for this position have a
        larger limit. Raises `UnsupportedBatchError` if the batch is larger than `LARGEST_BATCH_BYTES`."""
        needed = first_batch_bytes(records)
        if needed is not None:
            if len(records) < needed > LARGEST_BATCH_BYTES:
                raise UnsupportedBatchError(
                    f"{_where(pending)}: the batch has {needed} bytes, "
                    f"and at most {LARGEST_BATCH_BYTES} can be fetched."
                )
            self._next_max_bytes = max(self._next_max_bytes, needed)
        elif has_more:
            self._next_max_bytes = min(2 * self._next_max_bytes, LARGEST_BATCH_BYTES)


def _version(connection: Connection) -> int:
    return connection.pick(ApiKey.FETCH, *FETCH_VERSIONS)


def _where(pending: _PendingFetch) -> str:
    return f"topic {pending.partition.topic}, partition {pending.partition.partition}, offset {pending.position}"


def _fetch_error(code: int, pending: _PendingFetch) -> KafkaBackupError:
    needs = (Permission("Read", "Topic", pending.partition.topic),)
    error = error_for_code(code, Action("fetch", _where(pending), needs))
    if code in _UNKNOWN_TOPIC_CODES:
        # The broker's metadata can be old. The lookup by id before the next attempt shows whether the topic is gone.
        return BrokerUnavailableError(str(error), code=code)
    return error
