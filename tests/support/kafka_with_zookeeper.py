"""A throwaway Kafka with ZooKeeper on 127.0.0.1, as clusters had it before KRaft."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from tests.support.kafka import free_ports
from tests.support.kafka_jars import SHORT_LIVED_JVM, KafkaStartError, java_command
from tests.support.kafka_properties import QUICK, properties_file
from tests.support.processes import end_server, start_server, temporary_folder

VERSION = "3.9.1"
"""The last minor version that has a ZooKeeper mode."""

_START_TIMEOUT_S = 120.0


@contextmanager
def kafka_with_zookeeper(overrides: Mapping[str, str], version: str = VERSION) -> Iterator[str]:
    """`host:port` of one broker of this version with these properties, while the `with` lasts."""
    folder = temporary_folder("zookeeper-")
    zookeeper_port, broker_port = free_ports(2)
    properties = {
        **{name: value for name, value in QUICK.items() if not name.startswith("broker.")},
        "broker.id": "1",
        "zookeeper.connect": f"127.0.0.1:{zookeeper_port}",
        "listeners": f"PLAINTEXT://127.0.0.1:{broker_port}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{broker_port}",
        "log.dirs": str(folder / "data"),
        "offsets.topic.replication.factor": "1",
        **overrides,
    }
    (folder / "server.properties").write_text(properties_file(properties))
    zookeeper = ["-Dzookeeper.admin.enableServer=false", "org.apache.zookeeper.server.ZooKeeperServerMain"]
    with ExitStack() as servers:
        servers.callback(shutil.rmtree, folder, ignore_errors=True)
        keeper = [*zookeeper, str(zookeeper_port), str(folder / "zk")]
        servers.enter_context(_server(version, folder, keeper, zookeeper_port))
        broker = ["kafka.Kafka", str(folder / "server.properties")]
        servers.enter_context(_server(version, folder, broker, broker_port))
        _await_controller(version, f"127.0.0.1:{broker_port}")
        yield f"127.0.0.1:{broker_port}"


@contextmanager
def _server(version: str, folder: Path, arguments: Sequence[str], port: int) -> Iterator[None]:
    """A JVM that runs until the `with` ends. It has started when its port accepts connections."""
    log = folder / f"{port}.log"
    process = start_server([*java_command(version), *SHORT_LIVED_JVM, "-Xmx384m", *arguments], log=log, folder=folder)
    try:
        _await_port(version, process, port, log)
        yield
    finally:
        end_server(process, signal.SIGKILL)


def _await_controller(version: str, bootstrap: str) -> None:
    """A broker accepts connections before it is registered, and loses requests to create topics until then."""
    deadline = time.monotonic() + _START_TIMEOUT_S
    while True:
        try:
            found = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0}).list_topics(timeout=5)
            if found.brokers and found.controller_id >= 0:
                return
        except KafkaException:
            pass
        if time.monotonic() > deadline:
            raise KafkaStartError(f"Kafka {version} has no controller.")
        time.sleep(0.1)


def _await_port(version: str, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                tail = "\n".join(log.read_text(errors="replace").splitlines()[-20:])
                raise KafkaStartError(f"A server of Kafka {version} did not start:\n{tail}") from None
            time.sleep(0.05)
