"""A backed-up topic that is drilled by the command, in processes of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tasks.broker.kafka_access import KafkaAdmin
from tasks.broker.raw.connection import ConnectionOptions
from tasks.engine.scratch_names import is_scratch
from tasks.store.local.local_store import LocalStore
from tests.support.kafka import KafkaCluster
from tests.support.positions import commit_positions
from tests.support.producing import OutRecord, create_topic, produce
from tests.support.round_trip import Backups

SET = "drilled"
PARTITIONS = 3
RECORDS = 2000
COMMAND = (
    "from tasks.repository.leases import acquire\n"
    "acquire.__kwdefaults__['ttl_ms'] = 1000\n"
    "from tasks.cli.main import main\n"
    "main()\n"
)
"""The command as it is, except that the lease of a killed process ends soon."""


class Bed:
    """A backed-up topic with a group, and a file with which it is drilled on the same cluster."""

    def __init__(self, kafka: KafkaCluster, topic: str, folder: Path) -> None:
        self.kafka, self.topic = kafka, topic
        self.group = f"{topic}-readers"
        create_topic(kafka.bootstrap, topic, partitions=PARTITIONS, configs={"retention.ms": "-1"})
        for partition in range(PARTITIONS):
            records = [
                OutRecord(b"k%d" % number, os.urandom(50), headers=(("n", b"%d" % number),))
                for number in range(RECORDS)
            ]
            produce(kafka.bootstrap, topic, records, partition=partition)
        commit_positions(kafka.bootstrap, self.group, topic, {0: 7, 1: RECORDS})
        self.backups = Backups(
            bootstrap_servers=kafka.bootstrap_servers,
            store=LocalStore(folder / "repository", create=True),
            set_name=SET,
        )
        self.backups.back_up([topic])
        self.file = folder / "drill.yaml"
        self.write_file("")

    def write_file(self, more: str) -> None:
        """The file, with more lines in the section `drill`."""
        self.file.write_text(
            f"mode: drill\nbackup_id: {SET}\ntarget:\n  bootstrap_servers: ['{self.kafka.bootstrap}']\n"
            f"storage: {{backend: filesystem, path: {self.file.parent}/repository}}\n"
            f"drill:\n  topics: {{include: [{self.topic}]}}\n{more}"
        )

    def start(self, *options: str) -> subprocess.Popen[str]:
        """The command `drill` with the file."""
        return subprocess.Popen(
            [sys.executable, "-c", COMMAND, "drill", "--config", str(self.file), *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *options: str, code: int = 0) -> dict[str, Any]:
        """The document that the command prints."""
        process = self.start("--json", *options)
        out, err = process.communicate(timeout=180)
        assert code == process.returncode, err
        document: dict[str, Any] = json.loads(out)
        return document

    def scratch(self) -> list[str]:
        """The topics and groups of drills that exist on the cluster."""
        with KafkaAdmin(ConnectionOptions(bootstrap_servers=self.kafka.bootstrap_servers)) as admin:
            names = [topic.name for topic in admin.describe_topics()]
            groups = [group.group_id for group in admin.list_groups()]
        return [name for name in (*names, *groups) if is_scratch(name) and self.topic in name]

    def await_scratch(self) -> str:
        """The name of a scratch topic, as soon as there is one."""
        deadline = time.monotonic() + 60
        while not (found := self.scratch()):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        return found[0]

    def recorded(self) -> list[str]:
        """What is recorded of restores in the repository, and what they hold."""
        folders = ("restores/", "leases/_restore", "pins/")
        return [info.key for folder in folders for info in self.backups.store.list(folder)]
