"""Answers for scripted brokers: metadata, offsets, fetches, and a log that appends batches as a leader does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kafka.protocol.consumer import FetchRequest, FetchResponse, ListOffsetsRequest, ListOffsetsResponse
from kafka.protocol.metadata import MetadataRequest, MetadataResponse
from kafka.protocol.producer import ProduceRequest, ProduceResponse

from tasks.batches.header import read_header
from tasks.broker.error_codes import ErrorCode
from tasks.broker.messages.api_keys import ApiKey
from tasks.broker.messages.topic_ids import topic_id_text, topic_uuid
from tasks.model.partition import Incarnation, Partition
from tests.unit.broker.scripted_broker import Answer, ReceivedRequest, ScriptedBroker

TOPIC = Incarnation("orders", "kM2jV_iUQ4y9-0gQx3S7vA")
FIRST, SECOND = (Partition(*TOPIC, number) for number in range(2))


class ScriptedMetadata:
    """The metadata that all scripted brokers answer with: the brokers, and the leader of each partition.

    Tests change `leaders` and `errors` while they run. `errors` are error codes by topic name.
    """

    def __init__(self, leaders: Mapping[Partition, int], *brokers: ScriptedBroker) -> None:
        self.leaders = dict(leaders)
        self.brokers = dict(enumerate(brokers, 1))
        self.errors: dict[str, ErrorCode] = {}
        for broker in brokers:
            broker.answers[ApiKey.METADATA] = self.answer

    def answer(self, received: ReceivedRequest) -> Any:
        request = received.decoded(MetadataRequest)
        node = MetadataResponse.MetadataResponseBroker
        return MetadataResponse(
            throttle_time_ms=0,
            brokers=[node(node_id=number, host="127.0.0.1", port=one.port) for number, one in self.brokers.items()],
            cluster_id="c",
            controller_id=1,
            topics=[self._topic(topic, received.version) for topic in request.topics],
        )

    def _topic(self, requested: Any, version: int) -> Any:
        topic_class = MetadataResponse.MetadataResponseTopic
        by_id = version >= 12
        own = [
            partition
            for partition in self.leaders
            if (partition.topic_id == topic_id_text(requested.topic_id) if by_id else partition.topic == requested.name)
        ]
        if not own:
            unknown = ErrorCode.UNKNOWN_TOPIC_ID if by_id else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
            return topic_class(error_code=unknown, name=requested.name, topic_id=requested.topic_id, partitions=[])
        part_class = topic_class.MetadataResponsePartition
        return topic_class(
            error_code=self.errors.get(own[0].topic, ErrorCode.NONE),
            name=own[0].topic,
            topic_id=topic_uuid(own[0].topic_id),
            partitions=[
                part_class(error_code=0, partition_index=one.partition, leader_id=self.leaders[one], leader_epoch=0)
                for one in own
            ],
        )


def offsets(answer: Callable[[int, int], tuple[int, int]], *, leader_epoch: int = -1) -> Answer:
    """An answer to ListOffsets. `answer` returns (error code, offset) for a partition number and a timestamp."""

    def list_offsets(received: ReceivedRequest) -> Any:
        topic_class = ListOffsetsResponse.ListOffsetsTopicResponse
        topics = []
        for topic in received.decoded(ListOffsetsRequest).topics:
            parts = []
            for part in topic.partitions:
                code, offset = answer(part.partition_index, part.timestamp)
                parts.append(
                    topic_class.ListOffsetsPartitionResponse(
                        partition_index=part.partition_index,
                        error_code=code,
                        timestamp=-1,
                        offset=offset,
                        leader_epoch=leader_epoch,
                    )
                )
            topics.append(topic_class(name=topic.name, partitions=parts))
        return ListOffsetsResponse(throttle_time_ms=0, topics=topics)

    return list_offsets


def fetched(
    received: ReceivedRequest,
    *,
    records: bytes = b"",
    error_code: int = ErrorCode.NONE,
    stable: int = 0,
    high: int = 0,
    throttle_time_ms: int = 0,
    diverging: tuple[int, int] | None = None,
    preferred: int = -1,
) -> Any:
    """An answer to Fetch, the same about each requested partition. A throttled answer contains no partition."""

    def answer(partition: tuple[str, int]) -> Any:
        return fetched_part(
            partition[1],
            records=records,
            error_code=error_code,
            stable=stable,
            high=high,
            diverging=diverging,
            preferred=preferred,
        )

    return fetched_each(received, answer, throttle_time_ms=throttle_time_ms)


def fetched_part(
    number: int,
    *,
    records: bytes = b"",
    error_code: int = ErrorCode.NONE,
    stable: int = 0,
    high: int = 0,
    diverging: tuple[int, int] | None = None,
    preferred: int = -1,
) -> Any:
    """What an answer to Fetch says about a partition."""
    part_class = FetchResponse.FetchableTopicResponse.PartitionData
    part = part_class(
        partition_index=number,
        error_code=error_code,
        high_watermark=high,
        last_stable_offset=stable,
        log_start_offset=0,
        aborted_transactions=[],
        records=records,
        preferred_read_replica=preferred,
    )
    if diverging is not None:
        part.diverging_epoch = part_class.EpochEndOffset(epoch=diverging[0], end_offset=diverging[1])
    return part


def fetched_each(
    received: ReceivedRequest, answer: Callable[[tuple[str, int]], Any], *, throttle_time_ms: int = 0
) -> Any:
    """An answer to Fetch. `answer` returns what it says about a (topic id, partition number), or None to leave it out.
    Topics are in the reverse order of the request, because no order is promised."""
    topics = []
    for topic in reversed(received.decoded(FetchRequest).topics):
        parts = [answer((topic_id_text(topic.topic_id), one.partition)) for one in topic.partitions]
        topics.append(
            FetchResponse.FetchableTopicResponse(
                topic=topic.topic, topic_id=topic.topic_id, partitions=[one for one in parts if one is not None]
            )
        )
    return FetchResponse(
        throttle_time_ms=throttle_time_ms, error_code=0, session_id=0, responses=[] if throttle_time_ms else topics
    )


def requested_bytes(received: ReceivedRequest) -> tuple[int, int]:
    """(offset, largest answer in bytes) of a Fetch request."""
    [topic] = received.decoded(FetchRequest).topics
    return topic.partitions[0].fetch_offset, topic.partitions[0].partition_max_bytes


class Log:
    """One partition as its leader stores it: recognizes repeated batches and rejects gaps in the sequence.

    `reject` is called with the base sequence of every batch that arrives, and returns an error code or 0. Like a real
    leader, it accepts any first sequence of a producer that it does not know.
    """

    def __init__(self) -> None:
        self.batches: list[tuple[int, bytes]] = []
        self.known: dict[int, tuple[int, int]] = {}
        self.next_sequence: int | None = None
        self.end = 0
        self.arrived: list[int] = []
        self.reject: Callable[[int], int] = lambda sequence: ErrorCode.NONE

    def append(self, data: bytes) -> tuple[int, int]:
        """(error code, base offset)."""
        header = read_header(data, 0)
        self.arrived.append(header.base_sequence)
        if code := self.reject(header.base_sequence):
            return code, -1
        if header.base_sequence in self.known:
            return 0, self.known[header.base_sequence][0]
        if self.next_sequence not in (None, header.base_sequence):
            return ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, -1
        return 0, self._store(data, header.base_sequence, header.record_count)

    def _store(self, data: bytes, sequence: int, count: int) -> int:
        base, self.end = self.end, self.end + count
        self.batches.append((base, data))
        self.known = {**dict(list(self.known.items())[-4:]), sequence: (base, count)}
        self.next_sequence = sequence + count
        return base

    def forget_producer(self) -> None:
        """As a broker does after a restart, or if all records of the producer are older than a day."""
        self.known, self.next_sequence = {}, None

    @property
    def stored(self) -> list[int]:
        """The base sequences in the log, in order."""
        return [read_header(data, 0).base_sequence for _, data in self.batches]

    def records(self, position: int) -> bytes:
        """The batches from `position` on, with their offsets in this log."""
        return b"".join(base.to_bytes(8, "big") + data[8:] for base, data in self.batches if base >= position)


def append(logs: Sequence[Log]) -> Answer:
    """An answer to Produce of a leader of all these partitions."""

    def answer(received: ReceivedRequest) -> Any:
        topic_class = ProduceResponse.TopicProduceResponse
        [topic] = received.decoded(ProduceRequest).topic_data
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
    """The answers of a leader of these logs to Produce, Fetch and ListOffsets."""

    def fetch(received: ReceivedRequest) -> Any:
        [topic] = received.decoded(FetchRequest).topics
        log = logs[topic.partitions[0].partition]
        records = log.records(topic.partitions[0].fetch_offset)
        return fetched(received, records=records, stable=log.end, high=log.end)

    return {
        ApiKey.PRODUCE: append(logs),
        ApiKey.FETCH: fetch,
        ApiKey.LIST_OFFSETS: offsets(lambda number, _: (0, logs[number].end)),
    }
