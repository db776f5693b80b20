"""Group positions through a backup and a restore: translated exactly, and written only when told to."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

import pytest

from tasks.broker.admin.admin import Admin
from tasks.broker.admin.positions import commit_offsets, committed_offsets
from tasks.broker.admin_values import CommittedOffset
from tasks.engine.positions.translate import TranslatedPosition
from tasks.engine.restore import RestoreResult
from tasks.repository.entries import PointEntry
from tests.conftest import KAFKA_VERSION
from tests.support import producing
from tests.support.kafka import KafkaCluster
from tests.support.positions import commit_positions, group_member, share_group_member
from tests.support.producing import COMPACTED, OutRecord, Transaction
from tests.support.reading import read_all
from tests.support.round_trip import Backups

pytestmark = pytest.mark.kafka
needs_4 = pytest.mark.skipif(KAFKA_VERSION.startswith("3."), reason="Kafka 3.9 has no KIP-848 and no share groups")
IS_4 = not KAFKA_VERSION.startswith("3.")

# The client that commits these positions appends a NUL to their metadata, so the NUL has to come back.
ABORTED_END = 10
"""Where the aborted transaction's records end in `{stem}-tx`; its marker is at this offset."""


@dataclass(frozen=True)
class Positions:
    """Three topics with groups in odd places, and what a restore made of the positions."""

    kafka: KafkaCluster
    backups: Backups
    stem: str
    point: PointEntry
    result: RestoreResult

    def of(self, group: str) -> list[TranslatedPosition]:
        """What the restore says of the group."""
        return [one for one in self.result.positions if one.group == f"{self.stem}-{group}"]

    def standing(self, group: str) -> dict[tuple[str, int], CommittedOffset]:
        """What the broker says of the group now, by topic (without the stem) and partition."""
        with Admin(self.kafka.connection) as admin:
            answer = committed_offsets(admin, [f"{self.stem}-{group}"])[f"{self.stem}-{group}"]
        assert isinstance(answer, list)
        return {(one.topic.removeprefix(f"{self.stem}-"), one.partition): one for one in answer}


def _records(count: int) -> list[OutRecord]:
    return [OutRecord(b"key-%d" % number, b"value") for number in range(count)]


@pytest.fixture(scope="module")
def positions(kafka: KafkaCluster) -> Positions:
    stem = f"groups-{uuid.uuid4().hex[:8]}"
    _fill(kafka, stem)
    _commit(kafka, stem)
    backups = Backups(bootstrap_servers=kafka.bootstrap_servers)
    if IS_4:
        with share_group_member(kafka.bootstrap, f"{stem}-share", f"{stem}-plain"):
            point = backups.back_up([f"{stem}-*"])
    else:
        point = backups.back_up([f"{stem}-*"])
    mapping = {f"{stem}-{name}": f"{stem}-{name}-copy" for name in ("plain", "tx", "holes")}
    result = backups.restore(mapping, consumer_group_strategy="header-based", reset_consumer_offsets=True)
    return Positions(kafka, backups, stem, point, result)


def _fill(kafka: KafkaCluster, stem: str) -> None:
    plain, transactional, holes = (f"{stem}-{name}" for name in ("plain", "tx", "holes"))
    producing.create_topic(kafka.bootstrap, plain, partitions=3)
    producing.create_topic(kafka.bootstrap, transactional)
    producing.create_topic(kafka.bootstrap, holes, configs=COMPACTED)
    for partition in (0, 1):
        producing.produce(kafka.bootstrap, plain, _records(20), partition=partition)
    producing.produce_transactions(
        kafka.bootstrap, transactional, [Transaction(_records(10), False), Transaction(_records(10))]
    )
    producing.produce(kafka.bootstrap, holes, _records(20), records_per_batch=20)
    producing.produce(kafka.bootstrap, holes, _records(20)[5:15], records_per_batch=20)  # 5–14 become a hole
    producing.await_cleaner(kafka.log_dir(), holes, producing.roll_segment(kafka.bootstrap, holes))


def _commit(kafka: KafkaCluster, stem: str) -> None:
    def commit(group: str, topic: str, places: dict[int, int], protocol: str = "classic") -> None:
        commit_positions(
            kafka.bootstrap, f"{stem}-{group}", f"{stem}-{topic}", places, protocol=protocol, metadata=f"né {group}"
        )

    commit("classic", "plain", {0: 0, 1: 7, 2: 0})
    commit("aborted", "tx", {0: 4})
    commit("marker", "tx", {0: ABORTED_END})
    commit("hole", "holes", {0: 9})
    if IS_4:
        commit("kip848", "plain", {0: 20, 1: 13}, protocol="consumer")
    with Admin(kafka.connection) as admin:
        beyond = CommittedOffset(topic=f"{stem}-plain", partition=0, offset=1_000_000)
        assert {(f"{stem}-plain", 0): None} == commit_offsets(admin, f"{stem}-beyond", [beyond])


def test_positions_of_a_classic_group_are_restored_exactly_with_their_metadata(positions: Positions) -> None:
    standing = positions.standing("classic")

    assert [0, 7, 0] == [standing["plain-copy", partition].offset for partition in range(3)]
    assert {"né classic\0"} == {one.metadata for one in standing.values()}
    assert [None] * 3 == [one.failure for one in positions.of("classic")]


@needs_4
def test_positions_of_a_kip_848_group_are_restored_exactly(positions: Positions) -> None:
    standing = positions.standing("kip848")

    assert [20, 13] == [standing["plain-copy", partition].offset for partition in (0, 1)]
    assert "né kip848\0" == standing["plain-copy", 0].metadata
    assert ["consumer"] == [
        group.group_type
        for group in positions.backups.groups(positions.point).groups
        if group.group == f"{positions.stem}-kip848"
    ]


@pytest.mark.parametrize(("group", "topic"), [("aborted", "tx"), ("marker", "tx"), ("hole", "holes")])
def test_a_group_inside_aborted_data_or_a_hole_goes_on_with_the_record_it_would_have_read_next(
    positions: Positions, group: str, topic: str
) -> None:
    bootstrap, stem = positions.kafka.bootstrap, positions.stem
    old, new = positions.standing(group)[topic, 0].offset, positions.standing(group)[f"{topic}-copy", 0].offset

    expected = next(record for record in read_all(bootstrap, f"{stem}-{topic}") if record.offset >= old)
    actual = next(record for record in read_all(bootstrap, f"{stem}-{topic}-copy") if record.offset >= new)
    below = sum(record.offset < old for record in read_all(bootstrap, f"{stem}-{topic}"))
    assert (expected.key, expected.value, expected.timestamp) == (actual.key, actual.value, actual.timestamp)
    assert below == new


def test_a_position_beyond_the_end_becomes_the_end(positions: Positions) -> None:
    assert 20 == positions.standing("beyond")["plain-copy", 0].offset
    assert [(1_000_000, 20, None)] == [
        (one.source_offset, one.target_offset, one.failure) for one in positions.of("beyond")
    ]


@needs_4
def test_a_share_group_is_named_as_not_covered(positions: Positions) -> None:
    state = positions.backups.groups(positions.point)

    assert f"{positions.stem}-share (share group)" in state.not_covered
    assert f"{positions.stem}-share" not in [group.group for group in state.groups]


@pytest.mark.parametrize("protocol", ["classic", pytest.param("consumer", marks=needs_4)])
def test_a_group_in_use_gets_no_positions_and_everything_else_is_restored(positions: Positions, protocol: str) -> None:
    name = {"classic": "classic", "consumer": "kip848"}[protocol]
    group, source = f"{positions.stem}-{name}", f"{positions.stem}-plain"
    before = positions.standing(name)

    with group_member(positions.kafka.bootstrap, group, f"{positions.stem}-tx", protocol=protocol):
        result = positions.backups.restore(
            {source: f"{source}-in-use-{name}"}, consumer_group_strategy="header-based", reset_consumer_offsets=True
        )

    assert ([], True) == (list(result.mismatches), result.is_partial)
    assert {group} == {one.group for one in result.positions if one.failure}
    assert before == positions.standing(name)
