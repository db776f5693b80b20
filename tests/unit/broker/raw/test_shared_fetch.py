"""Shared fetches: one request for each leader, and whatever has no whole batch is absent and can be fetched alone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from kafka.protocol.consumer import FetchRequest

from tasks.broker.error_codes import ErrorCode
from tasks.broker.log_values import Fetched, FetchPosition
from tasks.broker.messages.api_keys import ApiKey
from tasks.broker.messages.fetch_request import FIRST_BY_ID
from tasks.broker.messages.topic_ids import topic_id_text
from tasks.broker.raw.cluster import Cluster
from tasks.broker.raw.fetch import Fetcher
from tasks.broker.raw.shared_fetch import first_answers
from tasks.model.errors import InterruptedRunError
from tasks.model.partition import Partition
from tests.support.batch_factory import make_batch, make_records
from tests.unit.broker.scripted_broker import Answer, Raw, ReceivedRequest, ScriptedBroker, options, versions
from tests.unit.broker.scripts import FIRST, SECOND, ScriptedMetadata, fetched, fetched_each, fetched_part

OTHER = Partition("other", "AAAAAAAAAAAAAAAAAAAAKg", 0)
PARTITIONS = (FIRST, SECOND, OTHER)
BATCHES = {one: make_batch(make_records(1 + number), base_offset=7) for number, one in enumerate(PARTITIONS)}


def _positions(partitions: Sequence[Partition] = PARTITIONS) -> list[FetchPosition]:
    return [FetchPosition(one, 7, 3, 1_000) for one in partitions]


def _keyed(parts: Mapping[Partition, Any]) -> Callable[[tuple[str, int]], Any]:
    by_key = {(one.topic_id, one.partition): part for one, part in parts.items()}
    return lambda key: by_key.get(key)


def _full(partition: Partition) -> Any:
    return fetched_part(partition.partition, records=BATCHES[partition], stable=9, high=10)


def _serve(changes: Mapping[Partition, Any] | None = None) -> Answer:
    """A leader that has a batch of each partition. `changes`: its answers for some of them, None to leave one out."""
    parts = {**{one: _full(one) for one in PARTITIONS}, **(changes or {})}
    return lambda request: fetched_each(request, _keyed(parts))


def _asked(request: ReceivedRequest) -> list[tuple[str, int]]:
    return [
        (topic_id_text(topic.topic_id), part.partition)
        for topic in request.decoded(FetchRequest).topics
        for part in topic.partitions
    ]


def _records(answers: Mapping[Partition, Fetched]) -> dict[Partition, bytes]:
    return {partition: fetched.records for partition, fetched in answers.items()}


def _all_but(*missing: Partition) -> dict[Partition, bytes]:
    return {one: batch for one, batch in BATCHES.items() if one not in missing}


def test_one_request_asks_for_all_partitions_of_a_leader_and_each_gets_its_own_answer() -> None:
    with ScriptedBroker() as broker, Cluster(options(broker.address)) as cluster:
        ScriptedMetadata(dict.fromkeys(PARTITIONS, 1), broker)
        broker.answers[ApiKey.FETCH] = _serve()

        answers = first_answers(cluster, _positions())

        [request] = broker.requests(ApiKey.FETCH)
    assert [(FIRST.topic_id, 0), (FIRST.topic_id, 1), (OTHER.topic_id, 0)] == _asked(request)
    assert BATCHES == _records(answers)
    assert {(one, 7, 9, 10, None) for one in PARTITIONS} == {
        (one.partition, one.position, one.last_stable_offset, one.high_watermark, one.diverging)
        for one in answers.values()
    }
    assert {one: one for one in PARTITIONS} == {key: answer.partition for key, answer in answers.items()}


def test_all_leaders_are_asked_before_the_first_answer_is_awaited() -> None:
    both_asked = threading.Barrier(2)

    def serve(request: ReceivedRequest) -> Any:
        both_asked.wait(10)
        return _serve()(request)

    with ScriptedBroker() as one, ScriptedBroker() as two, Cluster(options(one.address)) as cluster:
        ScriptedMetadata({FIRST: 1, SECOND: 2, OTHER: 1}, one, two)
        one.answers[ApiKey.FETCH] = two.answers[ApiKey.FETCH] = serve

        assert BATCHES == _records(first_answers(cluster, _positions()))
        assert [[(FIRST.topic_id, 0), (OTHER.topic_id, 0)], [(FIRST.topic_id, 1)]] == [
            _asked(request) for broker in (one, two) for request in broker.requests(ApiKey.FETCH)
        ]


def test_the_leaders_of_all_topics_are_looked_up_with_one_request() -> None:
    with ScriptedBroker() as broker, Cluster(options(broker.address)) as cluster:
        ScriptedMetadata(dict.fromkeys(PARTITIONS, 1), broker)
        broker.answers[ApiKey.FETCH] = _serve()
        for _ in range(2):
            first_answers(cluster, _positions())
        assert 1 == len(broker.requests(ApiKey.METADATA))


CUT = BATCHES[SECOND][:40]


@pytest.mark.parametrize(
    "answer",
    [
        None,
        fetched_part(1, error_code=ErrorCode.UNKNOWN_TOPIC_ID),
        fetched_part(1, error_code=ErrorCode.NOT_LEADER_OR_FOLLOWER),
        fetched_part(1, error_code=ErrorCode.OFFSET_OUT_OF_RANGE),
        fetched_part(1, error_code=ErrorCode.TOPIC_AUTHORIZATION_FAILED),
        fetched_part(1, error_code=ErrorCode.UNKNOWN_SERVER_ERROR, records=BATCHES[SECOND]),
        fetched_part(1, stable=9, high=9),
        fetched_part(1, records=CUT, stable=9, high=9),
        fetched_part(1, records=CUT[:5], stable=9, high=9),
        fetched_part(1, preferred=2, stable=9, high=9),
        fetched_part(1, diverging=(2, 5)),
        fetched_part(1, records=BATCHES[SECOND], diverging=(2, 5)),
    ],
    ids=[
        "left-out",
        "unknown-topic",
        "another-leader",
        "out-of-range",
        "denied",
        "error-with-records",
        "starved",
        "cut",
        "cut-in-its-length",
        "referred",
        "diverged",
        "diverged-with-records",
    ],
)
def test_a_partition_without_a_whole_batch_is_absent_and_does_not_affect_the_others(answer: Any) -> None:
    with ScriptedBroker() as broker, Cluster(options(broker.address)) as cluster:
        ScriptedMetadata(dict.fromkeys(PARTITIONS, 1), broker)
        broker.answers[ApiKey.FETCH] = _serve({SECOND: answer})
        assert _all_but(SECOND) == _records(first_answers(cluster, _positions()))


def test_whole_batches_before_a_cut_one_are_an_answer() -> None:
    with ScriptedBroker() as broker, Cluster(options(broker.address)) as cluster:
        ScriptedMetadata(dict.fromkeys(PARTITIONS, 1), broker)
        both = BATCHES[FIRST] + CUT
        broker.answers[ApiKey.FETCH] = _serve({FIRST: fetched_part(0, records=both)})
        assert {**BATCHES, FIRST: both} == _records(first_answers(cluster, _positions()))


def test_a_partition_that_was_not_requested_is_ignored() -> None:
    stranger = FIRST._replace(partition=5)
    with ScriptedBroker() as broker, Cluster(options(broker.address)) as cluster:
        ScriptedMetadata(dict.fromkeys(PARTITIONS, 1), broker)
        broker.answers[ApiKey.FETCH] = _serve({FIRST: fetched_part(stranger.partition, records=BATCHES[FIRST])})
        assert _all_but(FIRST) == _records(first_answers(cluster, _positions()))


@pytest.mark.parametrize("fault", ["lost", "throttled", "not-an-answer"])
def test_without_an_answer_nothing_is_raised_and_the_other_leader_and_later_fetches_are_not_affected(
    fault: str,
) -> None:
    def fail(request: ReceivedRequest) -> Any:
        match fault:
            case "lost":
                return None
            case "throttled":
                return fetched(request, throttle_time_ms=1)
            case _:
                return Raw(b"\0" * 9)

    with ScriptedBroker() as one, ScriptedBroker() as two, Cluster(options(one.address)) as cluster:
        ScriptedMetadata({FIRST: 1, SECOND: 1, OTHER: 2}, one, two)
        one.answers[ApiKey.FETCH], two.answers[ApiKey.FETCH] = fail, _serve()

        answers = first_answers(cluster, _positions())
        one.answers[ApiKey.FETCH] = _serve()

        assert _all_but(FIRST, SECOND) == _records(answers)
        assert BATCHES[FIRST] == _fetched_alone(cluster, FIRST).records
        assert BATCHES == _records(first_answers(cluster, _positions()))


def _fetched_alone(cluster: Cluster, partition: Partition) -> Fetched:
    fetcher = Fetcher(cluster, stop=cluster.stop)
    fetcher.send(partition, 7, 3)
    return fetcher.receive()


def test_leaders_are_looked_up_again_after_a_lost_connection() -> None:
    with ScriptedBroker() as one, ScriptedBroker() as two, Cluster(options(one.address)) as cluster:
        metadata = ScriptedMetadata(dict.fromkeys(PARTITIONS, 1), one, two)

        def fail_over(request: ReceivedRequest) -> None:
            metadata.leaders.update(dict.fromkeys(PARTITIONS, 2))

        one.answers[ApiKey.FETCH], two.answers[ApiKey.FETCH] = fail_over, _serve()

        assert {} == first_answers(cluster, _positions())
        assert BATCHES == _records(first_answers(cluster, _positions()))
        assert 1 == len(one.requests(ApiKey.FETCH))


def test_partitions_without_a_leader_and_unknown_topics_are_absent_at_once() -> None:
    """They are looked up once, without the wait for a new topic or a new leader."""
    gone = Partition("gone", "AAAAAAAAAAAAAAAAAAAAKw", 0)
    with ScriptedBroker() as broker, Cluster(options(broker.address)) as cluster:
        ScriptedMetadata({FIRST: 1, SECOND: 9, OTHER: 1}, broker)
        broker.answers[ApiKey.FETCH] = _serve()

        answers = first_answers(cluster, _positions([*PARTITIONS, gone]))

        assert 1 == len(broker.requests(ApiKey.METADATA))
    assert _all_but(SECOND) == _records(answers)


def test_a_broker_without_topic_ids_is_not_asked() -> None:
    """An answer by name can be that of another incarnation, and would have to be checked for each topic."""
    with ScriptedBroker() as broker, Cluster(options(broker.address)) as cluster:
        broker.answers[ApiKey.API_VERSIONS] = versions({ApiKey.FETCH: (4, FIRST_BY_ID - 1)})
        ScriptedMetadata(dict.fromkeys(PARTITIONS, 1), broker)
        assert {} == first_answers(cluster, _positions())
        assert [] == broker.requests(ApiKey.FETCH)


def test_an_unreachable_cluster_is_not_waited_for() -> None:
    with Cluster(options("127.0.0.1:1", retry_deadline_ms=60_000, connect_timeout_ms=60_000)) as cluster:
        assert {} == first_answers(cluster, _positions())


def test_a_stop_is_raised_and_no_connection_keeps_an_answer_that_nobody_received() -> None:
    stop, interrupted = threading.Event(), threading.Event()

    def no_answer(_: ReceivedRequest) -> None:
        stop.set()
        interrupted.wait(10)

    with (
        ScriptedBroker() as one,
        ScriptedBroker() as two,
        Cluster(options(one.address, request_timeout_ms=60_000), stop=stop) as cluster,
    ):
        ScriptedMetadata({FIRST: 1, SECOND: 2, OTHER: 2}, one, two)
        one.answers[ApiKey.FETCH], two.answers[ApiKey.FETCH] = no_answer, _serve()
        with pytest.raises(InterruptedRunError):
            first_answers(cluster, _positions())
        interrupted.set()
        stop.clear()

        assert [0, 0] == [cluster.connection(node_id).in_flight for node_id in (1, 2)]
        one.answers[ApiKey.FETCH] = _serve()
        assert BATCHES == _records(first_answers(cluster, _positions()))


def test_the_answer_to_a_fetch_that_nobody_received_is_not_taken_for_a_shared_one() -> None:
    with ScriptedBroker() as broker, Cluster(options(broker.address)) as cluster:
        ScriptedMetadata(dict.fromkeys(PARTITIONS, 1), broker)
        broker.answers[ApiKey.FETCH] = _serve()
        Fetcher(cluster, stop=cluster.stop).send(FIRST, 7, 3)

        assert BATCHES == _records(first_answers(cluster, _positions()))
        assert BATCHES[OTHER] == _fetched_alone(cluster, OTHER).records


def test_a_client_with_a_rack_names_it_and_takes_what_the_leader_serves_itself() -> None:
    with ScriptedBroker() as broker, Cluster(options(broker.address, rack="r")) as cluster:
        ScriptedMetadata(dict.fromkeys(PARTITIONS, 1), broker)
        broker.answers[ApiKey.FETCH] = _serve({SECOND: fetched_part(1, preferred=2)})

        assert _all_but(SECOND) == _records(first_answers(cluster, _positions()))
        cluster.options.near_replicas.note_failure()
        first_answers(cluster, _positions())

        racks = [request.decoded(FetchRequest).rack_id for request in broker.requests(ApiKey.FETCH)]
    assert ["r", ""] == racks
