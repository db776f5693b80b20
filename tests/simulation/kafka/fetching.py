"""The `PartitionFetcher` of a simulated cluster, and what a leader answers to a fetch of one partition."""

from __future__ import annotations

from typing import NamedTuple

from tasks.broker.log_values import Fetched, FetchPosition
from tasks.broker.translation import Action, Permission
from tasks.model.errors import (
    AccessError,
    BrokerError,
    BrokerUnavailableError,
    InterruptedRunError,
    KafkaBackupError,
)
from tasks.model.partition import Partition
from tests.simulation.kafka.calls import Client
from tests.simulation.kafka.faults import AnswerLost
from tests.simulation.kafka.refusals import Refused

MAX_WAIT_MS = 500
"""A leader without records for a fetch waits so long for some."""


class _Request(NamedTuple):
    partition: Partition
    position: int
    last_epoch: int | None

    def __str__(self) -> str:
        return f"{self.partition} at {self.position}"


class SimulatedFetcher:
    """Fetches one partition at a time. An answer holds the batches that the leader had when the request was sent."""

    def __init__(self, client: Client, max_bytes: int) -> None:
        self._client = client
        self._max_bytes = max_bytes
        self._request: _Request | None = None
        self._ahead: Fetched | BrokerError | AccessError | None = None

    def send(self, partition: Partition, position: int, last_epoch: int | None) -> None:
        """See `PartitionFetcher.send`."""
        self._request, self._ahead = _Request(partition, position, last_epoch), None
        try:
            self._client.intercept("fetcher.send", str(self._request), has_happened=False)
            ahead = self._answer(self._request)
            self._client.intercept("fetcher.send", str(self._request), has_happened=True)
        except (AnswerLost, BrokerUnavailableError):
            return
        if isinstance(ahead, Fetched) and not (ahead.records or ahead.diverging or ahead.throttle_time_ms):
            return  # the leader waits for records
        self._ahead = ahead

    def receive(self) -> Fetched:
        """See `PartitionFetcher.receive`."""
        assert self._request is not None, "send a request first"
        request = self._request
        answer = self._client.call("fetcher.receive", str(request), lambda attempt: self._received(request))
        if isinstance(answer, KafkaBackupError):
            raise answer
        if not (answer.records or answer.diverging or answer.throttle_time_ms):
            answer = self._waited(request, answer)
        if answer.throttle_time_ms:
            self._client.kafka.clock.advance(answer.throttle_time_ms)
        return answer

    def abandon(self) -> None:
        """See `PartitionFetcher.abandon`."""
        self._ahead = None

    def _received(self, request: _Request) -> Fetched | BrokerError | AccessError:
        ahead, self._ahead = self._ahead, None
        return ahead if ahead is not None else self._answer(request)

    def _waited(self, request: _Request, empty: Fetched) -> Fetched:
        """The answer after the longest wait of the leader."""
        if self._client.stop.is_set():
            raise InterruptedRunError("Stopped on request.")
        self._client.kafka.clock.advance(MAX_WAIT_MS)
        try:
            answer = self._answer(request)
        except BrokerUnavailableError:
            return empty
        return answer if isinstance(answer, Fetched) else empty

    def _answer(self, request: _Request) -> Fetched | BrokerError | AccessError:
        """The leader's answer: records, nothing, or an error. Raises `BrokerUnavailableError`."""
        try:
            with self._client.kafka.lock:
                self._client.kafka.brokers.require_one()
                return self._read(request)
        except BrokerUnavailableError:
            raise
        except (BrokerError, AccessError) as error:
            return error

    def _read(self, request: _Request) -> Fetched:
        fetched = read_partition(self._client, FetchPosition(*request, max_bytes=self._max_bytes))
        kafka = self._client.kafka
        throttle_ms = kafka.fetch_quota.throttle_ms(len(fetched.records), kafka.clock.now_ms())
        if throttle_ms:
            return Fetched(
                partition=request.partition, position=request.position, records=b"", throttle_time_ms=throttle_ms
            )
        return fetched


def read_partition(client: Client, asked: FetchPosition) -> Fetched:
    """What the leader's log has at the position, whatever the quota. Raises the error that the real port makes of the
    leader's code."""
    partition = asked.partition
    led = client.leader_of(partition)
    where = f"topic {partition.topic}, partition {partition.partition}, offset {asked.position}"
    client.require(Permission("Read", "Topic", partition.topic), "fetch", where)
    try:
        found = led.log.read(asked.position, max_bytes=asked.max_bytes, last_epoch=asked.last_epoch)
    except Refused as refused:
        raise refused.as_error(Action("fetch", where)) from None
    return Fetched(
        partition=partition,
        position=asked.position,
        records=found.records,
        aborted=found.aborted,
        high_watermark=led.log.high_watermark,
        last_stable_offset=led.log.last_stable_offset,
        log_start_offset=led.log.log_start,
        diverging=found.diverging,
    )
