"""A real cluster with wrong addresses, missing requests and a limit of connections, and the command before it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tasks.broker.messages.api_keys import ApiKey
from tasks.broker.raw.connection import ConnectionOptions
from tests.conftest import KAFKA_VERSION
from tests.support import producing, reading
from tests.support.command import Command
from tests.support.kafka import KafkaCluster, free_ports, run_tool
from tests.support.producing import OutRecord
from tests.support.round_trip import Backups
from tests.support.versions_proxy import Versions, VersionsProxy

pytestmark = pytest.mark.kafka

DESCRIBE_CLUSTER = 60
WRONG = {"NAMELESS": "kafka.invalid:9092", "CLOSED": "127.0.0.1:{closed}", "CONTROLLED": "127.0.0.1:{{controller}}"}


class Contact(NamedTuple):
    """A broker whose listeners advertise wrong addresses, and a proxy before its listener PROXIED."""

    kafka: KafkaCluster
    proxy: VersionsProxy
    closed: int

    def options(self, listener: str) -> ConnectionOptions:
        return ConnectionOptions(bootstrap_servers=(f"127.0.0.1:{self.kafka.listeners[listener]}",))


@pytest.fixture(scope="module")
def contact() -> Iterator[Contact]:
    closed, proxy_port, *ports = free_ports(2 + len(WRONG) + 1)
    listeners = dict(zip([*WRONG, "PROXIED"], ports, strict=True))
    advertised = {name: text.format(closed=closed) for name, text in WRONG.items()}
    advertised["PROXIED"] = f"127.0.0.1:{proxy_port}"
    protocols = ",".join(f"{name}:PLAINTEXT" for name in ("PLAINTEXT", "CONTROLLER", *listeners))
    with (
        KafkaCluster(
            KAFKA_VERSION,
            listeners=listeners,
            advertised=advertised,
            overrides={"listener.security.protocol.map": protocols},
        ) as kafka,
        VersionsProxy(proxy_port, listeners["PROXIED"]) as proxy,
    ):
        producing.create_topic(kafka.bootstrap, "f")
        producing.produce(kafka.bootstrap, "f", [OutRecord(b"k", b"v")])
        yield Contact(kafka, proxy, closed)


def _backup(folder: Path, connection: ConnectionOptions, *, code: int) -> str:
    """Run a backup with a short connect timeout and return what it said."""
    command = Command(folder=folder)
    command.write_backup(connection, ["f"])
    path = folder / "backup.yaml"
    document = json.loads(path.read_text())
    document["source"]["connection"] = {"connect_timeout_ms": 7_000}
    path.write_text(json.dumps(document))
    ran = command.back_up(code=code)
    if code:
        assert not (folder / "repository").exists(), "a run that never began left something behind"
    return ran.stderr


@pytest.mark.parametrize(
    ("listener", "reason"),
    [("NAMELESS", "the name kafka.invalid"), ("CLOSED", "connection refused")],
)
def test_an_advertised_address_that_does_not_work_is_reported_while_waiting_and_named_at_the_end(
    contact: Contact, tmp_path: Path, listener: str, reason: str
) -> None:
    said = _backup(tmp_path, contact.options(listener), code=1)

    advertised = "kafka.invalid:9092" if listener == "NAMELESS" else f"127.0.0.1:{contact.closed}"
    waited, failed = said.splitlines()
    assert waited.startswith(f"kafka-backup: waiting for {advertised} since 5 s: Cannot connect to {advertised}")
    assert f"Broker 1 advertises the address {advertised}, which does not work from this machine." in failed
    assert reason in failed
    assert "Correct `advertised.listeners` of the broker" in failed


def test_an_advertised_address_of_the_controller_is_named_at_once(contact: Contact, tmp_path: Path) -> None:
    said = _backup(tmp_path, contact.options("CONTROLLED"), code=2)

    assert f"Broker 1 advertises the address {contact.kafka.controller}, which does not work" in said
    assert f"{contact.kafka.controller} is a controller's listener." in said
    assert "waiting" not in said


def test_a_controllers_listener_as_bootstrap_server_is_named_at_once(contact: Contact, tmp_path: Path) -> None:
    said = _backup(tmp_path, ConnectionOptions(bootstrap_servers=(contact.kafka.controller,)), code=2)

    sentence = f"{contact.kafka.controller} is a controller's listener. Use the address of a broker's listener."
    assert f"kafka-backup: {sentence}\n" == said


@pytest.mark.parametrize(("api_key", "newest", "name"), [(ApiKey.FETCH, 11, "Fetch"), (ApiKey.METADATA, 9, "Metadata")])
def test_a_proxy_that_lacks_a_necessary_request_is_refused_with_its_name(
    contact: Contact, tmp_path: Path, api_key: ApiKey, newest: int, name: str
) -> None:
    contact.proxy.change = lambda announced: {**announced, api_key: (announced[api_key][0], newest)}

    said = _backup(tmp_path, contact.options("PROXIED"), code=2)

    assert f"of the request {name}, but broker 127.0.0.1:" in said
    assert "Use Kafka 2.8 or newer; if a proxy is in front of it, configure the proxy to pass this request." in said


def test_a_proxy_that_lacks_optional_requests_is_treated_like_a_missing_permission(
    contact: Contact, tmp_path: Path
) -> None:
    optional = (ApiKey.DESCRIBE_ACLS, ApiKey.DESCRIBE_LOG_DIRS, DESCRIBE_CLUSTER)

    def without(announced: Versions) -> Versions:
        return {key: versions for key, versions in announced.items() if key not in optional}

    contact.proxy.change = without
    command = Command(folder=tmp_path)
    command.write_backup(contact.options("PROXIED"), ["f"])

    assert "f" in command.back_up(code=0).text


@pytest.fixture(scope="module")
def wide() -> Iterator[KafkaCluster]:
    """A broker with a topic of 40 partitions."""
    with KafkaCluster(KAFKA_VERSION) as kafka:
        producing.create_topic(kafka.bootstrap, "wide", partitions=40)
        for partition in range(40):
            records = [OutRecord(b"k", f"{partition}-{number}".encode()) for number in range(10)]
            producing.produce(kafka.bootstrap, "wide", records, partition=partition)
        yield kafka


@pytest.mark.parametrize("most", [6, 2])
def test_sixteen_workers_complete_a_backup_and_a_restore_with_the_connections_that_the_broker_allows(
    wide: KafkaCluster, most: int
) -> None:
    backups = Backups(bootstrap_servers=wide.bootstrap_servers, workers=16)
    restored = f"restored-{most}"
    _limit_connections(wide, most)

    assert "complete" == backups.back_up(["wide"]).status
    result = backups.restore({"wide": restored})

    _limit_connections(wide, 2**31 - 1)
    assert () == tuple(result.mismatches)
    for partition in range(40):
        before, after = (reading.read_all(wide.bootstrap, topic, partition) for topic in ("wide", restored))
        assert 10 == len(before)
        assert [one.value for one in before] == [one.value for one in after]


def _limit_connections(kafka: KafkaCluster, most: int) -> None:
    where = ["--bootstrap-server", kafka.bootstrap, "--entity-type", "brokers", "--entity-name", "1"]
    change = ["--alter", "--add-config", f"max.connections.per.ip={most}"]
    run_tool(kafka.version, "kafka.admin.ConfigCommand", *change, *where)
