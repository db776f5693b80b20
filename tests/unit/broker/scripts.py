"""Answers for scripted brokers: metadata, offsets, fetches, and a log that takes batches as a leader does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kafka.protocol.consumer import FetchRequest, FetchResponse, ListOffsetsRequest, ListOffsetsResponse
from kafka.protocol.metadata import MetadataRequest, MetadataResponse
from kafka.protocol.producer import ProduceRequest, ProduceResponse

from tasks.batches.header import read_header
from tasks.broker.messages.topic_ids import topic_id_text, topic_uuid
from tasks.model.partition import Incarnation, Partition
from tests.unit.broker.scripted_broker import Answer, Asked, ScriptedBroker

PRODUCE, FETCH, LIST_OFFSETS, METADATA, INIT_PRODUCER_ID = 0, 1, 2, 3, 22
TOPIC = Incarnation("orders", "kM2jV_iUQ4y9-0gQx3S7vA")
FIRST, SECOND = (Partition(*TOPIC, number) for number in range(2))


class World:
    """What the metadata of all scripted brokers says: who is alive, and who leads what. Tests change it as they go."""

    def __init__(self, leaders: Mapping[Partition, int], *brokers: ScriptedBroker) -> None:
        self.leaders = dict(leaders)
        self.brokers = dict(enumerate(brokers, 1))
        self.errors: dict[str, int] = {}
        for broker in brokers:
            broker.answers[METADATA] = self.metadata

    def metadata(self, asked: Asked) -> Any:
        request = asked.decoded(MetadataRequest)
        node = MetadataResponse.MetadataResponseBroker
        return MetadataResponse(
            throttle_time_ms=0,
            brokers=[node(node_id=number, host="127.0.0.1", port=one.port) for number, one in self.brokers.items()],
            cluster_id="c",
            controller_id=1,
            topics=[self._topic(topic, asked.version) for topic in request.topics],
        )

    def _topic(self, asked: Any, version: int) -> Any:
        topic_class = MetadataResponse.MetadataResponseTopic
        by_id = version >= 12
        own = [
            partition
            for partition in self.leaders
            if (partition.topic_id == topic_id_text(asked.topic_id) if by_id else partition.topic == asked.name)
        ]
        if not own:
            return topic_class(error_code=100 if by_id else 3, name=asked.name, topic_id=asked.topic_id, partitions=[])
        part_class = topic_class.MetadataResponsePartition
        return topic_class(
            error_code=self.errors.get(own[0].topic, 0),
            name=own[0].topic,
            topic_id=topic_uuid(own[0].topic_id),
            partitions=[
                part_class(error_code=0, partition_index=one.partition, leader_id=self.leaders[one], leader_epoch=0)
                for one in own
            ],
        )


def offsets(answer: Callable[[int, int], tuple[int, int]]) -> Answer:
    """A ListOffsets answer; `answer` makes (error code, offset) of a partition number and a timestamp."""

    def answered(asked: Asked) -> Any:
        topic_class = ListOffsetsResponse.ListOffsetsTopicResponse
        topics = []
        for topic in asked.decoded(ListOffsetsRequest).topics:
            parts = []
            for part in topic.partitions:
                code, offset = answer(part.partition_index, part.timestamp)
                parts.append(
                    topic_class.ListOffsetsPartitionResponse(
                        partition_index=part.partition_index, error_code=code, timestamp=-1, offset=offset
                    )
                )
            topics.append(topic_class(name=topic.name, partitions=parts))
        return ListOffsetsResponse(throttle_time_ms=0, topics=topics)

    return answered


def fetched(
    asked: Asked,
    *,
    records: bytes = b"",
    error_code: int = 0,
    stable: int = 0,
    high: int = 0,
    throttle_time_ms: int = 0,
    diverging: tuple[int, int] | None = None,
) -> Any:
    """An answer about the one partition that was asked for; a throttled one names none."""
    [topic] = asked.decoded(FetchRequest).topics
    topic_class = FetchResponse.FetchableTopicResponse
    part = topic_class.PartitionData(
        partition_index=topic.partitions[0].partition,
        error_code=error_code,
        high_watermark=high,
        last_stable_offset=stable,
        log_start_offset=0,
        aborted_transactions=[],
        records=records,
    )
    if diverging is not None:
        part.diverging_epoch = topic_class.PartitionData.EpochEndOffset(epoch=diverging[0], end_offset=diverging[1])
    answered = topic_class(topic=topic.topic, topic_id=topic.topic_id, partitions=[part])
    return FetchResponse(
        throttle_time_ms=throttle_time_ms, error_code=0, session_id=0, responses=[] if throttle_time_ms else [answered]
    )


def asked_bytes(asked: Asked) -> tuple[int, int]:
    """(offset, largest answer) that a Fetch asked for."""
    [topic] = asked.decoded(FetchRequest).topics
    return topic.partitions[0].fetch_offset, topic.partitions[0].partition_max_bytes


class Log:
    """One partition as its leader keeps it: appends what follows, knows repeated batches, refuses holes.

    `refuse` is consulted for every batch that arrives, with its base sequence, and returns an error code or 0.
    Like a real leader, one that does not know the producer takes any first sequence.
    """

    def __init__(self) -> None:
        self.batches: list[tuple[int, bytes]] = []
        self.known: dict[int, tuple[int, int]] = {}
        self.next_sequence: int | None = None
        self.end = 0
        self.arrived: list[int] = []
        self.refuse: Callable[[int], int] = lambda sequence: 0

    def append(self, data: bytes) -> tuple[int, int]:
        """(error code, base offset)."""
        header = read_header(data, 0)
        self.arrived.append(header.base_sequence)
        if code := self.refuse(header.base_sequence):
            return code, -1
        if header.base_sequence in self.known:
            return 0, self.known[header.base_sequence][0]
        if self.next_sequence not in (None, header.base_sequence):
            return 45, -1
        return 0, self._store(data, header.base_sequence, header.record_count)

    def _store(self, data: bytes, sequence: int, count: int) -> int:
        base, self.end = self.end, self.end + count
        self.batches.append((base, data))
        self.known = {**dict(list(self.known.items())[-4:]), sequence: (base, count)}
        self.next_sequence = sequence + count
        return base

    def forget_producer(self) -> None:
        """As a broker does that restarts, or whose check finds only records older than a day."""
        self.known, self.next_sequence = {}, None

    @property
    def stored(self) -> list[int]:
        """The base sequences in the log, in order."""
        return [read_header(data, 0).base_sequence for _, data in self.batches]

    def records(self, position: int) -> bytes:
        """Everything from `position` on, with the offsets it got."""
        return b"".join(base.to_bytes(8, "big") + data[8:] for base, data in self.batches if base >= position)


def take(logs: Sequence[Log]) -> Answer:
    """A Produce answer of a leader of all partitions."""

    def answer(asked: Asked) -> Any:
        topic_class = ProduceResponse.TopicProduceResponse
        [topic] = asked.decoded(ProduceRequest).topic_data
        parts = []
        for part in topic.partition_data:
            code, base = logs[part.index].append(bytes(part.records))
            parts.append(
                topic_class.PartitionProduceResponse(
                    index=part.index,
                    error_code=code,
                    base_offset=base,
                    log_append_time_ms=-1,
                    log_start_offset=0,
                    record_errors=[],
                )
            )
        return ProduceResponse(responses=[topic_class(name=topic.name, partition_responses=parts)], throttle_time_ms=0)

    return answer


def serve(logs: Sequence[Log]) -> dict[int, Answer]:
    """Everything that a leader of these logs answers."""

    def fetch(asked: Asked) -> Any:
        [topic] = asked.decoded(FetchRequest).topics
        log = logs[topic.partitions[0].partition]
        records = log.records(topic.partitions[0].fetch_offset)
        return fetched(asked, records=records, stable=log.end, high=log.end)

    return {
        PRODUCE: take(logs),
        FETCH: fetch,
        LIST_OFFSETS: offsets(lambda number, _: (0, logs[number].end)),
    }
