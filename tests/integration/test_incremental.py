"""Chains of incremental runs over a real Kafka: a restore of each point is what the topic was."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tasks.broker.admin.admin import Admin
from tasks.model.ranges import OVERTAKEN, TOPIC_GONE
from tasks.store.memory.memory_store import MemoryStore
from tests.support import producing
from tests.support.faults import FaultyStore
from tests.support.kafka import KafkaCluster
from tests.support.producing import COMPACTED, OutRecord, Transaction
from tests.support.round_trip import Backups, contents

pytestmark = pytest.mark.kafka


@pytest.fixture
def backups(kafka: KafkaCluster) -> Backups:
    return Backups(bootstrap_servers=kafka.bootstrap_servers)


def _numbered(count: int, first: int = 0) -> list[OutRecord]:
    return [OutRecord(b"key-%d" % number, b"value %d" % number) for number in range(first, first + count)]


def test_each_point_restores_to_what_the_topic_was_and_a_run_without_news_reads_nothing(
    kafka: KafkaCluster, backups: Backups, topic_name: str
) -> None:
    producing.create_topic(kafka.bootstrap, topic_name, partitions=3)
    seen = []
    for turn in range(3):
        producing.produce(kafka.bootstrap, topic_name, _numbered(50, 50 * turn), partition=turn, records_per_batch=10)
        seen.append(
            (backups.back_up_changes([topic_name]), [contents(kafka.bootstrap, topic_name, n) for n in range(3)])
        )
    idle = backups.back_up_changes([topic_name])

    kinds = [point.point_kind for point, _ in seen]
    assert (["snapshot", "incremental", "incremental"], "incremental") == (kinds, idle.point_kind)
    assert (seen[-1][0].totals, "complete") == (idle.totals, idle.status)
    assert [ref.key for ref in seen[-1][0].index] == [ref.key for ref in idle.index]
    for point, expected in seen:
        target = f"{topic_name}-{point.seq}"
        assert [] == backups.restore({topic_name: target}, seq=point.seq).mismatches
        assert expected == [contents(kafka.bootstrap, target, number) for number in range(3)]
        assert () == backups.findings(point)


def test_retention_that_passes_a_stored_offset_is_a_gap_with_its_range(
    kafka: KafkaCluster, backups: Backups, topic_name: str
) -> None:
    producing.create_topic(kafka.bootstrap, topic_name)
    producing.produce(kafka.bootstrap, topic_name, _numbered(10))
    first = contents(kafka.bootstrap, topic_name)
    backups.back_up_changes([topic_name])
    producing.produce(kafka.bootstrap, topic_name, _numbered(20, 10), records_per_batch=5)
    producing.delete_records(kafka.bootstrap, topic_name, 17)

    point = backups.back_up_changes([topic_name])

    assert [(10, 17, OVERTAKEN)] == [(gap.first, gap.next, gap.reason) for gap in point.gaps]
    assert ("gaps", 23) == (point.status, point.totals.records)
    backups.restore({topic_name: f"{topic_name}-restored"})
    assert first + contents(kafka.bootstrap, topic_name) == contents(kafka.bootstrap, f"{topic_name}-restored")
    assert () == backups.findings(point)


def test_a_topic_that_is_created_again_between_two_runs_is_another_incarnation(
    kafka: KafkaCluster, backups: Backups, topic_name: str
) -> None:
    producing.create_topic(kafka.bootstrap, topic_name)
    producing.produce(kafka.bootstrap, topic_name, _numbered(10))
    old = contents(kafka.bootstrap, topic_name)
    first = backups.back_up_changes([topic_name])
    with Admin(kafka.connection) as admin:
        assert {topic_name: None} == admin.delete_topics([topic_name])
    producing.create_topic(kafka.bootstrap, topic_name)
    producing.produce(kafka.bootstrap, topic_name, _numbered(30, 100))

    point = backups.back_up_changes([topic_name])

    assert ["topic created again"] == [note.reason for note in point.ended]
    assert ((2, 40), "complete") == ((point.totals.topics, point.totals.records), point.status)
    assert [] == backups.restore({topic_name: f"{topic_name}-new"}).mismatches
    assert contents(kafka.bootstrap, topic_name) == contents(kafka.bootstrap, f"{topic_name}-new")
    assert [] == backups.restore({topic_name: f"{topic_name}-old"}, seq=first.seq).mismatches
    assert old == contents(kafka.bootstrap, f"{topic_name}-old")
    assert () == backups.findings(point)


def test_a_topic_that_is_created_again_during_a_run_is_another_incarnation_for_the_next_one(
    kafka: KafkaCluster, topic_name: str
) -> None:
    """The old one goes when the run has planned, before it reads. The new one has more offsets."""
    producing.create_topic(kafka.bootstrap, topic_name)
    producing.produce(kafka.bootstrap, topic_name, _numbered(10))
    old = contents(kafka.bootstrap, topic_name)
    store = FaultyStore(MemoryStore(), on_write=_Once("plan.json", lambda: _create_again(kafka, topic_name)).on_write)
    backups = Backups(bootstrap_servers=kafka.bootstrap_servers, store=store)
    backups.back_up_changes([topic_name])
    producing.produce(kafka.bootstrap, topic_name, _numbered(10, 10))

    during, after = backups.back_up_changes([topic_name]), backups.back_up_changes([topic_name])

    assert [(10, 20, TOPIC_GONE)] == [(gap.first, gap.next, gap.reason) for gap in during.gaps]
    assert (10, 10 + 30) == (during.totals.records, after.totals.records)
    assert [] == backups.restore({topic_name: f"{topic_name}-old"}, seq=during.seq).mismatches
    assert old == contents(kafka.bootstrap, f"{topic_name}-old")
    assert [] == backups.restore({topic_name: f"{topic_name}-new"}).mismatches
    assert contents(kafka.bootstrap, topic_name) == contents(kafka.bootstrap, f"{topic_name}-new")
    assert () == backups.findings(after)


class _Once:
    """Acts at the second write of an object of this name: at that of the second run."""

    def __init__(self, name: str, act: Callable[[], object]) -> None:
        self._name = name
        self._act = act
        self._seen = 0

    def on_write(self, number: int, operation: str, key: str) -> None:
        self._seen += key.endswith(self._name)
        if self._seen == 2 and key.endswith(self._name):
            self._act()


def _create_again(kafka: KafkaCluster, topic: str) -> None:
    with Admin(kafka.connection) as admin:
        assert {topic: None} == admin.delete_topics([topic])
    producing.create_topic(kafka.bootstrap, topic)
    producing.produce(kafka.bootstrap, topic, _numbered(30, 100))


def test_compaction_between_two_runs_takes_nothing_out_of_the_chain_and_a_restore_has_the_newest_of_every_key(
    kafka: KafkaCluster, backups: Backups, topic_name: str
) -> None:
    producing.create_topic(kafka.bootstrap, topic_name, configs=COMPACTED)
    seen: dict[bytes | None, bytes | None] = {}
    stored = 0
    for turn in range(3):
        records = [OutRecord(b"key-%d" % key, b"%d of %d" % (key, turn)) for key in range(10)]
        producing.produce(kafka.bootstrap, topic_name, records, records_per_batch=5)
        seen |= {record.key: record.value for record in records}
        point = backups.back_up_changes([topic_name])
        assert point.totals.records >= stored
        stored = point.totals.records
        rolled = producing.roll_segment(kafka.bootstrap, topic_name)
        producing.await_cleaner(kafka.log_dir(), topic_name, rolled)
    source = contents(kafka.bootstrap, topic_name)

    point = backups.back_up_changes([topic_name])

    assert [] == backups.restore({topic_name: f"{topic_name}-restored"}).mismatches
    restored = contents(kafka.bootstrap, f"{topic_name}-restored")
    assert (len(source) < len(restored), (), "complete") == (True, point.gaps, point.status)
    assert {key: value for _, key, value, _ in source} == {key: value for _, key, value, _ in restored}
    assert source == [one for one in restored if one in source]
    assert seen.items() <= {key: value for _, key, value, _ in restored}.items()
    assert () == backups.findings(point)


def test_transactions_across_the_seam_of_two_runs_are_whole_or_absent(
    kafka: KafkaCluster, backups: Backups, topic_name: str
) -> None:
    producing.create_topic(kafka.bootstrap, topic_name)
    producing.produce(kafka.bootstrap, topic_name, _numbered(5))
    for number, is_committed in enumerate((True, False)):
        with producing.open_transaction(
            kafka.bootstrap, topic_name, _numbered(4, 100 * number), is_committed=is_committed
        ):
            producing.produce(kafka.bootstrap, topic_name, _numbered(3, 1000 * number))
            held = backups.back_up_changes([topic_name])
        producing.produce_transactions(kafka.bootstrap, topic_name, [Transaction(_numbered(2), False)])
    point = backups.back_up_changes([topic_name])

    assert 5 + 4 + 3 == held.totals.records, "an open transaction holds back what follows"
    assert 5 + 4 + 3 + 3 == point.totals.records
    assert [] == backups.restore({topic_name: f"{topic_name}-restored"}).mismatches
    assert contents(kafka.bootstrap, topic_name) == contents(kafka.bootstrap, f"{topic_name}-restored")
    assert () == backups.findings(point)


def test_partitions_that_are_added_are_read_whole(kafka: KafkaCluster, backups: Backups, topic_name: str) -> None:
    producing.create_topic(kafka.bootstrap, topic_name)
    producing.produce(kafka.bootstrap, topic_name, _numbered(5))
    backups.back_up_changes([topic_name])
    producing.add_partitions(kafka.bootstrap, topic_name, 3)
    producing.produce(kafka.bootstrap, topic_name, _numbered(7), partition=2)

    point = backups.back_up_changes([topic_name])

    assert [(0, 5), (0, 0), (0, 7)] == [
        (row.first, row.next) for row in (backups.row(point, topic_name, number) for number in range(3))
    ]
    assert [] == backups.restore({topic_name: f"{topic_name}-restored"}).mismatches
    for number in range(3):
        restored = contents(kafka.bootstrap, f"{topic_name}-restored", number)
        assert contents(kafka.bootstrap, topic_name, number) == restored
    assert () == backups.findings(point)
