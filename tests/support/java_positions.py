"""Positions that Kafka's own Java client commits and reads. `java` compiles the program when it starts."""

from __future__ import annotations

from base64 import b64decode, b64encode
from pathlib import Path

from tests.support.kafka import KafkaCluster
from tests.support.kafka_jars import run_tool

_PROGRAM = str(Path(__file__).with_name("JavaPositions.java"))


def java_commit(kafka: KafkaCluster, group: str, topic: str, offset: int, metadata: str) -> None:
    """Commit a position of partition 0 as a consumer without members."""
    values = (_encoded(group), topic, str(offset), _encoded(metadata))
    run_tool(kafka.version, _PROGRAM, "commit", kafka.bootstrap, *values)


def java_read(kafka: KafkaCluster, group: str, topic: str) -> tuple[int, bytes]:
    """(offset, metadata) of partition 0."""
    output = run_tool(kafka.version, _PROGRAM, "read", kafka.bootstrap, _encoded(group), topic)
    [line] = [line for line in output.splitlines() if line.startswith("position ")]
    _, offset, *metadata = line.split(" ")
    return int(offset), b64decode(metadata[0])


def _encoded(text: str) -> str:
    return b64encode(text.encode()).decode()
