"""Every message of kafka-python that this program uses, in every version that it can pick.

kafka-python generates its codecs from Kafka's schemas. These tests fail if a new release renames a field, drops a
version or changes a default.
"""

from __future__ import annotations

import struct
import uuid
from typing import Any

import pytest
from kafka.protocol.admin import DescribeLogDirsRequest, DescribeLogDirsResponse
from kafka.protocol.consumer import ListOffsetsRequest, ListOffsetsResponse
from kafka.protocol.consumer.offsets import OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse
from kafka.protocol.metadata import ApiVersionsRequest, ApiVersionsResponse, MetadataRequest, MetadataResponse
from kafka.protocol.producer import (
    InitProducerIdRequest,
    InitProducerIdResponse,
    ProduceRequest,
    ProduceResponse,
)
from kafka.protocol.sasl import (
    SaslAuthenticateRequest,
    SaslAuthenticateResponse,
    SaslHandshakeRequest,
    SaslHandshakeResponse,
)

from tasks.broker.error_codes import ErrorCode
from tasks.broker.log_values import FetchPosition
from tasks.broker.messages import wire
from tasks.broker.messages.api_keys import ApiKey
from tasks.broker.messages.fetch_request import FETCH_VERSIONS, FIRST_BY_ID, fetch_request
from tasks.broker.messages.produce_request import PRODUCE_VERSION, encode_produce
from tasks.broker.messages.topic_ids import topic_id_text, topic_uuid
from tasks.model.partition import Partition

TOPIC_ID = "kM2jV_iUQ4y9-0gQx3S7vA"
PARTITION = Partition("orders-ü", TOPIC_ID, 3)


def _sent(request: Any, version: int) -> Any:
    """The request as a broker reads it from the bytes that are sent."""
    request.API_VERSION = version
    data = wire.encode_request(request, correlation_id=7, client_id="me")
    assert len(data) - 4 == struct.unpack_from(">i", data)[0]
    assert (type(request).API_KEY, version, 7, 2, b"me") == struct.unpack_from(">hhih2s", data, 4)
    return type(request).decode(data, version=version, header=True, framed=True)


def _received(response: Any, version: int) -> Any:
    """The answer as this program reads it from a broker's bytes."""
    response.API_VERSION = version
    response.with_header(correlation_id=7)
    data = memoryview(response.encode(header=True))
    correlation_id, read = wire.decode_response(data, api_key=type(response).API_KEY, api_version=version)
    assert 7 == correlation_id
    return read


DESCRIBED_BY_OWN_CODECS = (ApiKey.CONSUMER_GROUP_DESCRIBE, ApiKey.STREAMS_GROUP_DESCRIBE)
"""See `tasks/broker/messages/described_groups.py`."""


def test_api_keys_are_those_of_the_requests() -> None:
    requests = [getattr(wire, name) for name in wire.__all__ if name.endswith("Request")]

    assert {request.__name__: request.API_KEY for request in [*requests, ProduceRequest]} == {
        f"{key.request_name}Request": key for key in ApiKey if key not in DESCRIBED_BY_OWN_CODECS
    }


def test_topic_ids_are_written_as_kafka_prints_them() -> None:
    assert TOPIC_ID == topic_id_text(topic_uuid(TOPIC_ID))
    assert uuid.UUID("90cda357-f894-438c-bdfb-4810c774bbbc") == topic_uuid(TOPIC_ID)
    assert "AAAAAAAAAAAAAAAAAAAAAA" == topic_id_text(None)


@pytest.mark.parametrize("version", [0, 3])
def test_api_versions(version: int) -> None:
    sent = _sent(ApiVersionsRequest(client_software_name="kafka-backup", client_software_version="1"), version)
    key = ApiVersionsResponse.ApiVersion(api_key=1, min_version=4, max_version=17)
    received = _received(ApiVersionsResponse(error_code=0, api_keys=[key], throttle_time_ms=0), version)

    assert version == 0 or ("kafka-backup", "1") == (sent.client_software_name, sent.client_software_version)
    assert [(1, 4, 17)] == [(one.api_key, one.min_version, one.max_version) for one in received.api_keys]


@pytest.mark.parametrize("version", [10, 11, 12])
def test_metadata(version: int) -> None:
    topic_class = MetadataRequest.MetadataRequestTopic
    topics = [topic_class(topic_id=topic_uuid(TOPIC_ID), name=None if version == 12 else "orders-ü")]
    sent = _sent(MetadataRequest(topics=topics, allow_auto_topic_creation=False), version)
    assert sent.allow_auto_topic_creation is False
    assert [(topic_uuid(TOPIC_ID), None if version == 12 else "orders-ü")] == [
        (t.topic_id, t.name) for t in sent.topics
    ]

    described = MetadataResponse.MetadataResponseTopic
    part = described.MetadataResponsePartition(error_code=0, partition_index=3, leader_id=2, leader_epoch=9)
    topic = described(error_code=0, name="orders-ü", topic_id=topic_uuid(TOPIC_ID), partitions=[part])
    broker = MetadataResponse.MetadataResponseBroker(node_id=2, host="h", port=9)
    received = _received(MetadataResponse(brokers=[broker], topics=[topic]), version)
    assert [(2, "h", 9)] == [(one.node_id, one.host, one.port) for one in received.brokers]
    [read] = received.topics
    assert (0, "orders-ü", topic_uuid(TOPIC_ID)) == (read.error_code, read.name, read.topic_id)
    assert [(3, 2, 9)] == [(one.partition_index, one.leader_id, one.leader_epoch) for one in read.partitions]


@pytest.mark.parametrize("version", range(FETCH_VERSIONS[0], FETCH_VERSIONS[1] + 1))
def test_fetch_requests_committed_records_of_one_partition_by_id_if_the_version_has_ids(version: int) -> None:
    request = fetch_request([FetchPosition(PARTITION, 1 << 40, 5, 111)], version=version, max_wait_ms=222)
    sent = _sent(request, version)

    assert (222, 1, 111, 1, 0, -1) == (
        sent.max_wait_ms,
        sent.min_bytes,
        sent.max_bytes,
        sent.isolation_level,
        sent.session_id,
        sent.session_epoch,
    )
    [topic] = sent.topics
    if version < FIRST_BY_ID:
        assert "orders-ü" == topic.topic
    else:
        assert topic_uuid(TOPIC_ID) == topic.topic_id
    [part] = topic.partitions
    assert (3, -1, 1 << 40, 5, 111) == (
        part.partition,
        part.current_leader_epoch,
        part.fetch_offset,
        part.last_fetched_epoch,
        part.partition_max_bytes,
    )
    assert [] == sent.forgotten_topics_data
    unknown = FetchPosition(PARTITION, 0, None, 1)
    no_epoch = _sent(fetch_request([unknown], version=version, max_wait_ms=1), version)
    assert -1 == no_epoch.topics[0].partitions[0].last_fetched_epoch


@pytest.mark.parametrize("version", range(FIRST_BY_ID, FETCH_VERSIONS[1] + 1))
def test_fetch_requests_many_partitions_by_topic_in_the_given_order(version: int) -> None:
    other = Partition("b", "AAAAAAAAAAAAAAAAAAAAKg", 0)
    positions = [
        FetchPosition(PARTITION, 10, 5, 1_000),
        FetchPosition(other, 20, None, 2_000),
        FetchPosition(PARTITION._replace(partition=1), 30, 6, 3_000),
    ]
    sent = _sent(fetch_request(positions, version=version, max_wait_ms=0), version)

    assert (0, 6_000) == (sent.max_wait_ms, sent.max_bytes)
    assert [
        (TOPIC_ID, [(3, 10, 5, 1_000), (1, 30, 6, 3_000)]),
        (other.topic_id, [(0, 20, -1, 2_000)]),
    ] == [
        (
            topic_id_text(topic.topic_id),
            [
                (one.partition, one.fetch_offset, one.last_fetched_epoch, one.partition_max_bytes)
                for one in topic.partitions
            ],
        )
        for topic in sent.topics
    ]


@pytest.mark.parametrize("version", range(2, 5))
def test_offset_for_leader_epoch(version: int) -> None:
    topic_class = OffsetForLeaderEpochRequest.OffsetForLeaderTopic
    part = topic_class.OffsetForLeaderPartition(partition=3, current_leader_epoch=-1, leader_epoch=7)
    topics = [topic_class(topic="orders-ü", partitions=[part])]
    sent = _sent(OffsetForLeaderEpochRequest(replica_id=-1, topics=topics), version)
    assert ("orders-ü", 3, 7) == (
        sent.topics[0].topic,
        sent.topics[0].partitions[0].partition,
        sent.topics[0].partitions[0].leader_epoch,
    )

    answer = OffsetForLeaderEpochResponse.OffsetForLeaderTopicResult
    answered = answer.EpochEndOffset(error_code=ErrorCode.NONE, partition=3, leader_epoch=6, end_offset=1 << 40)
    topic = answer(topic="orders-ü", partitions=[answered])
    [read] = _received(OffsetForLeaderEpochResponse(throttle_time_ms=0, topics=[topic]), version).topics
    assert ("orders-ü", 3, 6, 1 << 40) == (
        read.topic,
        read.partitions[0].partition,
        read.partitions[0].leader_epoch,
        read.partitions[0].end_offset,
    )


@pytest.mark.parametrize("version", range(2, 8))
def test_list_offsets(version: int) -> None:
    topic_class = ListOffsetsRequest.ListOffsetsTopic
    part = topic_class.ListOffsetsPartition(partition_index=3, current_leader_epoch=-1, timestamp=-2)
    topics = [topic_class(name="orders-ü", partitions=[part])]
    sent = _sent(ListOffsetsRequest(replica_id=-1, isolation_level=1, topics=topics), version)
    assert (-1, 1, "orders-ü") == (sent.replica_id, sent.isolation_level, sent.topics[0].name)
    assert (3, -2) == (sent.topics[0].partitions[0].partition_index, sent.topics[0].partitions[0].timestamp)

    answer = ListOffsetsResponse.ListOffsetsTopicResponse
    answered = answer.ListOffsetsPartitionResponse(
        partition_index=3, error_code=ErrorCode.NOT_LEADER_OR_FOLLOWER, timestamp=-1, offset=1 << 40
    )
    topic = answer(name="orders-ü", partitions=[answered])
    [read] = _received(ListOffsetsResponse(throttle_time_ms=0, topics=[topic]), version).topics
    assert ("orders-ü", 3, ErrorCode.NOT_LEADER_OR_FOLLOWER, 1 << 40) == (
        read.name,
        read.partitions[0].partition_index,
        read.partitions[0].error_code,
        read.partitions[0].offset,
    )


@pytest.mark.parametrize("version", range(5))
def test_init_producer_id(version: int) -> None:
    request = InitProducerIdRequest(
        transactional_id=None, transaction_timeout_ms=60_000, producer_id=-1, producer_epoch=-1
    )
    assert _sent(request, version).transactional_id is None
    read = _received(
        InitProducerIdResponse(
            throttle_time_ms=0, error_code=ErrorCode.COORDINATOR_LOAD_IN_PROGRESS, producer_id=5, producer_epoch=6
        ),
        version,
    )
    assert (ErrorCode.COORDINATOR_LOAD_IN_PROGRESS, 5, 6) == (read.error_code, read.producer_id, read.producer_epoch)


@pytest.mark.parametrize("version", range(1, 5))
def test_describe_log_dirs(version: int) -> None:
    assert _sent(DescribeLogDirsRequest(topics=None), version).topics is None
    result = DescribeLogDirsResponse.DescribeLogDirsResult
    part = result.DescribeLogDirsTopic.DescribeLogDirsPartition(
        partition_index=3, partition_size=1 << 40, offset_lag=0, is_future_key=False
    )
    topic = result.DescribeLogDirsTopic(name="orders-ü", partitions=[part])
    response = DescribeLogDirsResponse(
        throttle_time_ms=0,
        error_code=ErrorCode.CLUSTER_AUTHORIZATION_FAILED,
        results=[result(error_code=0, log_dir="/d", topics=[topic])],
    )
    read = _received(response, version)
    assert (ErrorCode.CLUSTER_AUTHORIZATION_FAILED if version >= 3 else ErrorCode.NONE) == read.error_code
    [folder] = read.results
    assert (0, "orders-ü") == (folder.error_code, folder.topics[0].name)
    assert (3, 1 << 40) == (
        folder.topics[0].partitions[0].partition_index,
        folder.topics[0].partitions[0].partition_size,
    )


@pytest.mark.parametrize("version", [0, 1])
def test_sasl_handshake(version: int) -> None:
    assert "PLAIN" == _sent(SaslHandshakeRequest(mechanism="PLAIN"), version).mechanism
    read = _received(
        SaslHandshakeResponse(error_code=ErrorCode.UNSUPPORTED_SASL_MECHANISM, mechanisms=["A", "B"]), version
    )
    assert (ErrorCode.UNSUPPORTED_SASL_MECHANISM, ["A", "B"]) == (read.error_code, list(read.mechanisms))


@pytest.mark.parametrize("version", [0, 1, 2])
def test_sasl_authenticate(version: int) -> None:
    assert b"\0x" == _sent(SaslAuthenticateRequest(auth_bytes=b"\0x"), version).auth_bytes
    response = SaslAuthenticateResponse(
        error_code=ErrorCode.SASL_AUTHENTICATION_FAILED,
        error_message="no",
        auth_bytes=b"y",
        session_lifetime_ms=1 << 40,
    )
    read = _received(response, version)
    assert (ErrorCode.SASL_AUTHENTICATION_FAILED, "no", b"y") == (
        read.error_code,
        read.error_message,
        bytes(read.auth_bytes),
    )
    assert (1 << 40 if version else 0) == (read.session_lifetime_ms or 0)


@pytest.mark.parametrize("name", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"])
def test_every_mechanism_has_first_bytes_and_is_not_done(name: str) -> None:
    mechanism = wire.sasl_mechanism(name, username="me", password="secret", token="token")

    assert isinstance(mechanism.auth_bytes(), bytes)
    assert not mechanism.is_done()


def test_kafka_python_reads_the_produce_request_that_is_encoded_by_hand() -> None:
    others = [(PARTITION, b"first" * 100), (Partition("b", "", 0), b"second"), (PARTITION._replace(partition=4), b"3")]

    buffers = encode_produce(others, correlation_id=9, client_id="mé", timeout_ms=1234)

    data = b"".join(buffers)
    sent = ProduceRequest.decode(data, version=PRODUCE_VERSION, header=True, framed=True)
    assert (ApiKey.PRODUCE, PRODUCE_VERSION, 9) == struct.unpack_from(">hhi", data, 4)
    assert len(data) - 4 == struct.unpack_from(">i", data)[0]
    assert (None, -1, 1234) == (sent.transactional_id, sent.acks, sent.timeout_ms)
    assert [("orders-ü", [(3, b"first" * 100), (4, b"3")]), ("b", [(0, b"second")])] == [
        (topic.name, [(part.index, bytes(part.records)) for part in topic.partition_data]) for topic in sent.topic_data
    ]
    assert any(buffer is others[0][1] for buffer in buffers), "batches are not copied"


def test_produce() -> None:
    answer = ProduceResponse.TopicProduceResponse
    part = answer.PartitionProduceResponse(
        index=3,
        error_code=ErrorCode.INVALID_RECORD,
        base_offset=1 << 40,
        error_message="why",
        record_errors=[],
        log_start_offset=0,
    )
    topic = answer(name="orders-ü", partition_responses=[part])
    read = _received(ProduceResponse(responses=[topic], throttle_time_ms=3), PRODUCE_VERSION)

    [part] = read.partitions
    assert ("orders-ü", 3, ErrorCode.INVALID_RECORD, 1 << 40, "why") == part
    assert 3 == read.throttle_time_ms
