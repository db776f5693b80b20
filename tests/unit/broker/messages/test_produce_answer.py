"""The answer to Produce, decoded by hand: every field that kafka-python writes is read, and cut bytes are rejected."""

from __future__ import annotations

import pytest
from kafka.protocol.producer import ProduceResponse

from tasks.broker.error_codes import ErrorCode
from tasks.broker.messages.produce_answer import PartitionAnswer, decode_produce_answer
from tasks.broker.messages.produce_request import PRODUCE_VERSION
from tasks.model.errors import DamagedError


def _encoded() -> bytes:
    topic_class = ProduceResponse.TopicProduceResponse
    part_class = topic_class.PartitionProduceResponse
    error_class = part_class.BatchIndexAndErrorMessage
    parts = [
        part_class(index=0, error_code=0, base_offset=7, log_append_time_ms=-1, log_start_offset=0, record_errors=[]),
        part_class(
            index=5,
            error_code=ErrorCode.INVALID_TIMESTAMP,
            base_offset=-1,
            log_start_offset=-1,
            record_errors=[
                error_class(batch_index=1, batch_index_error_message="too old"),
                error_class(batch_index=2, batch_index_error_message=None),
            ],
            error_message="why",
        ),
    ]
    topics = [
        topic_class(name="orders-ü", partition_responses=parts),
        topic_class(name="b", partition_responses=parts[:1]),
    ]
    response = ProduceResponse(responses=topics, throttle_time_ms=12)
    response.API_VERSION = PRODUCE_VERSION
    response.with_header(correlation_id=99)
    encoded: bytes = response.encode(framed=False, header=True)
    return encoded


def test_every_partition_of_every_topic_is_read_past_the_record_errors_between_them() -> None:
    correlation_id, answer = decode_produce_answer(memoryview(_encoded()))
    assert 99 == correlation_id
    assert 12 == answer.throttle_time_ms
    assert [
        PartitionAnswer("orders-ü", 0, 0, 7, None),
        PartitionAnswer("orders-ü", 5, ErrorCode.INVALID_TIMESTAMP, -1, "why"),
        PartitionAnswer("b", 0, 0, 7, None),
    ] == answer.partitions


def test_an_answer_that_is_cut_anywhere_is_rejected() -> None:
    whole = _encoded()
    for length in range(len(whole)):
        with pytest.raises(DamagedError):
            decode_produce_answer(memoryview(whole)[:length])
