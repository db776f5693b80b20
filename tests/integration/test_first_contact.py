"""A real cluster with wrong addresses, missing requests and a limit of connections, and the command before it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.broker.messages.api_keys import ApiKey
from tasks.broker.raw.connection import ConnectionOptions
from tests.conftest import KAFKA_VERSION
from tests.support import producing, reading
from tests.support.command import Command
from tests.support.kafka import KafkaCluster, free_ports, run_tool
from tests.support.misleading_kafka import MisleadingKafka
from tests.support.producing import OutRecord, create_topic
from tests.support.round_trip import Backups
from tests.support.versions_proxy import Versions

pytestmark = pytest.mark.kafka

CLIENTS = "CLIENTS"
DESCRIBE_CLUSTER = 60


def _backup(folder: Path, connection: ConnectionOptions, *, code: int) -> str:
    """Run a backup with a short connect timeout and return what it said."""
    command = Command(folder=folder)
    command.write_backup(connection, ["f"])
    path = folder / "backup.yaml"
    document = json.loads(path.read_text())
    document["source"]["connection"] = {"connect_timeout_ms": 7_000}
    path.write_text(json.dumps(document))
    return command.back_up(code=code).stderr


@pytest.mark.parametrize(
    ("listener", "reason"),
    [("NAMELESS", "the name kafka.invalid"), ("CLOSED", "connection refused")],
)
def test_an_advertised_address_that_does_not_work_is_reported_while_waiting_and_named_at_the_end(
    misleading: MisleadingKafka, tmp_path: Path, listener: str, reason: str
) -> None:
    said = _backup(tmp_path, misleading.options(listener), code=1)

    advertised = "kafka.invalid:9092" if listener == "NAMELESS" else f"127.0.0.1:{misleading.closed}"
    *waited, failed = said.splitlines()
    assert any(line.startswith(f"kafka-backup: waiting for {advertised} since 5 s: Cannot connect") for line in waited)
    assert f"Broker 1 advertises the address {advertised}, which does not work from this machine." in failed
    assert reason in failed
    assert "Correct `advertised.listeners` of the broker" in failed


def test_a_proxy_that_lacks_optional_requests_is_treated_like_a_missing_permission(
    misleading: MisleadingKafka, tmp_path: Path
) -> None:
    optional = (ApiKey.DESCRIBE_ACLS, ApiKey.DESCRIBE_LOG_DIRS, DESCRIBE_CLUSTER)

    def without(announced: Versions) -> Versions:
        return {key: versions for key, versions in announced.items() if key not in optional}

    misleading.proxy.change = without
    create_topic(misleading.kafka.bootstrap, "f")
    command = Command(folder=tmp_path)
    command.write_backup(misleading.options("PROXIED"), ["f"])

    assert "f" in command.back_up(code=0).text


@pytest.fixture(scope="module")
def wide() -> Iterator[KafkaCluster]:
    """A broker with a topic of 40 partitions. `max.connections` does not limit the listener of the brokers themselves,
    so clients have another one."""
    [port] = free_ports(1)
    protocols = ",".join(f"{name}:PLAINTEXT" for name in ("PLAINTEXT", "CONTROLLER", CLIENTS))
    overrides = {"listener.security.protocol.map": protocols}
    with KafkaCluster(KAFKA_VERSION, listeners={CLIENTS: port}, overrides=overrides) as kafka:
        producing.create_topic(kafka.bootstrap, "wide", partitions=40)
        for partition in range(40):
            records = [OutRecord(b"k", f"{partition}-{number}".encode()) for number in range(10)]
            producing.produce(kafka.bootstrap, "wide", records, partition=partition)
        yield kafka


@pytest.mark.parametrize(
    ("limit", "most"),
    [("max.connections.per.ip", 6), ("max.connections.per.ip", 2), ("max.connections", 2)],
)
def test_sixteen_workers_complete_a_backup_and_a_restore_with_the_connections_that_the_broker_allows(
    wide: KafkaCluster, limit: str, most: int
) -> None:
    backups = Backups(bootstrap_servers=(f"127.0.0.1:{wide.listeners[CLIENTS]}",), workers=16)
    restored = f"restored-{limit}-{most}"
    _set_limit(wide, limit, most)

    assert "complete" == backups.back_up(["wide"]).status
    result = backups.restore({"wide": restored})

    _set_limit(wide, limit, 2**31 - 1)
    assert () == tuple(result.mismatches)
    for partition in range(40):
        before, after = (reading.read_all(wide.bootstrap, topic, partition) for topic in ("wide", restored))
        assert 10 == len(before)
        assert [one.value for one in before] == [one.value for one in after]


def _set_limit(kafka: KafkaCluster, limit: str, most: int) -> None:
    where = ["--bootstrap-server", kafka.bootstrap, "--entity-type", "brokers", "--entity-name", "1"]
    change = ["--alter", "--add-config", f"{limit}={most}"]
    run_tool(kafka.version, "kafka.admin.ConfigCommand", *change, *where)
