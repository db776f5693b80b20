"""One Kafka process of a throwaway cluster: started, awaited, ended."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from tests.support.kafka_jars import KafkaStartError, java_command
from tests.support.kafka_properties import NodePorts

START_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 30.0


@dataclass(kw_only=True)
class KafkaNode:
    """A node whose `server.properties` stands in `folder` and whose talk goes to `talk`."""

    version: str
    node_id: int
    ports: NodePorts
    folder: Path
    heap_mb: int
    jvm_options: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Where clients reach it."""
        return f"127.0.0.1:{self.ports.broker}"

    @property
    def config(self) -> Path:
        """Its properties file."""
        return self.folder / "server.properties"

    @property
    def log_dir(self) -> Path:
        """Where it keeps its partitions."""
        return self.folder / "data"

    @property
    def talk(self) -> Path:
        """The file with everything the process prints."""
        return self.folder.with_name(f"{self.folder.name}.log")

    def spawn(self) -> None:
        """Start the process, without waiting for it to serve."""
        options = ["-Xms128m", f"-Xmx{self.heap_mb}m", *self.jvm_options]
        with open(self.talk, "ab") as talk:
            self.process = subprocess.Popen(
                [*die_with_parent(), *java_command(self.version), *options, "kafka.Kafka", str(self.config)],
                stdin=subprocess.DEVNULL,
                stdout=talk,
                stderr=talk,
                start_new_session=True,  # Ctrl-C at the terminal reaches only us; we end the nodes ourselves
                cwd=self.folder,
            )

    def await_ready(self) -> None:
        """Return when it serves clients; one that ends or takes too long is a `KafkaStartError` with its last lines."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while not (self._accepts_connections() and self._is_in_metadata()):
            if self.process is None or self.process.poll() is not None or time.monotonic() > deadline:
                self.end(signal.SIGKILL)
                tail = "\n".join(self.talk.read_text(errors="replace").splitlines()[-20:])
                raise KafkaStartError(f"Kafka {self.version} node {self.node_id} did not start:\n{tail}")
            time.sleep(0.05)  # a broker gives no signal when it serves, except by serving

    def end(self, sign: signal.Signals) -> None:
        """Send the signal and wait until the process is gone; one that does not obey in time is killed."""
        process, self.process = self.process, None
        if process is None:
            return
        process.send_signal(sign)
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _accepts_connections(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.ports.broker), timeout=1).close()
        except OSError:
            return False
        return True

    def _is_in_metadata(self) -> bool:
        """The node itself answers, counts as alive, and the cluster has a controller."""
        conf: dict[str, str | int | float | bool] = {"bootstrap.servers": self.address, "log_level": 0}
        client = AdminClient(conf, error_cb=lambda error: None)
        try:
            metadata = client.list_topics(timeout=3)
        except KafkaException:
            return False
        return self.node_id in metadata.brokers and metadata.controller_id in metadata.brokers


def die_with_parent() -> list[str]:
    """A prefix that has the kernel kill the node with us, whatever kills us.

    Only from the main thread: the kernel's "parent" is the thread that started it, and other threads end early.
    """
    if threading.current_thread() is threading.main_thread() and shutil.which("setpriv") is not None:
        return ["setpriv", "--pdeathsig", "KILL"]
    return []
