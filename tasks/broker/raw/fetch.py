"""Fetch: record batches of one partition at a time, by topic id, exactly as the leader serves them."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import NamedTuple

from tasks.broker.messages.fetch_answer import FetchAnswer
from tasks.broker.messages.fetch_request import BY_ID, FETCH_KEY, FETCH_VERSIONS, fetch_request
from tasks.broker.raw.cluster import Cluster
from tasks.broker.raw.connection import Connection
from tasks.broker.raw.retry import Patience
from tasks.broker.translation import Attempt, Permission, error_for_code
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

_UNKNOWN_TOPICS = frozenset({3, 100, 103})


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """One answer. `records` are whole batches, the last one perhaps cut off; `aborted` are (producer id, first offset).

    Without records it means "wait": the log has nothing there yet, or the broker throttles (`throttle_time_ms`).
    `diverging` (epoch, end offset): the log the position was read from is not the leader's beyond that offset.
    `preferred_replica`: a broker that the leader points to instead of sending records, or −1.
    """

    partition: Partition
    position: int
    records: bytes
    aborted: tuple[tuple[int, int], ...] = ()
    high_watermark: int = -1
    last_stable_offset: int = -1
    log_start_offset: int = -1
    throttle_time_ms: int = 0
    diverging: tuple[int, int] | None = None
    preferred_replica: int = -1


class _Question(NamedTuple):
    partition: Partition
    position: int
    last_epoch: int | None


class Fetcher:
    """Asks for one partition at a time; the answer is fetched later, so that the broker reads ahead.

    Not thread-safe. A new question drops an answer that nobody received.
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
        self._question: _Question | None = None
        self._connection: Connection | None = None

    def send(self, partition: Partition, position: int, last_epoch: int | None) -> None:
        """Ask for the batches from `position` on. `last_epoch`: the leader epoch of the batch before, if one was read.

        Never raises for trouble with the broker: `receive` does, after it has tried again.
        """
        self.abandon()
        if self._question is None or (partition, position) != self._question[:2]:
            self._wanted_bytes = self._max_bytes
        self._question = _Question(partition, position, last_epoch)
        try:
            self._ask(self._question)
        except (BrokerError, AccessError, ConfigError):
            self._drop()

    def receive(self) -> Fetched:
        """The answer to the last question.

        Leadership changes, lost connections and other passing trouble are waited out until the cluster's deadline.
        Raises `TopicGoneError`, `OffsetOutOfRangeError`, `UnsupportedBatchError` for a batch beyond
        `LARGEST_FETCH_BYTES`, `AccessError`, `BrokerUnavailableError` after the deadline, `BrokerError` for what
        waiting does not mend, and `InterruptedRunError`.
        """
        assert self._question is not None, "send a question first"
        question = self._question
        patience = Patience(self._cluster.options.retry_deadline_ms, self._stop)
        while True:
            try:
                if self._connection is None:
                    self._ask(question)
                connection, self._connection = self._connection, None
                assert connection is not None
                fetched = self._read(question, connection.receive(self._stop))
                if _version(connection) < BY_ID:
                    self._check_id(question.partition)
                return fetched
            except BrokerUnavailableError as error:
                self._drop()
                self._cluster.forget([question.partition])
                patience.pause(error)

    def abandon(self) -> None:
        """Drop a question whose answer nobody wants; its connection is closed, since answers come in order."""
        if self._connection is not None:
            self._drop()

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _ask(self, question: _Question) -> None:
        leader = self._cluster.leader(question.partition)
        connection = self._cluster.connection(leader.node_id)
        if connection.in_flight:  # an answer that somebody gave up waiting for would pass for ours
            connection.close()
            connection = self._cluster.connection(leader.node_id)
        request = fetch_request(
            question.partition,
            question.position,
            question.last_epoch,
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

    def _read(self, question: _Question, answer: FetchAnswer) -> Fetched:
        if answer.error_code:
            raise _error(answer.error_code, question)
        if not answer.partitions:
            return Fetched(
                partition=question.partition,
                position=question.position,
                records=b"",
                throttle_time_ms=answer.throttle_time_ms,
            )
        [part] = answer.partitions
        if part.error_code:
            raise _error(part.error_code, question)
        is_more_there = part.last_stable_offset > question.position and not answer.throttle_time_ms
        self._adapt(question, part.records, is_more_there)
        return Fetched(
            partition=question.partition,
            position=question.position,
            records=part.records,
            aborted=part.aborted,
            high_watermark=part.high_watermark,
            last_stable_offset=part.last_stable_offset,
            log_start_offset=part.log_start_offset,
            throttle_time_ms=answer.throttle_time_ms,
            diverging=part.diverging,
            preferred_replica=part.preferred_replica,
        )

    def _adapt(self, question: _Question, records: bytes, is_more_there: bool) -> None:
        """When not one whole batch came although one is there, the next request for this position may be larger."""
        if len(records) >= _LENGTH_END:
            needed = _LENGTH_END + int.from_bytes(records[_LENGTH_END - 4 : _LENGTH_END], "big")
            if len(records) < needed > LARGEST_FETCH_BYTES:
                raise UnsupportedBatchError(
                    f"{_place(question)}: a batch of {needed} bytes is too large to be fetched."
                )
            self._wanted_bytes = max(self._wanted_bytes, needed)
        elif is_more_there:
            self._wanted_bytes = min(2 * self._wanted_bytes, LARGEST_FETCH_BYTES)


def _version(connection: Connection) -> int:
    return connection.pick(FETCH_KEY, *FETCH_VERSIONS)


def _place(question: _Question) -> str:
    return f"topic {question.partition.topic}, partition {question.partition.partition}, offset {question.position}"


def _error(code: int, question: _Question) -> KafkaBackupError:
    needs = (Permission("Read", "Topic", question.partition.topic),)
    error = error_for_code(code, Attempt("fetch", _place(question), needs))
    if code in _UNKNOWN_TOPICS:  # a broker may lag behind: the look-up by id, before the next attempt, decides
        return BrokerUnavailableError(str(error), code=code)
    return error
