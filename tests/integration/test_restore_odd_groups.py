"""Positions of odd groups through a backup and a restore: any id, any metadata, Streams groups, open transactions."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from tasks.broker.admin_values import CommittedOffset
from tasks.broker.kafka_access import KafkaAdmin
from tests.conftest import KAFKA_VERSION
from tests.support.java_positions import java_commit, java_read
from tests.support.kafka import KafkaCluster
from tests.support.positions import pending_commits
from tests.support.producing import OutRecord, create_topic, produce
from tests.support.round_trip import Backups
from tests.support.streams_group import streams_member

pytestmark = pytest.mark.kafka
needs_4 = pytest.mark.skipif(KAFKA_VERSION.startswith("3."), reason="Kafka 3.9 has no Streams groups")

METADATA = "né\0 日本 😀\n"
RESTORED: dict[str, Any] = {"consumer_group_strategy": "header-based", "reset_consumer_offsets": True}


@pytest.fixture
def topic(kafka: KafkaCluster, topic_name: str) -> str:
    """A topic with twenty records in its only partition."""
    create_topic(kafka.bootstrap, topic_name)
    produce(kafka.bootstrap, topic_name, [OutRecord(b"%d" % number, b"v") for number in range(20)])
    return topic_name


def _position(topic: str, offset: int, metadata: str = "") -> CommittedOffset:
    return CommittedOffset(topic=topic, partition=0, offset=offset, metadata=metadata)


def _standing(kafka: KafkaCluster, groups: list[str], topic: str) -> dict[str, list[tuple[int, str]]]:
    with KafkaAdmin(kafka.connection) as admin:
        answers = admin.committed_offsets(groups)
    found = {}
    for group, answer in answers.items():
        assert isinstance(answer, list)
        found[group] = [(one.offset, one.metadata) for one in answer if one.topic == topic]
    return found


def test_the_metadata_of_a_java_client_is_read_by_a_java_client_after_the_restore(
    kafka: KafkaCluster, topic: str
) -> None:
    group = f"java-{uuid.uuid4().hex[:8]}"
    java_commit(kafka, group, topic, 7, METADATA)
    backups = Backups(bootstrap_servers=kafka.bootstrap_servers)
    backups.back_up([topic])

    result = backups.restore({topic: f"{topic}-copy"}, consumer_groups=(group,), **RESTORED)

    assert [None] == [one.failure for one in result.positions]
    assert (7, METADATA.encode()) == java_read(kafka, group, topic)
    assert (7, METADATA.encode()) == java_read(kafka, group, f"{topic}-copy")


def test_groups_with_any_id_are_restored(kafka: KafkaCluster, topic: str) -> None:
    stem = uuid.uuid4().hex[:8]
    groups = ["", *(f"{stem}{rest}" for rest in ("\0nul", "\nline", "/a", " b", "é日", "..", "%2e", "|c"))]
    with KafkaAdmin(kafka.connection) as admin:
        for number, group in enumerate(groups):
            assert {(topic, 0): None} == admin.commit_offsets(group, [_position(topic, number, METADATA)])
    backups = Backups(bootstrap_servers=kafka.bootstrap_servers)
    point = backups.back_up([topic])

    result = backups.restore({topic: f"{topic}-copy"}, consumer_groups=tuple(groups), **RESTORED)

    assert set(groups) <= {one.group for one in backups.groups(point).groups}
    assert dict.fromkeys(groups) == {one.group: one.failure for one in result.positions}
    expected = {group: [(number, METADATA)] for number, group in enumerate(groups)}
    assert expected == _standing(kafka, groups, f"{topic}-copy")


@needs_4
def test_the_positions_of_a_streams_group_are_kept_and_restored(kafka: KafkaCluster, topic: str) -> None:
    group = f"streams-{uuid.uuid4().hex[:8]}"
    backups = Backups(bootstrap_servers=kafka.bootstrap_servers)
    with KafkaAdmin(kafka.connection) as admin, streams_member(kafka.connection, group, topic, 9):
        [described] = admin.describe_groups([group])
        refused = admin.commit_offsets(group, [_position(topic, 1)])
        point = backups.back_up([topic])

    assert ("streams", 1) == (described.group_type, described.members)
    assert "stop its consumers" in str(refused[topic, 0])
    [kept] = [one for one in backups.groups(point).groups if one.group == group]
    assert ("streams", [9]) == (kept.group_type, [one.offset for one in kept.positions])
    result = backups.restore({topic: f"{topic}-copy"}, consumer_groups=(group,), **RESTORED)
    assert [None] == [one.failure for one in result.positions]
    assert {group: [(9, "of a stream")]} == _standing(kafka, [group], f"{topic}-copy")


def test_two_hundred_groups_of_an_open_transaction_are_waited_for_together_and_keep_their_last_positions(
    kafka: KafkaCluster, topic: str
) -> None:
    stem = uuid.uuid4().hex[:8]
    groups = [f"{stem}-{number:03}" for number in range(200)]
    with KafkaAdmin(kafka.connection) as admin:
        for group in groups:
            admin.commit_offsets(group, [_position(topic, 3, "m")])
    backups = Backups(bootstrap_servers=kafka.bootstrap_servers)

    with pending_commits(kafka.bootstrap, groups, topic, 9):
        point = backups.back_up([topic])

    kept = {one.group: one for one in backups.groups(point).groups if one.group in groups}
    assert groups == sorted(kept)
    assert {(3, "m")} == {(one.offset, one.metadata) for group in kept.values() for one in group.positions}
    assert {((topic, 0),)} == {tuple((one.topic, one.partition) for one in group.unsettled) for group in kept.values()}
    assert {None} == {group.failure for group in kept.values()}
