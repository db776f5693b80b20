"""The memory of a continuous backup over many cycles, while topics come and go."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from statistics import median

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from tests.integration.test_continuous import Bed
from tests.support.kafka import KafkaCluster
from tests.support.producing import create_topic
from tests.support.running_backup import RunningBackup

pytestmark = [pytest.mark.kafka, pytest.mark.soak]

CYCLE_MS = 200
PROGRAM = f"from tasks.config import models\nmodels.CYCLE_MS = {CYCLE_MS}\nfrom tasks.cli.main import main\nmain()\n"
"""The command as it is, except that its usual cycles are shorter than a file can make them."""

WARM_UP_CYCLES = 200
CYCLES = int(os.environ.get("MEMORY_CYCLES", "1000"))
"""Cycles after the warm-up: those of eight hours with the usual 30 seconds."""

SAMPLES = 50
"""The cycles at both ends of which the median counts."""

MOST_MIB = 12
"""The growth that is allowed. A process keeps a summary of each point of its set, about 1 KB."""

TOPIC_S = 30.0
"""After so many seconds a topic is created, and the oldest one is deleted. A point keeps the rows of deleted topics, so
the memory grows with their number, which has nothing to do with the number of cycles."""

LIVE_TOPICS = 5


@pytest.fixture
def bed(kafka: KafkaCluster, topic_name: str, tmp_path: Path) -> Bed:
    """A backup of all topics that begin with the name, in short cycles."""
    file = tmp_path / "backup.yaml"
    create_topic(kafka.bootstrap, f"{topic_name}-first", partitions=3)
    file.write_text(
        f"mode: backup\nbackup_id: stream\nsource:\n  bootstrap_servers: ['{kafka.bootstrap}']\n"
        f"  topics: {{include: ['{topic_name}-*']}}\nstorage: {{backend: filesystem, path: {tmp_path}/repository}}\n"
        "backup: {continuous: true, consumer_group_snapshot: true}\n"
    )
    return Bed(kafka, topic_name, file, (sys.executable, "-c", PROGRAM))


@pytest.mark.timeout(1800)
def test_memory_does_not_grow_with_the_cycles_of_a_continuous_backup(bed: Bed) -> None:
    sizes: list[float] = []
    with _topics_that_come_and_go(bed), bed.running() as running:
        for cycle in range(1, WARM_UP_CYCLES + CYCLES + 1):
            running.wait_until(partial(_has, running, cycle))
            if cycle > WARM_UP_CYCLES:
                sizes.append(_resident_mib(running.process.pid))

    begin, end = median(sizes[:SAMPLES]), median(sizes[-SAMPLES:])
    print(f"{begin:.1f} MiB after {WARM_UP_CYCLES} cycles, {end:.1f} MiB after {CYCLES} more, at most {max(sizes):.1f}")
    assert end - begin < MOST_MIB, [round(size, 1) for size in sizes[::SAMPLES]]


def _has(running: RunningBackup, points: int) -> bool:
    return len(running.points) >= points


def _resident_mib(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


@contextmanager
def _topics_that_come_and_go(bed: Bed) -> Iterator[None]:
    """While the body runs, every topic gets records all the time, new topics are created, and old ones are deleted."""
    done = threading.Event()
    thread = threading.Thread(target=_send, args=(bed, done))
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _send(bed: Bed, done: threading.Event) -> None:
    producer = Producer({"bootstrap.servers": bed.kafka.bootstrap, "log_level": 0})
    admin = AdminClient({"bootstrap.servers": bed.kafka.bootstrap, "log_level": 0})
    live, next_topic_s = [f"{bed.topic}-first"], time.monotonic()
    for number in count():
        if done.wait(CYCLE_MS / 2000):
            return
        for topic in live:
            for partition in range(3):
                producer.produce(topic, os.urandom(500), partition=partition)
        producer.flush()
        if time.monotonic() >= next_topic_s:
            next_topic_s += TOPIC_S
            live.append(f"{bed.topic}-{number}")
            create_topic(bed.kafka.bootstrap, live[-1], partitions=3)
            if len(live) > LIVE_TOPICS:
                for deleted in admin.delete_topics([live.pop(0)]).values():
                    deleted.result(30)
