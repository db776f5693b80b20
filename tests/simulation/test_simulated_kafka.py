"""Elections, dead brokers and lagging answers of the simulated cluster, which no test can provoke on a real one.

The facts are Kafka's: KAFKA.md §4 (epochs, out of range), A1 and §3 (producers), DESIGN §4.
"""

from __future__ import annotations

import threading

import pytest

from tasks.batches.header import check_crc, iter_headers, read_header
from tasks.broker.admin_values import CommittedOffset
from tasks.model.errors import BrokerUnavailableError, InterruptedRunError, OffsetOutOfRangeError, TopicGoneError
from tests.simulation.kafka import SimulatedKafka
from tests.simulation.kafka.clock import SimulatedClock, SimulatedStop
from tests.simulation.kafka.groups import POSITIONS_TOPIC, coordinator_of
from tests.simulation.simulated_logs import committed_records, fetch, keys, outgoing, planned_keys
from tests.support.batch_factory import make_records

PLACE = ("t", 0)
STOP = threading.Event()
HOUR_MS = 3_600_000


def _filled(kafka: SimulatedKafka, batches: int = 4, *, per_batch: int = 5) -> None:
    producer = kafka.producer()
    for number in range(batches):
        producer.send(PLACE, make_records(per_batch, first=number * per_batch, timestamp=kafka.clock.now_ms()))


# ── elections ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_unclean_election_cuts_the_log_between_batches_and_the_lost_lineage_diverges() -> None:
    kafka = SimulatedKafka(nodes=2)
    [partition] = kafka.create_topic("t", replicas=2)
    _filled(kafka)

    kafka.elect_uncleanly(PLACE, end=12)

    assert 10 == kafka.log(PLACE).end, "whole batches only"
    with pytest.raises(OffsetOutOfRangeError):
        fetch(kafka, partition, 15)
    assert (0, 10) == fetch(kafka, partition, 15, last_epoch=0).diverging
    assert None is fetch(kafka, partition, 10, last_epoch=0).diverging


def test_an_election_that_lacks_nothing_keeps_the_end_of_a_log_whose_tail_was_cleaned_away() -> None:
    kafka = SimulatedKafka(version="3.9.1", nodes=2)
    kafka.create_topic("t", replicas=2)
    kafka.producer(is_idempotent=False).send(PLACE, [record._replace(key=None) for record in make_records(3)])
    kafka.topics.by_name["t"].settings.own = {"cleanup.policy": "compact"}
    kafka.log(PLACE).roll()
    kafka.clean()
    assert [] == list(kafka.log(PLACE).batches())

    kafka.elect_uncleanly(PLACE, end=3)

    assert 3 == kafka.log(PLACE).end


def test_records_written_after_an_unclean_election_take_the_same_offsets_in_a_newer_epoch() -> None:
    kafka = SimulatedKafka(nodes=2)
    [partition] = kafka.create_topic("t", replicas=2)
    _filled(kafka)
    kafka.elect_uncleanly(PLACE, end=10)
    _filled(kafka, 3)

    fetched = fetch(kafka, partition, 10, last_epoch=0)
    beyond = fetch(kafka, partition, 20, last_epoch=0)

    assert [(10, 1), (15, 1), (20, 1)] == [
        (one.base_offset, one.leader_epoch) for _, one in iter_headers(fetched.records)
    ]
    assert ((0, 10), b"") == (beyond.diverging, beyond.records)


def test_a_replica_that_was_away_leads_uncleanly_when_the_leader_dies_and_the_topic_allows_it() -> None:
    kafka = SimulatedKafka(nodes=2)
    [partition] = kafka.create_topic("t", replicas=2, configs={"unclean.leader.election.enable": "true"})
    _filled(kafka, 2)
    leader = kafka.led(PLACE).leader
    assert leader is not None
    other = 3 - leader
    kafka.stop_node(other)
    _filled(kafka, 2)
    kafka.stop_node(leader)
    assert None is kafka.led(PLACE).leader

    kafka.start_node(other)

    assert (other, 10) == (kafka.led(PLACE).leader, kafka.log(PLACE).end)
    assert (0, 10) == fetch(kafka, partition, 20, last_epoch=0).diverging


def test_without_unclean_elections_a_partition_waits_for_its_last_in_sync_replica() -> None:
    kafka = SimulatedKafka(nodes=2)
    [partition] = kafka.create_topic("t", replicas=2)
    leader = kafka.led(PLACE).leader
    assert leader is not None
    kafka.stop_node(3 - leader)
    _filled(kafka)
    kafka.stop_node(leader)
    kafka.start_node(3 - leader)
    with kafka.access(deadline_ms=1_000).reader(STOP) as reader:
        answers = reader.list_offsets([partition], "latest")
        kafka.start_node(leader)
        again = reader.list_offsets([partition], "latest")

    assert isinstance(answers.failures[partition], BrokerUnavailableError)
    assert {partition: 20} == again.offsets


def test_another_in_sync_replica_takes_over_with_everything_and_a_higher_epoch() -> None:
    kafka = SimulatedKafka(nodes=3)
    [partition] = kafka.create_topic("t", replicas=3)
    _filled(kafka)
    before = kafka.led(PLACE).leader
    assert before is not None

    kafka.stop_node(before)
    _filled(kafka, 1)

    with kafka.access().admin(STOP) as admin:
        [described] = admin.describe_topics(["t"])
        assert 2 == admin.node_count()
    assert described.partitions[0].leader not in (None, before)
    assert before not in described.partitions[0].isr
    epochs = [one.leader_epoch for _, one in iter_headers(fetch(kafka, partition, 0).records)]
    assert [0, 0, 0, 0, 1] == epochs


# ── replication ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_records_that_replicas_do_not_have_yet_are_invisible_and_inside_the_log() -> None:
    kafka = SimulatedKafka()
    [partition] = kafka.create_topic("t")
    _filled(kafka, 2)
    kafka.hold_replication(PLACE)
    _filled(kafka, 2)

    with kafka.access().reader(STOP) as reader:
        assert {partition: 10} == reader.list_offsets([partition], "latest").offsets
    held = fetch(kafka, partition, 15)
    assert (b"", 10, 10) == (held.records, held.high_watermark, held.last_stable_offset)
    assert [0, 5] == [one.base_offset for _, one in iter_headers(fetch(kafka, partition, 0).records)]
    kafka.release_replication(PLACE)
    assert 20 == fetch(kafka, partition, 15).high_watermark


def test_a_marker_that_replicas_do_not_have_yet_leaves_its_transaction_unstable() -> None:
    kafka = SimulatedKafka()
    kafka.create_topic("t")
    producer = kafka.transactional_producer()
    producer.send(PLACE, make_records(3))
    kafka.hold_replication(PLACE)

    producer.commit()

    assert (0, 3, 4) == (kafka.log(PLACE).last_stable_offset, kafka.log(PLACE).high_watermark, kafka.log(PLACE).end)
    kafka.release_replication(PLACE)
    assert 4 == kafka.log(PLACE).last_stable_offset


# ── time ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_dead_broker_is_waited_for_in_simulated_time() -> None:
    kafka = SimulatedKafka()
    [partition] = kafka.create_topic("t")
    began_ms = kafka.clock.now_ms()
    kafka.stop_node(1)
    kafka.clock.after(7_000, lambda: kafka.start_node(1))

    with kafka.access(deadline_ms=60_000).reader(STOP) as reader:
        assert {partition: 0} == reader.list_offsets([partition], "latest").offsets

    assert 7_000 <= kafka.clock.now_ms() - began_ms < 20_000


def test_after_the_deadline_every_port_gives_up() -> None:
    kafka = SimulatedKafka()
    [partition] = kafka.create_topic("t")
    kafka.stop_node(1)
    access = kafka.access(deadline_ms=5_000)

    with access.reader(STOP) as reader, access.admin(STOP) as admin, access.writer(STOP) as writer:
        fetcher = reader.fetcher(max_bytes=1)
        fetcher.send(partition, 0, None)
        for call in (fetcher.receive, admin.cluster_id, admin.list_groups, writer.init_producer_id):
            with pytest.raises(BrokerUnavailableError):
                call()
        assert isinstance(reader.list_offsets([partition], "latest").failures[partition], BrokerUnavailableError)
        assert isinstance(admin.delete_topics(["t"])["t"], BrokerUnavailableError)
        assert None is reader.partition_bytes([partition])


def test_a_stop_ends_the_waits() -> None:
    kafka = SimulatedKafka()
    kafka.stop_node(1)
    stop = threading.Event()
    kafka.clock.after(1_000, stop.set)

    with kafka.access().admin(stop) as admin, pytest.raises(InterruptedRunError):
        admin.cluster_id()


def test_an_open_transaction_is_aborted_after_its_timeout() -> None:
    kafka = SimulatedKafka()
    [partition] = kafka.create_topic("t")
    producer = kafka.transactional_producer(timeout_ms=10_000)
    producer.send(PLACE, make_records(2))

    kafka.clock.advance(9_999)
    assert 0 == kafka.log(PLACE).last_stable_offset
    kafka.clock.advance(1)

    assert (3, False) == (kafka.log(PLACE).last_stable_offset, producer.is_open)
    assert 1 == len(fetch(kafka, partition, 0).aborted)
    producer.send(PLACE, make_records(2))
    producer.commit()
    kafka.clock.advance(20_000)
    assert 6 == kafka.log(PLACE).last_stable_offset


def test_scheduled_actions_run_in_order_at_their_times() -> None:
    clock = SimulatedClock(1_000)
    seen: list[tuple[str, int]] = []
    clock.after(30, lambda: seen.append(("late", clock.now_ms())))
    clock.after(10, lambda: clock.after(5, lambda: seen.append(("nested", clock.now_ms()))))
    clock.after(10, lambda: seen.append(("early", clock.now_ms())))

    clock.advance(29)
    assert [("early", 1_010), ("nested", 1_015)] == seen
    clock.advance(1)

    assert (("late", 1_030), 1_030) == (seen[-1], clock.now_ms())


def test_a_simulated_stop_waits_without_sleeping() -> None:
    clock = SimulatedClock(0)
    stop = SimulatedStop(clock)
    clock.after(1_500, stop.set)

    assert [False, True, True] == [stop.wait(1.0), stop.wait(1.0), stop.wait(1_000.0)]
    assert 2_000 == clock.now_ms()


# ── retention and producers ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("settings", "start"),
    [
        ({"retention.ms": str(3 * HOUR_MS)}, 20),
        ({"retention.ms": "1"}, 40),
        ({"retention.bytes": "700"}, 20),
        ({"retention.ms": "1", "cleanup.policy": "compact"}, 0),
    ],
    ids=["age", "everything is old", "size", "compact only"],
)
def test_retention_takes_whole_segments(settings: dict[str, str], start: int) -> None:
    kafka = SimulatedKafka(segment_batches=2)
    [partition] = kafka.create_topic("t", configs=settings)
    for _ in range(8):
        _filled(kafka, 1)
        kafka.clock.advance(HOUR_MS)

    kafka.apply_retention()

    log = kafka.log(PLACE)
    assert (start, 40) == (log.log_start, log.end)
    if start:
        with pytest.raises(OffsetOutOfRangeError):
            fetch(kafka, partition, start - 1)
    assert start == fetch(kafka, partition, start).log_start_offset


def test_a_producer_is_forgotten_a_day_after_its_newest_timestamp() -> None:
    kafka = SimulatedKafka()
    kafka.create_topic("t")
    data = _recorded_batch(kafka)
    assert [0, 0] == [kafka.append(PLACE, data), kafka.append(PLACE, data)]

    kafka.clock.advance(25 * HOUR_MS)
    kafka.expire_producers()

    assert 3 == kafka.append(PLACE, data), "the leader takes it for a new batch"


def _recorded_batch(kafka: SimulatedKafka) -> bytes:
    """A batch with a producer's sequence, as it was sent."""
    other = SimulatedKafka()
    other.create_topic("t")
    other.producer().send(PLACE, make_records(3, timestamp=kafka.clock.now_ms()))
    [stored] = other.log(PLACE).batches()
    return b"\0" * 8 + stored.data[8:12] + b"\xff" * 4 + stored.data[16:]


def test_too_few_in_sync_replicas_are_waited_for() -> None:
    kafka = SimulatedKafka(nodes=2)
    [partition] = kafka.create_topic("t", replicas=2, configs={"min.insync.replicas": "2"})
    follower = next(node for node in (1, 2) if node != kafka.led(PLACE).leader)
    kafka.stop_node(follower)
    kafka.clock.after(5_000, lambda: kafka.start_node(follower))
    with kafka.access().writer(STOP) as writer:
        identity = writer.init_producer_id()
        batches = (outgoing(identity, number, timestamp=kafka.clock.now_ms()) for number in range(4))
        writer.produce({partition: batches}, timeout_ms=1_000, on_acknowledged=lambda partition, batch: None)

    assert planned_keys(4) == keys(kafka, partition)


# ── metadata, groups, damage ────────────────────────────────────────────────────────────────────────────────────────


def test_a_new_topic_may_be_missing_from_some_answers() -> None:
    kafka = SimulatedKafka()
    kafka.create_topic("t")
    kafka.hide_topic("t", answers=2)

    with kafka.access().admin(STOP) as admin:
        assert [[], [], ["t"]] == [[topic.name for topic in admin.describe_topics(["t"])] for _ in range(3)]
        kafka.hide_topic("t", answers=2)
        assert ["t"] == [topic.name for topic in admin.describe_topics()]
        kafka.hide_topic("t", answers=2)
        assert ["t"] == list(admin.topic_configs(["t"]))


def test_groups_whose_coordinator_has_no_leader_are_in_no_list_and_cannot_be_read() -> None:
    kafka = SimulatedKafka(positions_partitions=4)
    kafka.create_topic("t")
    position = CommittedOffset(topic="t", partition=0, offset=1)
    with kafka.access(deadline_ms=2_000).admin(STOP) as admin:
        for group in ("a", "b"):
            admin.commit_offsets(group, [position])
        kafka.elect((POSITIONS_TOPIC, coordinator_of("a", 4)), None)

        [described] = admin.describe_topics([POSITIONS_TOPIC])
        assert ["b"] == [one.group_id for one in admin.list_groups()]
        assert not described.has_leaders
        answers = admin.committed_offsets(["a", "b"])
        assert isinstance(answers["a"], BrokerUnavailableError)
        assert [position] == answers["b"]
        kafka.clock.after(500, lambda: kafka.elect((POSITIONS_TOPIC, coordinator_of("a", 4)), 1))
        assert [position] == admin.committed_offsets(["a"])["a"]


def test_coordinators_are_found_by_javas_hash() -> None:
    """`Utils.abs(name.hashCode()) % 50`, computed by Java; the fifth name's hash is the smallest number of all."""
    names = ("kafka", "", "orders-consumer", "né à Paris", "polygenelubricants", "😀-group")
    assert [10, 0, 40, 22, 0, 43] == [coordinator_of(name, 50) for name in names]


def test_a_damaged_batch_is_served_with_a_checksum_that_does_not_fit() -> None:
    kafka = SimulatedKafka()
    [partition] = kafka.create_topic("t")
    _filled(kafka, 2)

    kafka.log(PLACE).flip_byte(7)

    records = fetch(kafka, partition, 0).records
    assert [True, False] == [check_crc(records, at, header) for at, header in iter_headers(records)]


def test_an_answer_holds_the_batches_that_the_leader_had_when_the_request_was_sent() -> None:
    kafka = SimulatedKafka()
    [partition] = kafka.create_topic("t")
    _filled(kafka, 2)
    with kafka.access().reader(STOP) as reader:
        fetcher = reader.fetcher(max_bytes=1 << 20)
        fetcher.send(partition, 0, None)
        kafka.delete_topic("t")
        ahead = fetcher.receive()
        fetcher.send(partition, 10, 0)
        with pytest.raises(TopicGoneError):
            fetcher.receive()

    assert [0, 5] == [one.base_offset for _, one in iter_headers(ahead.records)]


def test_the_same_history_makes_the_same_bytes_and_ids() -> None:
    def history(seed: int) -> tuple[str, list[bytes]]:
        kafka = SimulatedKafka(seed=seed)
        [partition] = kafka.create_topic("t")
        _filled(kafka, 2)
        producer = kafka.transactional_producer()
        producer.send(PLACE, make_records(2), codec="zstd")
        producer.abort()
        return partition.topic_id, [batch.data for batch in kafka.log(PLACE).batches()]

    assert history(1) == history(1)
    assert history(1)[0] != history(2)[0]
    assert 22 == len(history(1)[0])


def test_the_logs_own_knowledge_and_a_consumer_agree() -> None:
    kafka = SimulatedKafka()
    [partition] = kafka.create_topic("t")
    first, second = kafka.transactional_producer(), kafka.transactional_producer()
    first.send(PLACE, make_records(2))
    second.send(PLACE, make_records(2, first=10))
    first.abort()
    second.commit()
    first.send(PLACE, make_records(1, first=20))

    with kafka.access().reader(STOP) as reader:
        found = committed_records(reader, partition)

    assert [b"key-10", b"key-11"] == [record.key for record in found]
    assert kafka.log(PLACE).visible_records() == found
    assert 6 == read_header([*kafka.log(PLACE).batches()][-1].data, 0).base_offset
