"""The `LogReader` and `PartitionFetcher` of a simulated cluster."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from tasks.broker.log_values import EpochAnswers, EpochEnd, Fetched, OffsetAnswers, OpenTransaction, Which
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
from tests.simulation.kafka.stored_log import StoredLog

MAX_WAIT_MS = 500
"""A leader without records for a fetch waits so long for some."""


@dataclass(frozen=True, slots=True)
class SimulatedLogReader:
    """Reads logs for one thread."""

    client: Client

    @property
    def retry_deadline_ms(self) -> int:
        """In simulated time."""
        return self.client.deadline_ms

    def list_offsets(self, partitions: Collection[Partition], which: Which) -> OffsetAnswers:
        """See `LogReader.list_offsets`."""
        return list_offsets(self.client, "reader.list_offsets", partitions, which)

    def ends_of_epochs(self, epochs: Mapping[Partition, int]) -> EpochAnswers:
        """See `LogReader.ends_of_epochs`."""

        def end(partition: Partition, attempt: int) -> EpochEnd | None:
            log = self.client.leader_of(partition).log
            found = log.epochs.end_offset(epochs[partition], log.end)
            return EpochEnd(*found) if found is not None else None

        def attempt(partition: Partition) -> Action:
            where = f"topic {partition.topic}, partition {partition.partition}"
            return Action("look up a leader epoch of", where, (Permission("Describe", "Topic", partition.topic),))

        answers = EpochAnswers()
        for partition, answer in self.client.call_each("reader.ends_of_epochs", list(epochs), end, attempt).items():
            if isinstance(answer, KafkaBackupError):
                answers.failures[partition] = answer
            else:
                answers.ends[partition] = answer
        return answers

    def open_transactions(self, partitions: Collection[Partition]) -> dict[Partition, OpenTransaction]:
        """See `LogReader.open_transactions`."""

        def oldest(partition: Partition, attempt: int) -> OpenTransaction | None:
            log = self.client.leader_of(partition).log
            first, producer = min(((at, one) for one, at in log.transactions.open.items()), default=(-1, -1))
            stamps = [one.header.max_timestamp for one in log.batches() if one.header.producer_id == producer]
            return OpenTransaction(producer, first, stamps[-1]) if stamps else None

        def attempt(partition: Partition) -> Action:
            where = f"topic {partition.topic}, partition {partition.partition}"
            return Action("describe the producers of", where, (Permission("Read", "Topic", partition.topic),))

        found = self.client.call_each("reader.open_transactions", list(partitions), oldest, attempt)
        return {one: answer for one, answer in found.items() if isinstance(answer, OpenTransaction)}

    def partition_bytes(self, partitions: Collection[Partition]) -> dict[Partition, int] | None:
        """See `LogReader.partition_bytes`: by the topic's name, whichever incarnation there is."""
        kafka = self.client.kafka

        def sizes(attempt: int) -> dict[Partition, int]:
            if not self.client.may("Describe", "Cluster"):
                return {}
            found = {one: kafka.topics.place((one.topic, one.partition)) for one in partitions}
            return {one: led.log.size_bytes for one, led in found.items() if led is not None}

        try:
            return self.client.call("reader.partition_bytes", f"{len(partitions)} partitions", sizes) or None
        except BrokerUnavailableError:
            return None

    def fetcher(self, *, max_bytes: int) -> SimulatedFetcher:
        """See `LogReader.fetcher`."""
        return SimulatedFetcher(self.client, max_bytes)


def list_offsets(client: Client, call: str, partitions: Collection[Partition], which: Which) -> OffsetAnswers:
    """The offset of each partition or why there is none."""
    epochs: dict[Partition, int] = {}

    def offset(partition: Partition, attempt: int) -> int:
        led = client.leader_of(partition)
        epochs[partition] = led.epoch
        return _offset(led.log, which)

    def attempt(partition: Partition) -> Action:
        where = f"topic {partition.topic}, partition {partition.partition}"
        return Action("list offsets of", where, (Permission("Describe", "Topic", partition.topic),))

    answers = OffsetAnswers()
    for partition, answer in client.call_each(call, list(dict.fromkeys(partitions)), offset, attempt).items():
        if isinstance(answer, KafkaBackupError):
            answers.failures[partition] = answer
        else:
            answers.offsets[partition] = answer
            answers.leader_epochs[partition] = epochs[partition]
    return answers


def _offset(log: StoredLog, which: Which) -> int:
    match which:
        case "earliest":
            return log.log_start
        case "latest":
            return log.high_watermark
        case "last_stable":
            return log.last_stable_offset
        case "max_timestamp":
            return log.max_timestamp_offset()


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
        partition = request.partition
        led = self._client.leader_of(partition)
        where = f"topic {partition.topic}, partition {partition.partition}, offset {request.position}"
        self._client.require(Permission("Read", "Topic", partition.topic), "fetch", where)
        try:
            found = led.log.read(request.position, max_bytes=self._max_bytes, last_epoch=request.last_epoch)
        except Refused as refused:
            raise refused.as_error(Action("fetch", where)) from None
        kafka = self._client.kafka
        throttle_ms = kafka.fetch_quota.throttle_ms(len(found.records), kafka.clock.now_ms())
        if throttle_ms:
            return Fetched(partition=partition, position=request.position, records=b"", throttle_time_ms=throttle_ms)
        return Fetched(
            partition=partition,
            position=request.position,
            records=found.records,
            aborted=found.aborted,
            high_watermark=led.log.high_watermark,
            last_stable_offset=led.log.last_stable_offset,
            log_start_offset=led.log.log_start,
            diverging=found.diverging,
        )
