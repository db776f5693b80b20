"""One Kafka process of a throwaway cluster: start it, wait until it serves, end it."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from tests.support.kafka_jars import KafkaStartError, java_command
from tests.support.kafka_properties import NodePorts
from tests.support.processes import end_server, start_server

START_TIMEOUT_S = 120.0


@dataclass(kw_only=True)
class KafkaNode:
    """A node whose `server.properties` is in `folder` and whose output goes to `log`."""

    version: str
    node_id: int
    ports: NodePorts
    folder: Path
    heap_mb: int
    jvm_options: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """`host:port` for clients."""
        return f"127.0.0.1:{self.ports.broker}"

    @property
    def config(self) -> Path:
        """Its properties file."""
        return self.folder / "server.properties"

    @property
    def log_dir(self) -> Path:
        """The folder of its partitions."""
        return self.folder / "data"

    @property
    def log(self) -> Path:
        """The file with everything that the process prints."""
        return self.folder.with_name(f"{self.folder.name}.log")

    def spawn(self) -> None:
        """Start the process, without waiting until it serves."""
        options = ["-Xms128m", f"-Xmx{self.heap_mb}m", *self.jvm_options]
        command = [*java_command(self.version), *options, "kafka.Kafka", str(self.config)]
        self.process = start_server(command, log=self.log, folder=self.folder)

    def await_ready(self) -> None:
        """Return when it serves clients.

        Raises `KafkaStartError` with its last lines if it ends, or if it does not serve after `START_TIMEOUT_S`.
        """
        deadline = time.monotonic() + START_TIMEOUT_S
        while not (self._accepts_connections() and self._is_in_metadata()):
            if self.process is None or self.process.poll() is not None or time.monotonic() > deadline:
                self.end(signal.SIGKILL)
                tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-20:])
                raise KafkaStartError(f"Kafka {self.version} node {self.node_id} did not start:\n{tail}")
            time.sleep(0.05)  # the only sign that a broker serves is that it serves

    def end(self, sign: signal.Signals) -> None:
        """Send the signal and wait until the process is gone, see `end_server`. May be called again."""
        process, self.process = self.process, None
        end_server(process, sign)

    def _accepts_connections(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.ports.broker), timeout=1).close()
        except OSError:
            return False
        return True

    def _is_in_metadata(self) -> bool:
        """Whether the node answers that it is alive and that the cluster has a controller."""
        conf: dict[str, str | int | float | bool] = {"bootstrap.servers": self.address, "log_level": 0}
        client = AdminClient(conf, error_cb=lambda error: None)
        try:
            metadata = client.list_topics(timeout=3)
        except KafkaException:
            return False
        return self.node_id in metadata.brokers and metadata.controller_id in metadata.brokers
