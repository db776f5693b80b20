"""Faults at the simulated ports: lost requests, lost answers, crashes, and batches that land after a crash."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from tasks.broker.admin_values import CommittedOffset, NewTopicSpec
from tasks.broker.log_values import OutgoingBatch
from tasks.model.errors import BrokerError, BrokerUnavailableError
from tasks.model.partition import Partition
from tests.simulation.kafka import SimulatedKafka
from tests.simulation.kafka.faults import Faults, Step
from tests.simulation.simulated_logs import keys, outgoing, planned_keys
from tests.support.batch_factory import make_records
from tests.support.faults import Crashed

BATCHES = 12
STOP = threading.Event()
DAY_MS = 86_400_000


class _Target:
    """A topic that a plan of batches is written to, with faults armed."""

    def __init__(self, *, partitions: int = 1, age_ms: int = 0) -> None:
        self.kafka = SimulatedKafka()
        self.partitions = self.kafka.create_topic("t", partitions)
        self.faults = Faults()
        self.kafka.interceptor = self.faults
        self.timestamp = self.kafka.clock.now_ms() - age_ms
        self.acknowledged: list[tuple[int, int]] = []
        with self.kafka.access().writer(STOP) as writer:
            self.identity = writer.init_producer_id()

    def write(self, first: int = 0) -> None:
        """Produce the plan from this batch on into every partition."""
        sources = {
            partition: (outgoing(self.identity, number, timestamp=self.timestamp) for number in range(first, BATCHES))
            for partition in self.partitions
        }
        with self.kafka.access().writer(STOP) as writer:
            writer.produce(sources, timeout_ms=1_000, on_acknowledged=self._acknowledge)

    def _acknowledge(self, partition: Partition, batch: OutgoingBatch) -> None:
        self.acknowledged.append((partition.partition, batch.expected_offset))

    def stored_batches(self) -> int:
        """How many batches of the plan the first partition holds, which must be those from the first on."""
        found = keys(self.kafka, self.partitions[0])
        assert planned_keys(len(found) // 3) == found
        return len(found) // 3


@pytest.mark.parametrize("batch", range(BATCHES))
@pytest.mark.parametrize("is_answer", [False, True], ids=["request", "answer"])
def test_a_lost_batch_is_stored_and_acknowledged_once_and_in_order(batch: int, is_answer: bool) -> None:
    target = _Target(age_ms=30 * DAY_MS)
    (target.faults.lose_answer if is_answer else target.faults.lose_request)("batch.land", skip=batch)

    target.write()

    assert BATCHES == target.stored_batches()
    assert [(0, 3 * number) for number in range(BATCHES)] == target.acknowledged


def test_many_losses_in_many_partitions_change_nothing() -> None:
    target = _Target(partitions=3)
    for skip in range(0, 40, 7):
        target.faults.lose_answer("batch.land", skip=skip)
        target.faults.lose_request("batch.land", skip=skip + 3)
    target.faults.lose_answer("writer.read_back")

    target.write()

    for partition in target.partitions:
        assert planned_keys(BATCHES) == keys(target.kafka, partition)
        own = [offset for number, offset in target.acknowledged if number == partition.partition]
        assert [3 * number for number in range(BATCHES)] == own


def test_a_restarted_leader_is_read_back_before_anything_is_sent_again() -> None:
    """A restarted broker has only the last batch of each producer, and none of a producer whose records are old."""
    target = _Target(age_ms=30 * DAY_MS)

    def restart() -> None:
        target.kafka.stop_node(1)
        target.kafka.start_node(1)

    target.faults.after("batch.land", restart, skip=5)
    target.faults.lose_answer("batch.land", skip=5)

    target.write()

    assert BATCHES == target.stored_batches()


def test_somebody_elses_batch_in_the_place_of_a_lost_one_is_an_error() -> None:
    target = _Target()
    other = target.kafka.producer()
    target.faults.lose_request("batch.land", skip=4)
    target.faults.before("batch.land", lambda: other.send(("t", 0), make_records(1)), skip=4)

    with pytest.raises(BrokerError, match="someone else writes to the topic"):
        target.write()

    assert 4 == len(target.acknowledged)


def test_a_target_created_again_in_the_middle_gets_a_batch_by_its_name_and_the_writer_notices() -> None:
    target = _Target()

    def create_again() -> None:
        target.kafka.delete_topic("t")
        target.kafka.create_topic("t")

    target.faults.before("batch.land", create_again, skip=4)

    with pytest.raises(BrokerError, match="the batch for offset 12 was stored at 0"):
        target.write()


def test_replicas_that_lag_behind_time_a_batch_out_until_they_have_it() -> None:
    target = _Target()
    kafka = target.kafka
    target.faults.before("batch.land", lambda: kafka.hold_replication(("t", 0)), skip=3)
    kafka.clock.after(10_000, lambda: kafka.release_replication(("t", 0)))

    target.write()

    assert BATCHES == target.stored_batches()
    assert 10_000 <= kafka.clock.now_ms() - target.timestamp


@pytest.mark.parametrize("batch", range(BATCHES))
@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("fate", ["lands", "is lost"])
def test_after_a_crash_batches_in_flight_may_land_and_a_resumer_with_the_same_sequences_completes_the_plan(
    batch: int, is_after: bool, fate: str
) -> None:
    target = _Target()
    target.faults.crash("batch.land", after=is_after, skip=batch)
    with pytest.raises(Crashed):
        target.write()
    with pytest.raises(Crashed), target.kafka.access().admin(STOP) as admin:
        admin.cluster_id()
    assert batch + is_after == target.stored_batches()

    target.faults.revive()
    in_flight = len(target.kafka.wire.in_flight)
    if fate == "lands":
        target.kafka.clock.advance(100)
    else:
        target.kafka.wire.drop()

    pipelined = min(5, BATCHES - batch) if batch else 1  # the first batch goes alone
    assert pipelined - is_after == in_flight
    expected = batch + is_after + (in_flight if fate == "lands" else 0)
    assert expected == target.stored_batches()
    target.write(expected)
    assert BATCHES == target.stored_batches()


def test_a_batch_that_lands_after_the_resumer_is_a_duplicate_while_the_leader_has_the_producers_state() -> None:
    target = _Target()
    target.faults.crash("batch.land", after=False, skip=6)
    with pytest.raises(Crashed):
        target.write()
    target.faults.revive()
    target.write(6)
    before = target.kafka.log(("t", 0)).end

    target.kafka.wire.land()

    assert before == target.kafka.log(("t", 0)).end
    assert BATCHES == target.stored_batches()


def test_lost_answers_of_administrative_requests_are_settled_by_asking_again() -> None:
    kafka = SimulatedKafka()
    faults = Faults()
    kafka.interceptor = faults
    spec = NewTopicSpec(name="t", partitions=2, replication_factor=1, configs={"retention.ms": "5"})
    position = CommittedOffset(topic="t", partition=0, offset=1)
    with kafka.access().admin(STOP) as admin:
        calls: dict[str, tuple[Callable[[], object], object]] = {
            "admin.create_topics": (lambda: admin.create_topics([spec]), {"t": None}),
            "admin.alter_topics": (lambda: admin.alter_topic_configs("t", {"retention.ms": "6"}, ()), None),
            "admin.commit_offsets": (lambda: admin.commit_offsets("g", [position]), {("t", 0): None}),
            "admin.delete_records": (lambda: admin.delete_records({("t", 0): 0}), {("t", 0): 0}),
            "admin.delete_topics": (lambda: admin.delete_topics(["t"]), {"t": None}),
        }
        for name, (call, expected) in calls.items():
            faults.lose_answer(name)
            assert expected == call(), name
            assert 2 == sum(step == Step(name, step.subject, True) for step in faults.steps)


def test_a_topic_that_somebody_else_made_meanwhile_is_not_taken_for_ours() -> None:
    kafka = SimulatedKafka()
    faults = Faults()
    kafka.interceptor = faults
    faults.lose_request("admin.create_topics")
    faults.before("admin.create_topics", lambda: kafka.create_topic("t", 3), skip=1)

    with kafka.access().admin(STOP) as admin:
        error = admin.create_topics([NewTopicSpec(name="t", partitions=2, replication_factor=1)])["t"]

    assert isinstance(error, BrokerError)
    assert 36 == error.code


def test_a_call_that_gives_up_has_done_nothing_and_one_whose_answers_stay_lost_may_have_done_it() -> None:
    kafka = SimulatedKafka()
    faults = Faults()
    kafka.interceptor = faults
    spec = NewTopicSpec(name="t", partitions=1, replication_factor=1)
    with kafka.access(deadline_ms=1_000).admin(STOP) as admin:
        faults.give_up("admin.create_topics")
        with pytest.raises(BrokerUnavailableError):
            admin.create_topics([spec])
        assert {} == kafka.topics.by_name

        faults.lose_answer("admin.create_topics", times=1_000)
        assert isinstance(admin.create_topics([spec])["t"], BrokerUnavailableError)
        assert ["t"] == list(kafka.topics.by_name)


def test_the_cluster_may_change_between_any_two_steps_and_all_steps_are_recorded() -> None:
    kafka = SimulatedKafka()
    [partition] = kafka.create_topic("t")
    faults = Faults()
    kafka.interceptor = faults
    faults.before("fetcher.receive", lambda: kafka.delete_topic("t"))
    with kafka.access().reader(STOP) as reader:
        fetcher = reader.fetcher(max_bytes=1)
        fetcher.send(partition, 0, None)
        with pytest.raises(BrokerError, match="was deleted"):
            fetcher.receive()

    assert [
        "before fetcher.send t-0 at 0",
        "after fetcher.send t-0 at 0",
        "before fetcher.receive t-0 at 0",
        "after fetcher.receive t-0 at 0",
    ] == [str(step) for step in faults.steps]


def test_a_crash_at_a_numbered_step_ends_everything_until_another_process_goes_on() -> None:
    kafka = SimulatedKafka()
    faults = Faults()
    kafka.interceptor = faults
    faults.crash_at(3)
    with kafka.access().admin(STOP) as admin:
        assert admin.cluster_id()
        for _ in range(2):
            with pytest.raises(Crashed):
                admin.node_count()
        faults.revive()
        assert 1 == admin.node_count()


def test_a_lost_fetch_is_repeated_and_reads_the_log_as_it_is_then() -> None:
    kafka = SimulatedKafka()
    [partition] = kafka.create_topic("t")
    kafka.producer().send(("t", 0), make_records(2))
    faults = Faults()
    kafka.interceptor = faults
    faults.lose_answer("fetcher.receive", times=2)
    faults.lose_request("fetcher.send")
    with kafka.access().reader(STOP) as reader:
        fetcher = reader.fetcher(max_bytes=1_000)
        fetcher.send(partition, 0, None)
        assert 2 == fetcher.receive().high_watermark
