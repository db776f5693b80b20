"""Produce with a scripted leader: every batch is stored once and in order, whatever is rejected, lost or forgotten."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tasks.batches.header import read_header, stamp
from tasks.broker.error_codes import ErrorCode
from tasks.broker.log_values import OutgoingBatch
from tasks.broker.messages.api_keys import ApiKey
from tasks.broker.raw.cluster import Cluster
from tasks.broker.raw.partition_queue import PartitionQueue
from tasks.broker.raw.produce import produce
from tasks.broker.raw.produce_recovery import is_same
from tasks.model.errors import BrokerError, BrokerUnavailableError, InterruptedRunError, UnsupportedError
from tasks.model.partition import Partition
from tests.support.batch_factory import make_batch, make_records
from tests.unit.broker.scripted_broker import ReceivedRequest, ScriptedBroker, options, versions
from tests.unit.broker.scripts import FIRST, SECOND, Log, ScriptedMetadata, append, serve

WHOLE = [3 * number for number in range(12)]
"""The base sequences, and offsets, of the batches that `_batches` makes."""


def _batches(count: int = 12, value_bytes: int = 10) -> Iterator[OutgoingBatch]:
    for first in range(0, 3 * count, 3):
        batch = make_batch(make_records(3, first=first, size_bytes=value_bytes), base_offset=first)
        yield OutgoingBatch(stamp(batch, producer_id=7, producer_epoch=1, base_sequence=first), 3, first)


Offsets = dict[Partition, list[int]]


def _produce(cluster: Cluster, *partitions: Partition, stop: threading.Event | None = None, count: int = 12) -> Offsets:
    acknowledged: Offsets = {partition: [] for partition in partitions}
    produce(
        cluster,
        {partition: _batches(count) for partition in partitions},
        timeout_ms=1_000,
        stop=stop or threading.Event(),
        on_acknowledged=lambda partition, batch: acknowledged[partition].append(batch.expected_offset),
    )
    return acknowledged


def _once(log: Log, sequence: int, action: Callable[[], int]) -> None:
    """Call `action` when the batch with this sequence arrives for the first time; its result is the error code."""
    called: list[int] = []

    def reject(arrived: int) -> int:
        if arrived != sequence or called:
            return ErrorCode.NONE
        called.append(arrived)
        return action()

    log.reject = reject


def test_everything_is_stored_and_acknowledged_once_in_order() -> None:
    logs = [Log(), Log()]
    with ScriptedBroker(serve(logs)) as broker, Cluster(options(broker.address)) as cluster:
        ScriptedMetadata({FIRST: 1, SECOND: 1}, broker)
        assert {FIRST: WHOLE, SECOND: WHOLE} == _produce(cluster, FIRST, SECOND)
    assert [WHOLE, WHOLE] == [log.stored for log in logs]


@pytest.mark.parametrize(
    "code",
    [
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode.LEADER_NOT_AVAILABLE,
        ErrorCode.NOT_LEADER_OR_FOLLOWER,
        ErrorCode.REQUEST_TIMED_OUT,
        ErrorCode.NOT_ENOUGH_REPLICAS,
        ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
        ErrorCode.KAFKA_STORAGE_ERROR,
    ],
)
@pytest.mark.parametrize("at", [0, 3, 15, 33])
def test_a_retryable_error_at_any_batch_rewinds_the_partition(code: ErrorCode, at: int) -> None:
    log = Log()
    _once(log, at, lambda: code)
    with ScriptedBroker(serve([log])) as broker, Cluster(options(broker.address)) as cluster:
        ScriptedMetadata({FIRST: 1}, broker)
        assert {FIRST: WHOLE} == _produce(cluster, FIRST)
    assert WHOLE == log.stored


def test_the_second_batch_is_sent_only_after_the_first_is_acknowledged() -> None:
    """A leader that does not know the producer would store the second batch in the place of the rejected first one."""
    log = Log()
    _once(log, 0, lambda: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    with ScriptedBroker(serve([log])) as broker, Cluster(options(broker.address)) as cluster:
        ScriptedMetadata({FIRST: 1}, broker)
        _produce(cluster, FIRST)
    assert [0, 0, 3] == log.arrived[:3]


@pytest.mark.parametrize("at", [0, 6, 33])
@pytest.mark.parametrize("is_stored", [True, False])
@pytest.mark.parametrize("is_forgotten", [True, False])
def test_a_lost_answer_causes_no_gap_and_no_duplicate(at: int, is_stored: bool, is_forgotten: bool) -> None:
    """Also if the broker has forgotten the producer, as it does when it restarts."""
    log = Log()
    answers = serve([log])
    lost: list[int] = []

    def lose(request: ReceivedRequest) -> Any:
        stored = len(log.stored)
        if lost or stored * 3 != at:
            return append([log])(request)
        lost.append(stored)
        if is_stored:
            append([log])(request)
        if is_forgotten:
            log.forget_producer()
        return None

    with ScriptedBroker({**answers, ApiKey.PRODUCE: lose}) as broker, Cluster(options(broker.address)) as cluster:
        ScriptedMetadata({FIRST: 1}, broker)
        assert {FIRST: WHOLE} == _produce(cluster, FIRST)

    assert lost
    assert WHOLE == log.stored


def test_a_lost_connection_to_one_leader_does_not_affect_the_other() -> None:
    logs = [Log(), Log()]
    with ScriptedBroker(serve(logs)) as one, ScriptedBroker(serve(logs)) as two:
        ScriptedMetadata({FIRST: 1, SECOND: 2}, one, two)
        answer, closed = one.answers[ApiKey.PRODUCE], list[int]()

        def close_once(request: ReceivedRequest) -> Any:
            if len(logs[0].stored) == 5 and not closed:
                closed.append(1)
                return None
            return answer(request)

        one.answers[ApiKey.PRODUCE] = close_once
        with Cluster(options(one.address)) as cluster:
            assert {FIRST: WHOLE, SECOND: WHOLE} == _produce(cluster, FIRST, SECOND)
    assert [WHOLE, WHOLE] == [log.stored for log in logs]
    assert WHOLE == logs[1].arrived


def test_a_partition_follows_its_leader_and_never_has_more_than_five_batches_in_flight() -> None:
    log = Log()
    with ScriptedBroker(serve([log])) as one, ScriptedBroker(serve([log])) as two:
        metadata = ScriptedMetadata({FIRST: 1}, one, two)

        def moved() -> int:
            metadata.leaders[FIRST] = 2
            return ErrorCode.NOT_LEADER_OR_FOLLOWER

        _once(log, 18, moved)
        with Cluster(options(one.address)) as cluster:
            assert {FIRST: WHOLE} == _produce(cluster, FIRST)

    assert WHOLE == log.stored
    assert two.requests(ApiKey.PRODUCE)
    assert len(one.requests(ApiKey.PRODUCE)) + len(two.requests(ApiKey.PRODUCE)) <= len(WHOLE) + 5


def test_a_partition_stays_with_its_leader_until_its_answers_have_arrived() -> None:
    """An error of another partition reveals the new leader while batches are in flight to the old one."""
    logs = [Log(), Log()]
    is_overtaken = threading.Event()
    with ScriptedBroker(serve(logs)) as one, ScriptedBroker(serve(logs)) as two:
        metadata = ScriptedMetadata({FIRST: 1, SECOND: 1}, one, two)

        def moved() -> int:
            metadata.leaders.update({FIRST: 2, SECOND: 2})
            return ErrorCode.NOT_LEADER_OR_FOLLOWER

        def old_leader(request: ReceivedRequest) -> Any:
            if metadata.leaders[FIRST] == 2:
                is_overtaken.wait(0.02)
            return append(logs)(request)

        def new_leader(request: ReceivedRequest) -> Any:
            is_overtaken.set()
            return append(logs)(request)

        _once(logs[1], 6, moved)
        one.answers[ApiKey.PRODUCE], two.answers[ApiKey.PRODUCE] = old_leader, new_leader
        with Cluster(options(one.address)) as cluster:
            _produce(cluster, FIRST, SECOND, count=40)

    whole = list(range(0, 120, 3))
    assert [whole, whole] == [log.stored for log in logs]
    assert whole == logs[0].arrived


@pytest.mark.parametrize(
    "code",
    [
        ErrorCode.CORRUPT_MESSAGE,
        ErrorCode.MESSAGE_TOO_LARGE,
        ErrorCode.INVALID_TIMESTAMP,
        ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER,
        ErrorCode.INVALID_RECORD,
    ],
)
def test_a_permanent_error_names_topic_partition_and_offset(code: ErrorCode) -> None:
    log = Log()
    _once(log, 6, lambda: code)
    with ScriptedBroker(serve([log])) as broker, Cluster(options(broker.address)) as cluster:
        ScriptedMetadata({FIRST: 1}, broker)
        with pytest.raises(BrokerError, match="topic orders, partition 0 at offset 6") as caught:
            _produce(cluster, FIRST)
    assert code == caught.value.code
    assert [0, 3] == log.stored


def test_a_batch_of_another_client_is_found_before_ours_and_in_the_place_of_ours() -> None:
    log = Log()
    other = make_batch(make_records(3), base_offset=0, producer_id=99, producer_epoch=0, base_sequence=0)

    def intrude(code: ErrorCode) -> ErrorCode:
        log._store(other, -9, 3)
        log.forget_producer()
        return code

    with ScriptedBroker(serve([log])) as broker, Cluster(options(broker.address)) as cluster:
        ScriptedMetadata({FIRST: 1}, broker)
        _once(log, 3, lambda: intrude(ErrorCode.NONE))
        with pytest.raises(BrokerError, match="the batch for offset 3 was stored at 6, because another client"):
            _produce(cluster, FIRST)
    log = Log()
    with ScriptedBroker(serve([log])) as broker, Cluster(options(broker.address)) as cluster:
        ScriptedMetadata({FIRST: 1}, broker)
        _once(log, 3, lambda: intrude(ErrorCode.REQUEST_TIMED_OUT))
        with pytest.raises(
            BrokerError, match="offset 3 contains a batch of another client instead of the restored batch for offset 3"
        ):
            _produce(cluster, FIRST)


def test_retries_end_at_the_deadline_and_stop_ends_them_at_once() -> None:
    log = Log()
    log.reject = lambda sequence: ErrorCode.NOT_ENOUGH_REPLICAS if sequence >= 6 else ErrorCode.NONE
    with ScriptedBroker(serve([log])) as broker:
        ScriptedMetadata({FIRST: 1}, broker)
        with (
            Cluster(options(broker.address, retry_deadline_ms=300)) as cluster,
            pytest.raises(BrokerUnavailableError, match="NOT_ENOUGH_REPLICAS"),
        ):
            _produce(cluster, FIRST)
        stop = threading.Event()
        stop.set()
        with Cluster(options(broker.address)) as cluster, pytest.raises(InterruptedRunError):
            _produce(cluster, FIRST, stop=stop)
    assert [0, 3] == log.stored


def test_the_time_that_a_source_waits_for_its_rate_limit_is_no_time_without_progress() -> None:
    log = Log()
    _once(log, 3, lambda: ErrorCode.NOT_LEADER_OR_FOLLOWER)
    acknowledged: list[int] = []

    def limited() -> Iterator[OutgoingBatch]:
        for batch in _batches():
            time.sleep(0.1)  # five batches take longer than the deadline
            yield batch

    with ScriptedBroker(serve([log])) as broker:
        ScriptedMetadata({FIRST: 1}, broker)
        with Cluster(options(broker.address, retry_deadline_ms=400)) as cluster:
            produce(
                cluster,
                {FIRST: limited()},
                timeout_ms=1_000,
                stop=threading.Event(),
                on_acknowledged=lambda partition, batch: acknowledged.append(batch.expected_offset),
            )

    assert WHOLE == acknowledged == log.stored


def test_a_broker_without_the_needed_version_gets_no_batches() -> None:
    with ScriptedBroker({ApiKey.API_VERSIONS: versions({ApiKey.PRODUCE: (9, 13)})}) as broker:
        ScriptedMetadata({FIRST: 1}, broker)
        with Cluster(options(broker.address)) as cluster, pytest.raises(UnsupportedError):
            _produce(cluster, FIRST)
    assert [] == broker.requests(ApiKey.PRODUCE)


def test_a_queue_keeps_only_unacknowledged_batches_and_rewinds_in_order() -> None:
    first, second, third, *_ = batches = list(_batches())
    queue = PartitionQueue(FIRST, iter(batches))

    assert queue.next_batch() is first
    assert queue.next_batch() is first
    assert [first] == [queue.take()]
    assert not queue.can_send
    assert queue.acknowledge() is first
    queue.in_flight -= 1
    assert queue.can_send
    for expected in (second, third):
        queue.next_batch()
        assert expected is queue.take()
    assert [second, third] == list(queue.unacknowledged)
    queue.in_flight = 0
    queue.rewind()
    assert queue.next_batch() is second
    assert [second, third] == list(queue.to_resend)
    assert [[], False] == [list(queue.unacknowledged), queue.is_sequence_known]


def test_a_stored_batch_is_ours_if_offset_producer_sequence_and_count_are_equal() -> None:
    _, batch, *_ = _batches()
    stored = read_header(batch.data, 0)._replace(base_offset=3, leader_epoch=4, crc=0, attributes=4)

    assert is_same(batch, stored)
    for name in ("base_offset", "producer_id", "producer_epoch", "base_sequence", "record_count"):
        assert not is_same(batch, stored._replace(**{name: 77}))


def test_a_produce_without_answer_ends_soon_after_stop() -> None:
    stop, interrupted, waited_too_long = threading.Event(), threading.Event(), threading.Event()

    def no_answer(_: ReceivedRequest) -> None:
        stop.set()
        if not interrupted.wait(10):
            waited_too_long.set()

    with ScriptedBroker() as broker, Cluster(options(broker.address, request_timeout_ms=60_000)) as cluster:
        ScriptedMetadata({FIRST: 1}, broker)
        broker.answers[ApiKey.PRODUCE] = no_answer
        with pytest.raises(InterruptedRunError):
            _produce(cluster, FIRST, stop=stop)
        interrupted.set()
    assert not waited_too_long.is_set()
