"""The `LogReader` of a simulated cluster."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from tasks.broker.log_values import (
    EpochAnswers,
    EpochEnd,
    Fetched,
    FetchPosition,
    OffsetAnswers,
    OpenTransaction,
    Which,
)
from tasks.broker.translation import Action, Permission
from tasks.model.errors import BrokerUnavailableError, KafkaBackupError
from tasks.model.partition import Partition
from tests.simulation.kafka.calls import Client
from tests.simulation.kafka.fetching import SimulatedFetcher
from tests.simulation.kafka.shared_fetch import first_answers
from tests.simulation.kafka.stored_log import StoredLog


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

    def first_answers(self, positions: Sequence[FetchPosition]) -> dict[Partition, Fetched]:
        """See `LogReader.first_answers`."""
        return first_answers(self.client, positions)

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
