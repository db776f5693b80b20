"""An incremental run that finds few changes among many partitions: its time beside the first run, and its requests.

One broker in memory, because a broker syncs a file to the disk for each partition that it creates. Requests are counted
in the process of the command, see `tests.bench.requests`. The runs with a long history before them are made in this
process; each opens the repository and connects anew, as the command does.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from confluent_kafka import Producer

from tasks.engine.options import BackupOptions
from tasks.store.local.local_store import LocalStore
from tests.bench.backup_file import BackupFile
from tests.bench.clients import load
from tests.bench.measure import Cost, ratio, run
from tests.bench.report import Row
from tests.bench.requests import Requests, broker_requests
from tests.support.counting_store import CountingStore
from tests.support.kafka import KafkaCluster
from tests.support.processes import temporary_folder
from tests.support.producing import create_topic
from tests.support.round_trip import Backups

if TYPE_CHECKING:
    from tests.bench.__main__ import Bench

TOPICS = int(os.environ.get("BENCH_TOPICS", "10"))
"""Topics with 1,000 partitions each."""

PARTITIONS_EACH = 1000
RECORDS_EACH = 100
"""Records in each partition, of about 500 bytes."""

CHANGED = 10
"""The partitions with news in each incremental run."""

POINTS = int(os.environ.get("BENCH_POINTS", "500"))
COUNTED_RUNS = 100
"""So many runs are counted after 1 point and after `POINTS`: as many as there are log entries between two checkpoints,
which a new process reads, so that the position between them does not matter."""

HISTORY = "history"
HISTORY_PARTITIONS = 200
_MEMORY = Path("/dev/shm")


def incremental(bench: Bench) -> Iterator[Row]:
    """The rows about incremental runs."""
    folder = temporary_folder("bench-kafka-", str(_MEMORY) if _MEMORY.is_dir() else None)
    overrides = {"log.retention.ms": "-1"}
    try:
        with KafkaCluster(folder=folder, overrides=overrides, heap_mb=1024, is_short_lived=False) as kafka:
            yield from _long_history(bench, kafka, folder)
            yield from _many_partitions(bench, kafka)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _Run(NamedTuple):
    cost: Cost
    requests: Requests


def _many_partitions(bench: Bench, kafka: KafkaCluster) -> Iterator[Row]:
    topics = [f"crowd-{number}" for number in range(TOPICS)]
    for topic in topics:
        create_topic(kafka.bootstrap, topic, partitions=PARTITIONS_EACH)
        load(kafka.bootstrap, topic, PARTITIONS_EACH, RECORDS_EACH * PARTITIONS_EACH, "none")
    pairs = [_first_and_next(bench, kafka, topics) for _ in range(3)]
    few_first, few_next = _first_and_next(bench, kafka, topics[:1])
    first, following = pairs[-1]
    all_, few = f"{TOPICS * PARTITIONS_EACH:,}", f"{PARTITIONS_EACH:,}"
    changed = f"{CHANGED} of {all_} partitions changed"
    what = f"incremental, {changed}"
    walls = ratio([pair[1].cost for pair in pairs], [pair[0].cost for pair in pairs], "wall_s")
    yield Row(f"{what}: wall / the first run", walls, 0.1)
    yield Row(f"backup, {all_} partitions, first run: requests to the store", first.requests.store.total())
    yield Row(f"{what}: requests to the store", following.requests.store.total())
    yield Row(f"backup, {all_} partitions, first run: requests to the broker", first.requests.brokers.total())
    yield Row(f"{what}: requests to the broker", following.requests.brokers.total())
    for kind, side in (("the store", "store"), ("the broker", "brokers")):
        figure = getattr(following.requests, side).total() / getattr(few_next.requests, side).total()
        yield Row(f"{what}: requests to {kind} / {CHANGED} of {few}", figure, 1.1)
    bench.details += [
        f"first run, {all_} partitions: {first.requests.text()}",
        f"{changed}: {following.requests.text()}",
        f"first run, {few} partitions: {few_first.requests.text()}",
        f"{CHANGED} of {few} partitions changed: {few_next.requests.text()}",
    ]


def _first_and_next(bench: Bench, kafka: KafkaCluster, topics: Sequence[str]) -> tuple[_Run, _Run]:
    """The first run of a new set, and a run after some partitions got a record."""
    file = BackupFile.write(bench.folder, "incremental", kafka.bootstrap_servers, topics, offset_storage={})
    shutil.rmtree(file.repository, ignore_errors=True)
    first = _counted_run(bench, file)
    changed = [(topics[number % len(topics)], 97 * number) for number in range(CHANGED)]
    _send(Producer({"bootstrap.servers": kafka.bootstrap}), changed)
    return first, _counted_run(bench, file)


def _counted_run(bench: Bench, file: BackupFile) -> _Run:
    counts = file.path.with_suffix(".counts")
    cost = run([bench.python, "-m", "tests.bench.requests", str(counts), *file.command], log=bench.log)
    return _Run(cost, Requests.read(counts))


def _long_history(bench: Bench, kafka: KafkaCluster, folder: Path) -> Iterator[Row]:
    """Runs with two changed partitions after one point, and after many."""
    create_topic(kafka.bootstrap, HISTORY, partitions=HISTORY_PARTITIONS)
    load(kafka.bootstrap, HISTORY, HISTORY_PARTITIONS, 5 * HISTORY_PARTITIONS, "none")
    history = _History(kafka, LocalStore(folder / HISTORY, create=True))
    history.back_up(1)
    early = history.back_up(COUNTED_RUNS)
    history.back_up(POINTS - COUNTED_RUNS - 1)
    late = history.back_up(COUNTED_RUNS)
    for kind, side in (("the store", "store"), ("the broker", "brokers")):
        figure = getattr(late, side).total() / getattr(early, side).total()
        yield Row(f"incremental: requests to {kind} after {POINTS} points / after 1", figure, 1.25)
    bench.details += [
        f"{COUNTED_RUNS} runs after {points} points, 2 of {HISTORY_PARTITIONS} partitions changed: {requests.text()}"
        for points, requests in ((1, early), (POINTS, late))
    ]


class _History:
    """A set with one point after the other."""

    def __init__(self, kafka: KafkaCluster, store: LocalStore) -> None:
        self._store = store
        self._servers = kafka.bootstrap_servers
        self._producer = Producer({"bootstrap.servers": kafka.bootstrap})
        self._sent = 0

    def back_up(self, runs: int) -> Requests:
        """So many runs, each after a record to two partitions. Returns their requests."""
        counting = CountingStore(self._store)
        backups = Backups(bootstrap_servers=self._servers, store=counting)
        with broker_requests() as brokers:
            for _ in range(runs):
                first = self._sent % HISTORY_PARTITIONS
                _send(self._producer, [(HISTORY, first), (HISTORY, (first + 1) % HISTORY_PARTITIONS)])
                self._sent += 2
                backups.back_up_changes([HISTORY], options=BackupOptions())
        return Requests.of([counting], Counter(brokers))


def _send(producer: Producer, partitions: Sequence[tuple[str, int]]) -> None:
    for topic, partition in partitions:
        producer.produce(topic, b"a new record", partition=partition)
    assert 0 == producer.flush(30)
