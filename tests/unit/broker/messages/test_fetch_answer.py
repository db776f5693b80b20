"""The answer to Fetch, decoded by hand: every field that kafka-python writes is read, and cut bytes are rejected."""

from __future__ import annotations

from typing import Any

import pytest
from kafka.protocol.consumer import FetchResponse

from tasks.broker.messages.fetch_answer import FetchAnswer, FetchedPartition, decode_fetch_answer
from tasks.broker.messages.fetch_request import FETCH_VERSIONS, FIRST_BY_ID
from tasks.broker.messages.topic_ids import topic_uuid
from tasks.model.errors import DamagedError

TOPIC_ID = "AAAAAAAAAAAAAAAAAAAAKg"
OTHER_ID = "kM2jV_iUQ4y9-0gQx3S7vA"
VERSIONS = range(FETCH_VERSIONS[0], FETCH_VERSIONS[1] + 1)


def _encoded(version: int, topics: list[Any], **fields: Any) -> bytes:
    response = FetchResponse(session_id=0, responses=topics, **fields)
    response.API_VERSION = version
    response.with_header(correlation_id=99)
    encoded: bytes = response.encode(framed=False, header=True)
    return encoded


def _topics(records: bytes | None = b"batch") -> list[Any]:
    topic_class = FetchResponse.FetchableTopicResponse
    part_class = topic_class.PartitionData
    plain = part_class(
        partition_index=0,
        error_code=1,
        high_watermark=-1,
        last_stable_offset=-1,
        log_start_offset=-1,
        aborted_transactions=None,
        records=None,
    )
    full = part_class(
        partition_index=3,
        error_code=0,
        high_watermark=1 << 40,
        last_stable_offset=9,
        log_start_offset=1,
        aborted_transactions=[
            part_class.AbortedTransaction(producer_id=4, first_offset=2),
            part_class.AbortedTransaction(producer_id=1 << 50, first_offset=7),
        ],
        preferred_read_replica=2,
        diverging_epoch=part_class.EpochEndOffset(epoch=6, end_offset=7),
        current_leader=part_class.LeaderIdAndEpoch(leader_id=1, leader_epoch=8),
        records=records,
    )
    return [
        topic_class(topic="orders-ü", topic_id=topic_uuid(TOPIC_ID), partitions=[plain, full]),
        topic_class(topic="b", topic_id=topic_uuid(OTHER_ID), partitions=[plain]),
    ]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("size", [0, 126, 127, 128, 20_000])
def test_every_field_is_read_past_the_tags_between_them(version: int, size: int) -> None:
    records = bytes(range(256)) * 80
    data = bytearray(_encoded(version, _topics(records[:size]), throttle_time_ms=8, error_code=5))
    with memoryview(data) as view:
        correlation_id, answer = decode_fetch_answer(view, version)
    data[:] = bytes(len(data))  # the decoded answer must not refer to the buffer

    first, second = (topic_uuid(one).bytes if version >= FIRST_BY_ID else b"" for one in (TOPIC_ID, OTHER_ID))
    plain = FetchedPartition(first, 0, 1, -1, -1, -1, (), b"", None, -1)
    full = FetchedPartition(first, 3, 0, 1 << 40, 9, 1, ((4, 2), (1 << 50, 7)), records[:size], (6, 7), 2)
    assert (99, FetchAnswer(5, 8, [plain, full, plain._replace(topic_id=second)])) == (correlation_id, answer)


@pytest.mark.parametrize("version", VERSIONS)
def test_an_answer_without_topics_is_valid(version: int) -> None:
    data = _encoded(version, [], throttle_time_ms=1_000, error_code=0)
    assert (99, FetchAnswer(0, 1_000, [])) == decode_fetch_answer(memoryview(data), version)


def test_an_answer_that_is_cut_anywhere_is_rejected() -> None:
    whole = _encoded(17, _topics(), throttle_time_ms=0, error_code=0)
    for length in range(len(whole)):
        with pytest.raises(DamagedError):
            decode_fetch_answer(memoryview(whole)[:length], 17)
