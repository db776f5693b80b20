"""Fetch: the values of an answer, the size of the next request, and the errors that are retried."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from tasks.broker.error_codes import ErrorCode
from tasks.broker.messages.api_keys import ApiKey
from tasks.broker.raw.cluster import Cluster
from tasks.broker.raw.fetch import LARGEST_BATCH_BYTES, Fetcher
from tasks.model.errors import (
    AccessError,
    BrokerError,
    BrokerUnavailableError,
    InterruptedRunError,
    OffsetOutOfRangeError,
    TopicGoneError,
    UnsupportedBatchError,
)
from tasks.model.partition import Partition
from tests.support.batch_factory import make_batch, make_records
from tests.unit.broker.scripted_broker import ReceivedRequest, ScriptedBroker, options
from tests.unit.broker.scripts import FIRST, SECOND, ScriptedMetadata, fetched, requested_bytes

BATCH = make_batch(make_records(3), base_offset=0)


def _fetcher(cluster: Cluster, stop: threading.Event | None = None) -> Fetcher:
    return Fetcher(cluster, stop=stop or threading.Event(), max_bytes=1_000, max_wait_ms=10)


def _fetch(fetcher: Fetcher, position: int = 0, partition: Partition = FIRST) -> Any:
    fetcher.send(partition, position, None)
    return fetcher.receive()


def test_the_records_of_an_answer_are_not_changed() -> None:
    with ScriptedBroker() as broker, Cluster(options(broker.address)) as cluster:
        ScriptedMetadata({FIRST: 1}, broker)
        broker.answers[ApiKey.FETCH] = lambda request: fetched(request, records=BATCH + BATCH[:30], stable=5, high=7)

        answer = _fetch(_fetcher(cluster))

    assert (FIRST, 0, BATCH + BATCH[:30], 5, 7, None) == (
        answer.partition,
        answer.position,
        answer.records,
        answer.last_stable_offset,
        answer.high_watermark,
        answer.diverging,
    )


def test_throttled_and_empty_answers_have_no_records_and_divergence_is_reported() -> None:
    with ScriptedBroker() as broker, Cluster(options(broker.address)) as cluster:
        ScriptedMetadata({FIRST: 1}, broker)
        fetcher = _fetcher(cluster)
        broker.answers[ApiKey.FETCH] = lambda request: fetched(request, throttle_time_ms=50)
        throttled = _fetch(fetcher)
        broker.answers[ApiKey.FETCH] = lambda request: fetched(request, diverging=(3, 40))
        diverged = _fetch(fetcher)

    assert (b"", 50) == (throttled.records, throttled.throttle_time_ms)
    assert (b"", (3, 40)) == (diverged.records, diverged.diverging)


def test_a_batch_that_does_not_fit_makes_the_next_request_for_its_position_larger() -> None:
    cut = (1 << 20).to_bytes(12, "big")
    script: list[dict[str, Any]] = [
        {"stable": 0, "high": 9},  # an open transaction: a larger request would return no records either
        {"stable": 9, "high": 9, "throttle_time_ms": 1},
        {"stable": 9, "high": 9},
        {"stable": 9, "high": 9, "records": cut},
        {"stable": 9, "high": 9, "records": BATCH},
        {"stable": 9, "high": 9},
        {"stable": 9, "high": 9},
    ]
    answers = iter(script)
    with ScriptedBroker() as broker, Cluster(options(broker.address)) as cluster:
        ScriptedMetadata({FIRST: 1, SECOND: 1}, broker)
        broker.answers[ApiKey.FETCH] = lambda request: fetched(request, **next(answers))
        fetcher = _fetcher(cluster)
        for _ in range(5):
            _fetch(fetcher)
        _fetch(fetcher, 3)
        _fetch(fetcher, 3, SECOND)

    large = 12 + (1 << 20)
    sizes = [requested_bytes(request)[1] for request in broker.requests(ApiKey.FETCH)]
    assert [1_000, 1_000, 1_000, 2_000, large, 1_000, 1_000] == sizes


def test_a_batch_beyond_the_largest_request_is_a_permanent_error() -> None:
    with ScriptedBroker() as broker, Cluster(options(broker.address)) as cluster:
        ScriptedMetadata({FIRST: 1}, broker)
        cut = (LARGEST_BATCH_BYTES + 1).to_bytes(12, "big")
        broker.answers[ApiKey.FETCH] = lambda request: fetched(request, records=cut, stable=9, high=9)
        with pytest.raises(UnsupportedBatchError, match=r"orders, partition 0, offset 0: the batch has \d+ bytes"):
            _fetch(_fetcher(cluster))


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (ErrorCode.OFFSET_OUT_OF_RANGE, OffsetOutOfRangeError),
        (ErrorCode.TOPIC_AUTHORIZATION_FAILED, AccessError),
        (ErrorCode.UNKNOWN_SERVER_ERROR, BrokerError),
        (ErrorCode.CORRUPT_MESSAGE, BrokerError),
    ],
)
def test_a_permanent_error_is_raised_at_once_with_topic_partition_and_offset(
    code: ErrorCode, expected: type[Exception]
) -> None:
    with ScriptedBroker() as broker, Cluster(options(broker.address)) as cluster:
        ScriptedMetadata({FIRST: 1}, broker)
        broker.answers[ApiKey.FETCH] = lambda request: fetched(request, error_code=code)
        with pytest.raises(expected, match="topic orders, partition 0, offset 8") as caught:
            _fetch(_fetcher(cluster), 8)
    assert type(caught.value) is expected
    assert 1 == len(broker.requests(ApiKey.FETCH))


def test_a_new_leader_a_lost_connection_and_old_metadata_are_retried() -> None:
    with ScriptedBroker() as one, ScriptedBroker() as two, Cluster(options(one.address)) as cluster:
        metadata = ScriptedMetadata({FIRST: 1}, one, two)

        codes = {2: ErrorCode.UNKNOWN_TOPIC_ID, 3: ErrorCode.NOT_LEADER_OR_FOLLOWER}

        def first(request: ReceivedRequest) -> Any:
            step = len(one.requests(ApiKey.FETCH))
            if step == 3:
                metadata.leaders[FIRST] = 2
            return None if step == 1 else fetched(request, error_code=codes[step])

        one.answers[ApiKey.FETCH] = first
        two.answers[ApiKey.FETCH] = lambda request: fetched(request, records=BATCH, stable=3, high=3)

        assert BATCH == _fetch(_fetcher(cluster)).records
    requests = [*one.requests(ApiKey.FETCH), *two.requests(ApiKey.FETCH)]
    assert [(0, 1_000)] * 4 == [requested_bytes(request) for request in requests]


def test_an_unknown_topic_is_gone_only_if_the_metadata_does_not_have_it() -> None:
    with ScriptedBroker() as broker, Cluster(options(broker.address)) as cluster:
        metadata = ScriptedMetadata({FIRST: 1}, broker)

        def deleted(request: ReceivedRequest) -> Any:
            metadata.leaders.clear()
            return fetched(request, error_code=ErrorCode.UNKNOWN_TOPIC_ID)

        broker.answers[ApiKey.FETCH] = deleted
        fetcher = _fetcher(cluster)
        with pytest.raises(TopicGoneError, match=FIRST.topic_id):
            _fetch(fetcher)
        with pytest.raises(TopicGoneError, match=FIRST.topic_id):
            _fetch(fetcher)


def test_retries_end_at_the_deadline_or_at_stop() -> None:
    with ScriptedBroker() as broker:
        metadata = ScriptedMetadata({FIRST: 1}, broker)
        stop = threading.Event()
        broker.answers[ApiKey.FETCH] = lambda request: fetched(request, error_code=ErrorCode.KAFKA_STORAGE_ERROR)
        with Cluster(options(broker.address, retry_deadline_ms=200)) as cluster:
            with pytest.raises(BrokerUnavailableError, match="offset 0"):
                _fetch(_fetcher(cluster))
            stop.set()
            with pytest.raises(InterruptedRunError):
                _fetch(_fetcher(cluster, stop))
        assert metadata.leaders


def test_the_answer_to_a_replaced_request_is_never_returned() -> None:
    with ScriptedBroker() as broker, Cluster(options(broker.address)) as cluster:
        ScriptedMetadata({FIRST: 1, SECOND: 1}, broker)

        def high_is_position(request: ReceivedRequest) -> Any:
            return fetched(request, records=BATCH, stable=3, high=requested_bytes(request)[0])

        broker.answers[ApiKey.FETCH] = high_is_position
        fetcher = _fetcher(cluster)
        fetcher.send(FIRST, 1, None)
        fetcher.send(SECOND, 2, None)

        assert (SECOND, 2) == ((answer := fetcher.receive()).partition, answer.high_watermark)
        _fetcher(cluster).send(FIRST, 3, None)
        assert 4 == _fetch(_fetcher(cluster), 4).high_watermark


def test_a_fetch_without_answer_ends_soon_after_stop() -> None:
    """A throttled client waits for many seconds, and a client of a stalled broker for the whole request timeout."""
    stop, interrupted, waited_too_long = threading.Event(), threading.Event(), threading.Event()

    def no_answer(_: ReceivedRequest) -> None:
        stop.set()
        if not interrupted.wait(10):
            waited_too_long.set()

    with ScriptedBroker() as broker, Cluster(options(broker.address, request_timeout_ms=60_000)) as cluster:
        ScriptedMetadata({FIRST: 1}, broker)
        broker.answers[ApiKey.FETCH] = no_answer
        with pytest.raises(InterruptedRunError):
            _fetch(_fetcher(cluster, stop))
        interrupted.set()
    assert not waited_too_long.is_set()
