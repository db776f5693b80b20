"""Fetch: record batches of one partition at a time, by topic id, exactly as the leader serves them."""

from __future__ import annotations

import threading
from typing import NamedTuple

from tasks.broker.error_codes import ErrorCode
from tasks.broker.log_values import Fetched
from tasks.broker.messages.fetch_answer import FetchAnswer
from tasks.broker.messages.fetch_request import BY_ID, FETCH_KEY, FETCH_VERSIONS, fetch_request
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
    UnsupportedBatchError,
)
from tasks.model.partition import Partition

FETCH_BYTES = 4 << 20
LARGEST_FETCH_BYTES = 110 << 20
"""A batch that does not fit into a request is asked for again with a larger one, up to this."""

_LENGTH_END = 12
"""A batch's length counts the bytes after so many, and stands in the four before."""

_UNKNOWN_TOPICS = frozenset(
    {ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ErrorCode.UNKNOWN_TOPIC_ID, ErrorCode.INCONSISTENT_TOPIC_ID}
)


class _PendingFetch(NamedTuple):
    partition: Partition
    position: int
    last_epoch: int | None


class Fetcher:
    """Asks for one partition at a time; the answer is fetched later, so that the broker reads ahead.

    Not thread-safe. A new request drops an answer that was not received.
    """

    def __init__(
        self,
        cluster: Cluster,
        *,
        stop: threading.Event,
        max_bytes: int = FETCH_BYTES,
        max_wait_ms: int = 500,
    ) -> None:
        self._cluster = cluster
        self._stop = stop
        self._max_bytes = max_bytes
        self._max_wait_ms = max_wait_ms
        self._wanted_bytes = max_bytes
        self._pending: _PendingFetch | None = None
        self._connection: Connection | None = None

    def send(self, partition: Partition, position: int, last_epoch: int | None) -> None:
        """Ask for the batches from `position` on. `last_epoch`: the leader epoch of the batch before, if one was read.

        Never raises for trouble with the broker: `receive` does, after it has tried again.
        """
        self.abandon()
        if self._pending is None or (partition, position) != self._pending[:2]:
            self._wanted_bytes = self._max_bytes
        self._pending = _PendingFetch(partition, position, last_epoch)
        try:
            self._send_request(self._pending)
        except (BrokerError, AccessError, ConfigError):
            self._drop()

    def receive(self) -> Fetched:
        """Return the answer to the last request.

        Leadership changes, lost connections and other passing trouble are waited out until the cluster's deadline.
        Raises `TopicGoneError`, `OffsetOutOfRangeError`, `UnsupportedBatchError` for a batch beyond
        `LARGEST_FETCH_BYTES`, `AccessError`, `BrokerUnavailableError` after the deadline, `BrokerError` for what
        waiting does not mend, and `InterruptedRunError`.
        """
        assert self._pending is not None, "send a request first"
        pending = self._pending
        deadline = RetryDeadline(self._cluster.options.retry_deadline_ms, self._stop)
        while True:
            try:
                if self._connection is None:
                    self._send_request(pending)
                connection, self._connection = self._connection, None
                assert connection is not None
                fetched = self._read(pending, connection.receive(self._stop))
                if _version(connection) < BY_ID:
                    self._check_id(pending.partition)
                return fetched
            except BrokerUnavailableError as error:
                self._drop()
                self._cluster.forget([pending.partition])
                deadline.pause(error)

    def abandon(self) -> None:
        """Drop a request whose answer nobody will receive; its connection is closed, since answers come in order."""
        if self._connection is not None:
            self._drop()

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _send_request(self, pending: _PendingFetch) -> None:
        leader = self._cluster.leader(pending.partition)
        connection = self._cluster.connection(leader.node_id)
        if connection.in_flight:  # an answer that somebody gave up waiting for would pass for ours
            connection.close()
            connection = self._cluster.connection(leader.node_id)
        request = fetch_request(
            pending.partition,
            pending.position,
            pending.last_epoch,
            version=_version(connection),
            max_bytes=self._wanted_bytes,
            max_wait_ms=self._max_wait_ms,
        )
        connection.send(request, patience_ms=self._max_wait_ms)
        self._connection = connection

    def _check_id(self, partition: Partition) -> None:
        """What was asked by name: an answer counts when its topic has the same id afterwards, since no id returns."""
        self._cluster.forget([partition])
        self._cluster.leader(partition)

    def _read(self, pending: _PendingFetch, answer: FetchAnswer) -> Fetched:
        if answer.error_code:
            raise _error(answer.error_code, pending)
        if not answer.partitions:
            return Fetched(
                partition=pending.partition,
                position=pending.position,
                records=b"",
                throttle_time_ms=answer.throttle_time_ms,
            )
        [part] = answer.partitions
        if part.error_code:
            raise _error(part.error_code, pending)
        is_more_there = part.last_stable_offset > pending.position and not answer.throttle_time_ms
        self._adapt(pending, part.records, is_more_there)
        return Fetched(
            partition=pending.partition,
            position=pending.position,
            records=part.records,
            aborted=part.aborted,
            high_watermark=part.high_watermark,
            last_stable_offset=part.last_stable_offset,
            log_start_offset=part.log_start_offset,
            throttle_time_ms=answer.throttle_time_ms,
            diverging=part.diverging,
            preferred_replica=part.preferred_replica,
        )

    def _adapt(self, pending: _PendingFetch, records: bytes, is_more_there: bool) -> None:
        """When not one whole batch came although one is there, the next request for this position may be larger."""
        if len(records) >= _LENGTH_END:
            needed = _LENGTH_END + int.from_bytes(records[_LENGTH_END - 4 : _LENGTH_END], "big")
            if len(records) < needed > LARGEST_FETCH_BYTES:
                raise UnsupportedBatchError(f"{_place(pending)}: a batch of {needed} bytes is too large to be fetched.")
            self._wanted_bytes = max(self._wanted_bytes, needed)
        elif is_more_there:
            self._wanted_bytes = min(2 * self._wanted_bytes, LARGEST_FETCH_BYTES)


def _version(connection: Connection) -> int:
    return connection.pick(FETCH_KEY, *FETCH_VERSIONS)


def _place(pending: _PendingFetch) -> str:
    return f"topic {pending.partition.topic}, partition {pending.partition.partition}, offset {pending.position}"


def _error(code: int, pending: _PendingFetch) -> KafkaBackupError:
    needs = (Permission("Read", "Topic", pending.partition.topic),)
    error = error_for_code(code, Action("fetch", _place(pending), needs))
    if code in _UNKNOWN_TOPICS:  # a broker may lag behind: the look-up by id, before the next attempt, decides
        return BrokerUnavailableError(str(error), code=code)
    return error
