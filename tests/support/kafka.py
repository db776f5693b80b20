"""A throwaway Apache Kafka on 127.0.0.1: one launcher for tests, demo and benchmarks.

Every node is broker and controller at once (KRaft combined mode). Kafka prints nothing on the terminal, but into
`node-{id}.log` in the cluster's folder. The last lines of that file are in the error if a node does not start.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

from tasks.broker.raw.connection import ConnectionOptions
from tests.support.kafka_jars import SHORT_LIVED_JVM, KafkaStartError, MissingToolError, require_tools, run_tool
from tests.support.kafka_node import KafkaNode
from tests.support.kafka_properties import NodePorts, properties_file, server_properties
from tests.support.processes import temporary_folder

__all__ = [
    "DEFAULT_VERSION",
    "KafkaCluster",
    "KafkaStartError",
    "MissingToolError",
    "free_ports",
    "require_tools",
    "run_tool",
]

DEFAULT_VERSION = "4.3.1"


class KafkaCluster:
    """A cluster that runs while a `with` block does. Nodes are numbered from 1.

    `overrides` are broker properties that replace the launcher's; `{node}` in them is the node's number.
    `listeners` are the ports of further listeners by
    name, for a single node only; the overrides set their protocols. `advertised` are the addresses that listeners
    advertise instead of their own, see `server_properties`. `jvm_options` are options of the JVM. A cluster
    that is not `is_short_lived` starts more slowly, and becomes as fast as Kafka can be, see `SHORT_LIVED_JVM`.
    Without `folder` everything is in a temporary folder that is removed at the end. A given folder stays with its data,
    and a later cluster can continue on it.
    The processes are killed when the `with` block ends, and when this process ends, by SIGKILL too.
    """

    def __init__(
        self,
        version: str = DEFAULT_VERSION,
        nodes: int = 1,
        overrides: Mapping[str, str] | None = None,
        folder: Path | None = None,
        heap_mb: int | None = None,
        listeners: Mapping[str, int] | None = None,
        advertised: Mapping[str, str] | None = None,
        jvm_options: Sequence[str] = (),
        *,
        is_short_lived: bool = True,
    ) -> None:
        self.version = version
        self.listeners = dict(listeners or {})
        self._jvm_options = (*(SHORT_LIVED_JVM if is_short_lived else ()), *jvm_options)
        self._overrides = dict(overrides or {})
        self._advertised = dict(advertised or {})
        self._heap_mb = heap_mb or (512 if nodes == 1 else 256)
        self._is_own_folder = folder is None
        self.folder = folder.resolve() if folder is not None else temporary_folder("kafka-")
        self._nodes = {node_id: self._node(node_id, ports) for node_id, ports in enumerate(_node_ports(nodes), 1)}

    def _node(self, node_id: int, ports: NodePorts) -> KafkaNode:
        folder = self.folder / f"node-{node_id}"
        return KafkaNode(
            version=self.version,
            node_id=node_id,
            ports=ports,
            folder=folder,
            heap_mb=self._heap_mb,
            jvm_options=self._jvm_options,
        )

    @property
    def node_ids(self) -> tuple[int, ...]:
        """The numbers of all nodes, running or not."""
        return tuple(self._nodes)

    @property
    def bootstrap_servers(self) -> tuple[str, ...]:
        """`host:port` of every node, running or not."""
        return tuple(node.address for node in self._nodes.values())

    @property
    def bootstrap(self) -> str:
        """`bootstrap_servers` as one comma-separated string, the form that librdkafka reads."""
        return ",".join(self.bootstrap_servers)

    @property
    def controller(self) -> str:
        """`host:port` of the controller's listener of the first node."""
        return f"127.0.0.1:{self._nodes[1].ports.controller}"

    @property
    def connection(self) -> ConnectionOptions:
        """The options of our own clients: no TLS, no SASL."""
        return ConnectionOptions(bootstrap_servers=self.bootstrap_servers)

    def log_dir(self, node: int = 1) -> Path:
        """The folder of this node's partitions, which are folders `{topic}-{partition}`."""
        return self._nodes[node].log_dir

    def __enter__(self) -> Self:
        try:
            self._format()
            for node in self._nodes.values():
                node.spawn()
            for node in self._nodes.values():
                node.await_ready()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Kill every node and remove the temporary folder. May be called again."""
        for node in self._nodes.values():
            node.end(signal.SIGKILL)
        if self._is_own_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def kill(self, node: int = 1) -> None:
        """SIGKILL the node and wait until it is gone. Does nothing if it does not run.

        The controller keeps the node's session for 6 s more. Until then the node stays leader of its partitions, and
        `start` waits for the end of the session.
        """
        self._nodes[node].end(signal.SIGKILL)

    def stop(self, node: int = 1) -> None:
        """Shut the node down with SIGTERM, which moves its leaders away first, and wait until it is gone."""
        self._nodes[node].end(signal.SIGTERM)

    def start(self, node: int = 1) -> None:
        """Start a node that was killed or stopped, with the same port and data, and wait until it serves."""
        if self._nodes[node].process is None:
            self._nodes[node].spawn()
            self._nodes[node].await_ready()

    def _format(self) -> None:
        cluster_uuid = urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
        cluster_uuid = cluster_uuid.replace("-", "A")  # a leading dash would be read as an option
        voters = {node.node_id: node.ports for node in self._nodes.values()}

        def format_node(node: KafkaNode) -> None:
            node.folder.mkdir(parents=True, exist_ok=True)
            own = {name: value.replace("{node}", str(node.node_id)) for name, value in self._overrides.items()}
            properties = server_properties(
                self.version, node.node_id, voters, node.log_dir, self.listeners, self._advertised
            )
            node.config.write_text(properties_file(properties | own))
            if not (node.log_dir / "meta.properties").exists():
                arguments = ("format", "-t", cluster_uuid, "-c", str(node.config))
                run_tool(self.version, "kafka.tools.StorageTool", *arguments, jvm_options=self._jvm_options)

        with ThreadPoolExecutor(len(self._nodes)) as pool:
            list(pool.map(format_node, self._nodes.values()))


def _node_ports(nodes: int) -> list[NodePorts]:
    ports = free_ports(2 * nodes)
    return [NodePorts(broker, controller) for broker, controller in zip(ports[::2], ports[1::2], strict=True)]


def free_ports(count: int) -> list[int]:
    """Free ports on 127.0.0.1.

    They are below the range from which the system takes the ports of outgoing connections. So a server that is started
    again finds its port free.
    """
    found: set[int] = set()
    source = random.Random(os.urandom(8))
    while len(found) < count:
        port = source.randrange(15_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            found.add(port)
    return list(found)
