"""A continuous backup beside a producer with a constant rate and the broker, on the same cores.

The producer sends batches of 16 KB to one of 1,000 partitions after the other. After it has ended, the backup runs
until a point has every record. Then a snapshot of the same bytes is made for comparison.

The lag of a record is the time from its timestamp, which its producer sets when it makes it, to the commit of the first
point that contains it: the time at which the point's log entry got its name in the folder. It is taken of the last
record of each batch, and each batch is as large as the others.
"""

from __future__ import annotations

import math
import os
import signal
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from tasks.model.errors import NotFoundError
from tasks.repository.names import log_key
from tests.bench.backup_file import SET, BackupFile
from tests.bench.measure import Cost, run, start, warm_memory
from tests.bench.report import Row
from tests.support.producing import create_topic

if TYPE_CHECKING:
    from tests.bench.__main__ import Bench

PARTITIONS = 1000
BYTES_PER_SECOND = 20_000_000
SECONDS = float(os.environ.get("BENCH_SECONDS", "120"))
CYCLE_S = 30
"""The program's default."""

TOPIC = "stream"
BESIDE = "stream-beside"
_WAIT_S = 300.0
_WARM_UP_S = 15
"""A broker that has just started is too slow for the rate."""

_WARM_GIB = 4
"""For the pages of the broker's log and of the two repositories. Without them the producer does not reach its rate."""


def continuous(bench: Bench) -> Iterator[Row]:
    """The rows about a continuous backup."""
    for topic in (TOPIC, BESIDE):
        create_topic(bench.kafka.bootstrap, topic, partitions=PARTITIONS)
    warm_memory(_WARM_GIB)
    measured = _continuous_backup(bench)
    beside = _snapshots_beside_a_producer(bench)
    alone = [bench.backup(TOPIC, 4) for _ in range(3)]
    yield from _rows(measured, beside, alone)
    bench.details.append(
        f"CPU seconds: continuous {measured.cost.cpu_s:.1f}; snapshots of the same bytes beside a producer "
        f"{_cpu_text(beside)}, without one {_cpu_text(alone)}"
    )
    for topic in (TOPIC, BESIDE):
        bench.delete(topic)


def _rows(measured: _Measured, beside: Sequence[Cost], alone: Sequence[Cost]) -> Iterator[Row]:
    rate = f"{BYTES_PER_SECOND // 1_000_000} MB/s into {PARTITIONS:,} partitions for {SECONDS:.0f} s"
    cpu_s, lags_s, added = measured.cost.cpu_s, sorted(measured.lags_s), measured.added
    compared = f"continuous, {rate}: CPU / a snapshot of the same bytes"
    yield Row(f"{compared} beside a producer of that rate", cpu_s / median(one.cpu_s for one in beside), 1.3)
    yield Row(f"{compared} without a producer", cpu_s / median(one.cpu_s for one in alone))
    yield Row(f"continuous, {CYCLE_S} s cycles: p99 of the lag, in seconds", _percentile(lags_s, 0.99), CYCLE_S + 5)
    yield Row("continuous: median of the lag, in seconds", _percentile(lags_s, 0.5))
    yield Row("continuous: MB/s that the producer reached", measured.bytes_per_second / 1_000_000)
    yield Row("continuous: MiB of memory, 4 workers", measured.cost.peak_mib, 200 / 1.048576)
    yield Row("continuous: all objects per hour", added.per_hour(added.total))
    yield Row("continuous: data objects per hour", added.per_hour(added.data))
    yield Row("continuous: MiB stored for each data object", added.data_bytes / max(added.data, 1) / (1 << 20))


def _continuous_backup(bench: Bench) -> _Measured:
    """Run the command from before the producer begins until a point has every record."""
    backup = {"continuous": True, "checkpoint_interval_secs": CYCLE_S}
    file = BackupFile.write(bench.folder, "continuous", bench.kafka.bootstrap_servers, [TOPIC], backup=backup)
    first = _stream(bench, _WARM_UP_S)
    running = start([bench.executable, *file.command], log=bench.log)
    _wait_until(lambda: _records(file) == first.records)
    before = _Objects.now(file)
    sent = _stream(bench, SECONDS)
    _wait_until(lambda: _records(file) == first.records + sent.records)
    added = _Objects.now(file).since(before)
    cost = running.end(signal.SIGTERM)
    return _Measured(cost, list(_lags_s(sent.batches, _read_points(file))), sent.bytes_per_second, added)


def _snapshots_beside_a_producer(bench: Bench) -> list[Cost]:
    """The same work costs more CPU seconds while others use the caches and the other core. The continuous backup has a
    producer beside it, so these snapshots have one too, which sends to another topic."""
    producer = start(_stream_command(bench, BESIDE, _WAIT_S), log=bench.log)
    try:
        return [bench.backup(TOPIC, 4) for _ in range(3)]
    finally:
        producer.kill()


@dataclass(frozen=True, slots=True)
class _Measured:
    """A continuous backup: its cost, the lag of each batch, what its producer reached, and the objects that it made."""

    cost: Cost
    lags_s: Sequence[float]
    bytes_per_second: int
    added: _Objects


class _Batch(NamedTuple):
    """The last record of a batch that was sent."""

    partition: int
    offset: int
    timestamp_ms: int


class _Sent(NamedTuple):
    """What the producer has written down."""

    records: int
    bytes_per_second: int
    batches: Sequence[_Batch]


@dataclass(frozen=True, slots=True)
class _Point:
    """The time of a point's commit, and its end offset of each partition."""

    committed_ms: float
    ends: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class _Objects:
    """The numbers of objects in a repository, and the time when they were counted."""

    total: int
    data: int
    data_bytes: int
    at_s: float

    @classmethod
    def now(cls, file: BackupFile) -> _Objects:
        objects = list(file.store().list(""))
        data = [one for one in objects if one.key.startswith("data/")]
        return cls(len(objects), len(data), sum(one.size_bytes for one in data), time.time())

    def since(self, before: _Objects) -> _Objects:
        """The difference; `at_s` is the time between the two."""
        return _Objects(
            self.total - before.total,
            self.data - before.data,
            self.data_bytes - before.data_bytes,
            self.at_s - before.at_s,
        )

    def per_hour(self, count: int) -> float:
        """Such a number for an hour."""
        return 3600 * count / self.at_s


def _stream(bench: Bench, seconds: float) -> _Sent:
    """Produce, and return what the producer has written down."""
    run(_stream_command(bench, TOPIC, seconds), log=bench.log)
    records, bytes_per_second, *lines = _sent_file(bench).read_text().splitlines()
    return _Sent(int(records), int(bytes_per_second), [_Batch(*map(int, line.split())) for line in lines])


def _stream_command(bench: Bench, topic: str, seconds: float) -> list[str]:
    return bench.client_command("stream", topic, PARTITIONS, BYTES_PER_SECOND, seconds, _sent_file(bench))


def _sent_file(bench: Bench) -> Path:
    return bench.folder / "sent"


def _cpu_text(costs: Sequence[Cost]) -> str:
    return ", ".join(f"{one.cpu_s:.1f}" for one in costs)


def _records(file: BackupFile) -> int | None:
    """The records of the newest point. None if there is no point."""
    try:
        newest = file.log().newest_point()
    except NotFoundError:
        return None
    return newest.entry.totals.records if newest else None


def _read_points(file: BackupFile) -> list[_Point]:
    log = file.log()
    newest = log.state().newest_point
    assert newest is not None
    points = [log.point(seq) for seq in range(1, newest + 1)]
    return [
        _Point(
            _named_ms(file.repository / log_key(SET, point.seq)),
            {source.partition: row.next for source, row in point.rows.items()},
        )
        for point in points
    ]


def _named_ms(entry: Path) -> float:
    """When a log entry's file got its name: the last change of the file itself, because nothing changes it later. Its
    bytes were written before that."""
    return entry.stat().st_ctime_ns / 1_000_000


def _lags_s(batches: Sequence[_Batch], points: Sequence[_Point]) -> Iterator[float]:
    """The lag of each batch. `points` are in the order of their commits."""
    by_partition: dict[int, list[_Batch]] = defaultdict(list)
    for batch in batches:
        by_partition[batch.partition].append(batch)
    for partition, own in by_partition.items():
        following = iter(points)
        point = next(following)
        for batch in sorted(own, key=lambda batch: batch.offset):
            while point.ends.get(partition, 0) <= batch.offset:
                point = next(following)
            yield (point.committed_ms - batch.timestamp_ms) / 1000


def _percentile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that so large a share of the values does not exceed."""
    return ordered[math.ceil(share * len(ordered)) - 1]


def _wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _WAIT_S
    while not is_so():
        if time.monotonic() > deadline:
            raise TimeoutError("the continuous backup did not make the expected point")
        time.sleep(0.5)  # no event exists for a point of another process
