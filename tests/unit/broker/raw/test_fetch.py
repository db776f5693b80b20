"""Fetch: what an answer becomes, how large the next request is, and what is waited out."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from tasks.broker.raw.cluster import Cluster
from tasks.broker.raw.fetch import LARGEST_FETCH_BYTES, Fetcher
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
from tests.unit.broker.scripted_broker import Asked, ScriptedBroker, options
from tests.unit.broker.scripts import FETCH, FIRST, SECOND, World, asked_bytes, fetched

BATCH = make_batch(make_records(3), base_offset=0)


def _fetcher(cluster: Cluster, stop: threading.Event | None = None) -> Fetcher:
    return Fetcher(cluster, stop=stop or threading.Event(), max_bytes=1_000, max_wait_ms=10)


def _ask(fetcher: Fetcher, position: int = 0, partition: Partition = FIRST) -> Any:
    fetcher.send(partition, position, None)
    return fetcher.receive()


def test_an_answer_is_handed_on_as_it_came() -> None:
    with ScriptedBroker() as broker, Cluster(options(broker.address)) as cluster:
        World({FIRST: 1}, broker)
        broker.answers[FETCH] = lambda asked: fetched(asked, records=BATCH + BATCH[:30], stable=5, high=7)

        answer = _ask(_fetcher(cluster))

    assert (FIRST, 0, BATCH + BATCH[:30], 5, 7, None) == (
        answer.partition,
        answer.position,
        answer.records,
        answer.last_stable_offset,
        answer.high_watermark,
        answer.diverging,
    )


def test_throttled_and_empty_answers_mean_wait_and_divergence_is_told() -> None:
    with ScriptedBroker() as broker, Cluster(options(broker.address)) as cluster:
        World({FIRST: 1}, broker)
        fetcher = _fetcher(cluster)
        broker.answers[FETCH] = lambda asked: fetched(asked, throttle_time_ms=50)
        throttled = _ask(fetcher)
        broker.answers[FETCH] = lambda asked: fetched(asked, diverging=(3, 40))
        diverged = _ask(fetcher)

    assert (b"", 50) == (throttled.records, throttled.throttle_time_ms)
    assert (b"", (3, 40)) == (diverged.records, diverged.diverging)


def test_only_a_batch_that_does_not_fit_makes_the_next_request_larger_and_only_for_its_position() -> None:
    cut = (1 << 20).to_bytes(12, "big")
    script: list[dict[str, Any]] = [
        {"stable": 0, "high": 9},  # an open transaction: nothing to be had, whatever the size
        {"stable": 9, "high": 9, "throttle_time_ms": 1},
        {"stable": 9, "high": 9},
        {"stable": 9, "high": 9, "records": cut},
        {"stable": 9, "high": 9, "records": BATCH},
        {"stable": 9, "high": 9},
        {"stable": 9, "high": 9},
    ]
    answers = iter(script)
    with ScriptedBroker() as broker, Cluster(options(broker.address)) as cluster:
        World({FIRST: 1, SECOND: 1}, broker)
        broker.answers[FETCH] = lambda asked: fetched(asked, **next(answers))
        fetcher = _fetcher(cluster)
        for _ in range(5):
            _ask(fetcher)
        _ask(fetcher, 3)
        _ask(fetcher, 3, SECOND)

    large = 12 + (1 << 20)
    assert [1_000, 1_000, 1_000, 2_000, large, 1_000, 1_000] == [asked_bytes(asked)[1] for asked in broker.of(FETCH)]


def test_a_batch_beyond_the_largest_request_is_named_instead_of_asked_for_for_ever() -> None:
    with ScriptedBroker() as broker, Cluster(options(broker.address)) as cluster:
        World({FIRST: 1}, broker)
        cut = (LARGEST_FETCH_BYTES + 1).to_bytes(12, "big")
        broker.answers[FETCH] = lambda asked: fetched(asked, records=cut, stable=9, high=9)
        with pytest.raises(UnsupportedBatchError, match=r"orders, partition 0, offset 0: a batch of \d+ bytes"):
            _ask(_fetcher(cluster))


@pytest.mark.parametrize(
    ("code", "expected"), [(1, OffsetOutOfRangeError), (29, AccessError), (-1, BrokerError), (2, BrokerError)]
)
def test_what_waiting_does_not_mend_is_raised_with_the_place(code: int, expected: type[Exception]) -> None:
    with ScriptedBroker() as broker, Cluster(options(broker.address)) as cluster:
        World({FIRST: 1}, broker)
        broker.answers[FETCH] = lambda asked: fetched(asked, error_code=code)
        with pytest.raises(expected, match="topic orders, partition 0, offset 8") as caught:
            _ask(_fetcher(cluster), 8)
    assert type(caught.value) is expected
    assert 1 == len(broker.of(FETCH))


def test_a_new_leader_a_lost_connection_and_a_broker_that_lags_behind_are_waited_out() -> None:
    with ScriptedBroker() as one, ScriptedBroker() as two, Cluster(options(one.address)) as cluster:
        world = World({FIRST: 1}, one, two)

        def first(asked: Asked) -> Any:
            step = len(one.of(FETCH))
            if step == 3:
                world.leaders[FIRST] = 2
            return None if step == 1 else fetched(asked, error_code={2: 100, 3: 6}[step])

        one.answers[FETCH] = first
        two.answers[FETCH] = lambda asked: fetched(asked, records=BATCH, stable=3, high=3)

        assert BATCH == _ask(_fetcher(cluster)).records
    assert [(0, 1_000)] * 4 == [asked_bytes(asked) for asked in [*one.of(FETCH), *two.of(FETCH)]]


def test_an_unknown_topic_is_gone_only_when_the_metadata_says_so() -> None:
    with ScriptedBroker() as broker, Cluster(options(broker.address)) as cluster:
        world = World({FIRST: 1}, broker)

        def deleted(asked: Asked) -> Any:
            world.leaders.clear()
            return fetched(asked, error_code=100)

        broker.answers[FETCH] = deleted
        fetcher = _fetcher(cluster)
        with pytest.raises(TopicGoneError, match=FIRST.topic_id):
            _ask(fetcher)
        with pytest.raises(TopicGoneError, match=FIRST.topic_id):
            _ask(fetcher)


def test_trouble_that_does_not_pass_ends_at_the_deadline_or_at_stop() -> None:
    with ScriptedBroker() as broker:
        world = World({FIRST: 1}, broker)
        stop = threading.Event()
        broker.answers[FETCH] = lambda asked: fetched(asked, error_code=56)
        with Cluster(options(broker.address, retry_deadline_ms=200)) as cluster:
            with pytest.raises(BrokerUnavailableError, match="offset 0"):
                _ask(_fetcher(cluster))
            stop.set()
            with pytest.raises(InterruptedRunError):
                _ask(_fetcher(cluster, stop))
        assert world.leaders


def test_a_question_that_is_replaced_leaves_no_answer_behind() -> None:
    with ScriptedBroker() as broker, Cluster(options(broker.address)) as cluster:
        World({FIRST: 1, SECOND: 1}, broker)
        broker.answers[FETCH] = lambda asked: fetched(asked, records=BATCH, stable=3, high=asked_bytes(asked)[0])
        fetcher = _fetcher(cluster)
        fetcher.send(FIRST, 1, None)
        fetcher.send(SECOND, 2, None)

        assert (SECOND, 2) == ((answer := fetcher.receive()).partition, answer.high_watermark)
        _fetcher(cluster).send(FIRST, 3, None)
        assert 4 == _ask(_fetcher(cluster), 4).high_watermark


def test_a_fetch_that_nobody_answers_ends_soon_after_stop() -> None:
    """A throttled client waits for many seconds, one of a stalled broker for the whole request timeout."""
    stop, silence, tired = threading.Event(), threading.Event(), threading.Event()

    def say_nothing(_: Asked) -> None:
        stop.set()
        if not silence.wait(10):
            tired.set()

    with ScriptedBroker() as broker, Cluster(options(broker.address, request_timeout_ms=60_000)) as cluster:
        World({FIRST: 1}, broker)
        broker.answers[FETCH] = say_nothing
        with pytest.raises(InterruptedRunError):
            _ask(_fetcher(cluster, stop))
        silence.set()
    assert not tired.is_set()
