"""A throwaway Kafka that refuses settings of topics as managed clusters do: one rule at a time."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.kafka import KafkaCluster
from tests.support.kafka_jars import MissingToolError, fetch_jars

_SOURCE = Path(__file__).with_name("ManagedTopics.java")
_CLASS = "ManagedTopics"


@dataclass(frozen=True)
class ManagedKafka:
    """The cluster, and the file with the name of the rule that is in force."""

    cluster: KafkaCluster
    rule_file: Path

    @contextmanager
    def rule(self, name: str) -> Iterator[None]:
        """The rule (`only_six`, `small_batches`, `fixed_policy`, `week`) is in force while the body runs."""
        self.rule_file.write_text(name)
        try:
            yield
        finally:
            self.rule_file.write_text("none")


@contextmanager
def managed_kafka(version: str, folder: Path) -> Iterator[ManagedKafka]:
    """A cluster with the policy class, which is compiled in `folder`. Clients that ask for the metadata of a topic
    create it, as on clusters with Kafka's defaults."""
    if shutil.which("javac") is None:
        raise MissingToolError("A policy of topics needs javac. Install it (Debian: openjdk-17-jdk-headless).")
    classes, rule_file = folder / "classes", folder / "rule"
    rule_file.write_text("none")
    jars = f"{fetch_jars(version)}/*"
    subprocess.run(["javac", "-cp", jars, "-d", str(classes), str(_SOURCE)], check=True, timeout=120)
    overrides = {
        "alter.config.policy.class.name": _CLASS,
        "create.topic.policy.class.name": _CLASS,
        "auto.create.topics.enable": "true",
        "log.retention.ms": "604800000",
    }
    options = ("-cp", f"{jars}:{classes}", f"-Dmanaged.rule={rule_file}")
    with KafkaCluster(version, overrides=overrides, jvm_options=options) as cluster:
        yield ManagedKafka(cluster, rule_file)
