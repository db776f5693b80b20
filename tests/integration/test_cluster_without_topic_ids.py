"""A real cluster whose inter-broker protocol is too old for topic ids, although its brokers know Fetch by id."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.broker.raw.connection import ConnectionOptions
from tests.support import producing
from tests.support.command import Command
from tests.support.kafka_with_zookeeper import kafka_with_zookeeper
from tests.support.positions import commit_positions
from tests.support.producing import OutRecord

pytestmark = pytest.mark.kafka


@pytest.fixture(scope="module")
def bootstrap() -> Iterator[str]:
    with kafka_with_zookeeper({"inter.broker.protocol.version": "2.7"}) as bootstrap:
        for topic in ("orders", "invoices"):
            producing.create_topic(bootstrap, topic)
            producing.produce(bootstrap, topic, [OutRecord(b"k", topic.encode())])
        yield bootstrap


@pytest.mark.tried("Kafka", "3.9.1 with ZooKeeper and `inter.broker.protocol.version` 2.7: refused")
def test_a_backup_ends_with_the_name_of_the_setting_before_anything_is_stored(bootstrap: str, tmp_path: Path) -> None:
    command = Command(folder=tmp_path)
    command.write_backup(ConnectionOptions(bootstrap_servers=(bootstrap,)), ["orders"])

    said = command.back_up(code=2).stderr

    assert "no topic id, so this program cannot see whether a topic was deleted and created again" in said
    assert "Raise `inter.broker.protocol.version` of all brokers to 2.8 or newer." in said
    assert not [path for path in tmp_path.rglob("*") if "data" in path.name]


def test_after_the_topic_of_positions_exists_not_even_a_repository_is_made(bootstrap: str, tmp_path: Path) -> None:
    commit_positions(bootstrap, "group", "orders", {0: 1})
    command = Command(folder=tmp_path)
    command.write_backup(ConnectionOptions(bootstrap_servers=(bootstrap,)), ["orders"])

    assert "topic __consumer_offsets no topic id" in command.back_up(code=2).stderr
    assert not (tmp_path / "repository").exists()
