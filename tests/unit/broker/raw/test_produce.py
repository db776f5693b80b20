"""Produce against a scripted leader: every batch once, in order, whatever is refused, lost or forgotten."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tasks.batches.header import read_header, stamp
from tasks.broker.log_values import OutgoingBatch
from tasks.broker.raw.cluster import Cluster
from tasks.broker.raw.partition_queue import PartitionQueue
from tasks.broker.raw.produce import produce
from tasks.broker.raw.produce_recovery import is_same
from tasks.model.errors import BrokerError, BrokerUnavailableError, InterruptedRunError, UnsupportedError
from tasks.model.partition import Partition
from tests.support.batch_factory import make_batch, make_records
from tests.unit.broker.scripted_broker import API_VERSIONS, Asked, ScriptedBroker, options, versions
from tests.unit.broker.scripts import FIRST, PRODUCE, SECOND, Log, World, serve, take

WHOLE = [3 * number for number in range(12)]
"""The base sequences, and offsets, of what `_batches` makes."""


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
    """Do something when the batch with this sequence arrives for the first time; it returns the error code."""
    done: list[int] = []

    def refuse(arrived: int) -> int:
        if arrived != sequence or done:
            return 0
        done.append(arrived)
        return action()

    log.refuse = refuse


def test_everything_is_stored_and_acknowledged_once_in_order() -> None:
    logs = [Log(), Log()]
    with ScriptedBroker(serve(logs)) as broker, Cluster(options(broker.address)) as cluster:
        World({FIRST: 1, SECOND: 1}, broker)
        assert {FIRST: WHOLE, SECOND: WHOLE} == _produce(cluster, FIRST, SECOND)
    assert [WHOLE, WHOLE] == [log.stored for log in logs]


@pytest.mark.parametrize("code", [3, 5, 6, 7, 19, 20, 56])
@pytest.mark.parametrize("at", [0, 3, 15, 33])
def test_passing_trouble_at_any_batch_is_rewound_from(code: int, at: int) -> None:
    log = Log()
    _once(log, at, lambda: code)
    with ScriptedBroker(serve([log])) as broker, Cluster(options(broker.address)) as cluster:
        World({FIRST: 1}, broker)
        assert {FIRST: WHOLE} == _produce(cluster, FIRST)
    assert WHOLE == log.stored


def test_the_second_batch_never_goes_before_the_leader_knows_the_first() -> None:
    """A leader that does not know the producer would store the second batch in the place of the refused first one."""
    log = Log()
    _once(log, 0, lambda: 3)
    with ScriptedBroker(serve([log])) as broker, Cluster(options(broker.address)) as cluster:
        World({FIRST: 1}, broker)
        _produce(cluster, FIRST)
    assert [0, 0, 3] == log.arrived[:3]


@pytest.mark.parametrize("at", [0, 6, 33])
@pytest.mark.parametrize("is_stored", [True, False])
@pytest.mark.parametrize("is_forgotten", [True, False])
def test_a_lost_answer_leads_to_no_hole_and_no_repetition(at: int, is_stored: bool, is_forgotten: bool) -> None:
    """Also when the broker has forgotten the producer by then, as it does when it restarts."""
    log = Log()
    answers = serve([log])
    lost: list[int] = []

    def lose(asked: Asked) -> Any:
        stored = len(log.stored)
        if lost or stored * 3 != at:
            return take([log])(asked)
        lost.append(stored)
        if is_stored:
            take([log])(asked)
        if is_forgotten:
            log.forget_producer()
        return None

    with ScriptedBroker({**answers, PRODUCE: lose}) as broker, Cluster(options(broker.address)) as cluster:
        World({FIRST: 1}, broker)
        assert {FIRST: WHOLE} == _produce(cluster, FIRST)

    assert lost
    assert WHOLE == log.stored


def test_a_lost_connection_to_one_leader_leaves_the_other_alone() -> None:
    logs = [Log(), Log()]
    with ScriptedBroker(serve(logs)) as one, ScriptedBroker(serve(logs)) as two:
        World({FIRST: 1, SECOND: 2}, one, two)
        answer, hung_up = one.answers[PRODUCE], list[int]()

        def hang_up_once(asked: Asked) -> Any:
            if len(logs[0].stored) == 5 and not hung_up:
                hung_up.append(1)
                return None
            return answer(asked)

        one.answers[PRODUCE] = hang_up_once
        with Cluster(options(one.address)) as cluster:
            assert {FIRST: WHOLE, SECOND: WHOLE} == _produce(cluster, FIRST, SECOND)
    assert [WHOLE, WHOLE] == [log.stored for log in logs]
    assert WHOLE == logs[1].arrived


def test_a_partition_follows_its_leader_and_never_has_more_than_five_batches_in_flight() -> None:
    log = Log()
    with ScriptedBroker(serve([log])) as one, ScriptedBroker(serve([log])) as two:
        world = World({FIRST: 1}, one, two)

        def moved() -> int:
            world.leaders[FIRST] = 2
            return 6

        _once(log, 18, moved)
        with Cluster(options(one.address)) as cluster:
            assert {FIRST: WHOLE} == _produce(cluster, FIRST)

    assert WHOLE == log.stored
    assert two.of(PRODUCE)
    assert len(one.of(PRODUCE)) + len(two.of(PRODUCE)) <= len(WHOLE) + 5


def test_a_partition_stays_with_its_leader_until_its_answers_have_come() -> None:
    """Another partition's trouble tells of the new leader while batches are on their way to the old one."""
    logs = [Log(), Log()]
    is_overtaken = threading.Event()
    with ScriptedBroker(serve(logs)) as one, ScriptedBroker(serve(logs)) as two:
        world = World({FIRST: 1, SECOND: 1}, one, two)

        def moved() -> int:
            world.leaders.update({FIRST: 2, SECOND: 2})
            return 6

        def old_leader(asked: Asked) -> Any:
            if world.leaders[FIRST] == 2:
                is_overtaken.wait(0.02)
            return take(logs)(asked)

        def new_leader(asked: Asked) -> Any:
            is_overtaken.set()
            return take(logs)(asked)

        _once(logs[1], 6, moved)
        one.answers[PRODUCE], two.answers[PRODUCE] = old_leader, new_leader
        with Cluster(options(one.address)) as cluster:
            _produce(cluster, FIRST, SECOND, count=40)

    whole = list(range(0, 120, 3))
    assert [whole, whole] == [log.stored for log in logs]
    assert whole == logs[0].arrived


@pytest.mark.parametrize("code", [2, 10, 32, 45, 87])
def test_a_refusal_that_waiting_does_not_mend_names_the_place(code: int) -> None:
    log = Log()
    _once(log, 6, lambda: code)
    with ScriptedBroker(serve([log])) as broker, Cluster(options(broker.address)) as cluster:
        World({FIRST: 1}, broker)
        with pytest.raises(BrokerError, match="topic orders, partition 0 at offset 6") as caught:
            _produce(cluster, FIRST)
    assert code == caught.value.code
    assert [0, 3] == log.stored


def test_someone_elses_batch_is_noticed_when_ours_lands_behind_it_and_when_it_stands_in_the_place_of_ours() -> None:
    log = Log()
    foreign = make_batch(make_records(3), base_offset=0, producer_id=99, producer_epoch=0, base_sequence=0)

    def intrude(code: int) -> int:
        log._store(foreign, -9, 3)
        log.forget_producer()
        return code

    with ScriptedBroker(serve([log])) as broker, Cluster(options(broker.address)) as cluster:
        World({FIRST: 1}, broker)
        _once(log, 3, lambda: intrude(0))
        with pytest.raises(BrokerError, match="the batch for offset 3 was stored at 6: someone else"):
            _produce(cluster, FIRST)
    log = Log()
    with ScriptedBroker(serve([log])) as broker, Cluster(options(broker.address)) as cluster:
        World({FIRST: 1}, broker)
        _once(log, 3, lambda: intrude(7))
        with pytest.raises(BrokerError, match="at offset 3 there is another batch than ours for 3: someone else"):
            _produce(cluster, FIRST)


def test_trouble_without_end_ends_at_the_deadline_and_stop_ends_at_once() -> None:
    log = Log()
    log.refuse = lambda sequence: 19 if sequence >= 6 else 0
    with ScriptedBroker(serve([log])) as broker:
        World({FIRST: 1}, broker)
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


def test_a_broker_without_our_version_is_refused_before_anything_is_sent() -> None:
    with ScriptedBroker({API_VERSIONS: versions({PRODUCE: (9, 13)})}) as broker:
        World({FIRST: 1}, broker)
        with Cluster(options(broker.address)) as cluster, pytest.raises(UnsupportedError):
            _produce(cluster, FIRST)
    assert [] == broker.of(PRODUCE)


def test_a_lane_holds_only_what_is_unacknowledged_and_rewinds_in_order() -> None:
    first, second, third, *_ = batches = list(_batches())
    queue = PartitionQueue(FIRST, iter(batches))

    assert queue.next_batch() is first
    assert queue.next_batch() is first
    assert [first] == [queue.take()]
    assert not queue.may_send
    assert queue.acknowledge() is first
    queue.in_flight -= 1
    assert queue.may_send
    for expected in (second, third):
        queue.next_batch()
        assert expected is queue.take()
    assert [second, third] == list(queue.sent)
    queue.in_flight = 0
    queue.rewind()
    assert queue.next_batch() is second
    assert [second, third] == list(queue.again)
    assert [[], False] == [list(queue.sent), queue.is_known]


def test_a_batch_is_ours_when_offset_producer_sequence_and_count_are() -> None:
    _, batch, *_ = _batches()
    stored = read_header(batch.data, 0)._replace(base_offset=3, leader_epoch=4, crc=0, attributes=4)

    assert is_same(batch, stored)
    for name in ("base_offset", "producer_id", "producer_epoch", "base_sequence", "record_count"):
        assert not is_same(batch, stored._replace(**{name: 77}))


def test_a_produce_that_nobody_answers_ends_soon_after_stop() -> None:
    stop, silence, tired = threading.Event(), threading.Event(), threading.Event()

    def say_nothing(_: Asked) -> None:
        stop.set()
        if not silence.wait(10):
            tired.set()

    with ScriptedBroker() as broker, Cluster(options(broker.address, request_timeout_ms=60_000)) as cluster:
        World({FIRST: 1}, broker)
        broker.answers[PRODUCE] = say_nothing
        with pytest.raises(InterruptedRunError):
            _produce(cluster, FIRST, stop=stop)
        silence.set()
    assert not tired.is_set()
