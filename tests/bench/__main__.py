"""The benchmark: `make bench`. `BENCH_RECORDS` scales it (default 3,000,000 records, about 1.4 GB).

`python -m tests.bench PART…` measures only some parts, see `PARTS`.
"""

from __future__ import annotations

import itertools
import json
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path

from pydantic import SecretStr

from tasks.store.settings import StoreSettings
from tests.bench.continuous import continuous
from tests.bench.flows import overhead
from tests.bench.incremental import incremental
from tests.bench.measure import Cost, at_once, peak, ratio, run, side_by_side
from tests.bench.report import Row, table
from tests.support.azurite import Azurite
from tests.support.fake_gcs import FakeGcs
from tests.support.kafka import KafkaCluster
from tests.support.object_stores import MinIO
from tests.support.processes import interrupt_on, temporary_folder
from tests.support.producing import create_topic

RECORDS = int(os.environ.get("BENCH_RECORDS", "3000000"))
PARTITIONS = 4
PYTHON = sys.executable
COMMAND = str(Path(sys.executable).with_name("kafka-backup"))


class Bench:
    """One run: a Kafka, a folder, and the rows measured so far, with lines of details."""

    python = PYTHON
    executable = COMMAND

    def __init__(self, kafka: KafkaCluster, folder: Path) -> None:
        self.kafka = kafka
        self.folder = folder
        self.log = folder / "output.log"
        self.rows: list[Row] = []
        self.details: list[str] = []
        self._numbers = itertools.count(1)

    def client(self, what: str, *arguments: object) -> Cost:
        """One of the librdkafka clients."""
        return run(self.client_command(what, *arguments), log=self.log)

    def client_command(self, what: str, *arguments: object) -> list[str]:
        """The command of one of the librdkafka clients."""
        return [PYTHON, "-m", "tests.bench.clients", what, self.kafka.bootstrap, *map(str, arguments)]

    def command(self, *arguments: str) -> Cost:
        """The `kafka-backup` command."""
        return run([COMMAND, *arguments], log=self.log)

    def backup(self, topic: str, workers: int) -> Cost:
        """Back a topic up into a new repository, which stays for the restore."""
        shutil.rmtree(self.folder / f"repository-{topic}", ignore_errors=True)
        return self.command("backup", "--config", str(self._file("backup", topic, topic, workers)))

    def backup_to(self, section: StoreSettings, topic: str, workers: int) -> Cost:
        """Back it up into a bucket or container."""
        shown = section.shown_section()
        secrets = {
            name: value.get_secret_value() for name in shown if isinstance(value := getattr(section, name), SecretStr)
        }
        storage = json.dumps({**shown, **secrets})
        return self.command("backup", "--config", str(self._file("backup", topic, topic, workers, storage)))

    def restore(self, topic: str, workers: int) -> Cost:
        """Restore the topic's backup into a new topic, and delete that."""
        target = f"{topic}-restored-{next(self._numbers)}"
        cost = self.command("restore", "--config", str(self._file("restore", topic, target, workers)))
        self.delete(target)
        return cost

    def drill(self, topic: str, workers: int) -> Cost:
        """Drill the topic's backup: restore it into scratch topics, compare every record, and remove them."""
        return self.command("drill", "--config", str(self._file("drill", topic, topic, workers)))

    def replay(self, topic: str, codec: str, partitions: int) -> Cost:
        """Replay it with a librdkafka producer into a new topic; the CPU seconds are those of producing alone."""
        target = f"{topic}-replayed-{next(self._numbers)}"
        create_topic(self.kafka.bootstrap, target, partitions=partitions)
        command = [PYTHON, "-m", "tests.bench.clients", "replay", self.kafka.bootstrap, topic, target]
        done = subprocess.run([*command, str(partitions), codec], check=True, capture_output=True, text=True)
        self.delete(target)
        return Cost(0, float(done.stdout), 0)

    def zstd(self, topic: str, threads: str) -> Cost:
        """The compressor alone over the broker's own log files."""
        return run(self._zstd(topic, threads), log=Path(os.devnull))

    def parts_at_once(self, topic: str) -> Cost:
        """What a backup is made of, at work at the same time as in a backup, since they share the machine: the broker
        serving the topic, the compressor, and the disk taking what the compressor makes of it."""
        squeezed = self.folder / "squeezed"
        compress = [*self._zstd(topic, f"-T{os.cpu_count()}"), "-f", "-o", str(squeezed)]
        compress.remove("-c")
        cost = at_once([compress, self.client_command("fetch", topic, PARTITIONS)], log=self.log)
        squeezed.unlink()
        return cost

    def _zstd(self, topic: str, threads: str) -> list[str]:
        return ["zstd", "-3", threads, "-q", "-c", *self.logs(topic)]

    def decompress(self, topic: str) -> Cost:
        """zstd's own command over the data objects of the newest backup of a topic."""
        return run(["zstd", "-d", "-q", "-c", *self._objects(topic)], log=Path(os.devnull))

    def decompress_and_send(self, topic: str) -> Cost:
        """The same into a TCP connection: a restore sends every byte to a broker, and the kernel's copies cost as much
        as decompressing. The receiver is not counted, as the broker is not."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            receiver = threading.Thread(target=_drain, args=(server,))
            receiver.start()
            into = f'exec zstd -d -q -c "$@" > /dev/tcp/127.0.0.1/{server.getsockname()[1]}'
            cost = run(["bash", "-c", into, "bash", *self._objects(topic)], log=Path(os.devnull))
            receiver.join()
        return cost

    def _objects(self, topic: str) -> list[str]:
        runs = sorted((self.folder / f"repository-{topic}" / "data" / "bench").iterdir())
        return sorted(map(str, runs[-1].glob("*.log.zst")))

    def logs(self, topic: str) -> list[str]:
        """The broker's own log files of a topic."""
        return sorted(map(str, self.kafka.log_dir().glob(f"{topic}-[0-9]*/*.log")))

    def delete(self, topic: str) -> None:
        """Remove a topic that was measured."""
        from tasks.broker.admin.admin import Admin

        with Admin(self.kafka.connection) as admin:
            admin.delete_topics([topic])

    def _file(self, mode: str, topic: str, target: str, workers: int, storage: str | None = None) -> Path:
        folder = json.dumps({"backend": "filesystem", "path": str(self.folder / f"repository-{topic}")})
        path = self.folder / f"{mode}-{topic}.yaml"
        side = "source" if mode == "backup" else "target"
        details = f"{mode}:\n  max_concurrent_partitions: {workers}\n"
        if mode == "restore":
            details += f"  finalize: defer\n  topic_mapping: {{{topic}: {target}}}\n"
        topics = "" if mode == "drill" else f"  topics:\n    include: [{topic}]\n"
        path.write_text(
            f"mode: {mode}\nbackup_id: bench\n{side}:\n  bootstrap_servers: ['{self.kafka.bootstrap}']\n"
            f"{topics}storage: {storage or folder}\n{details}"
        )
        return path


def main() -> None:
    """Measure everything and print the table."""
    interrupt_on(signal.SIGTERM, signal.SIGHUP)
    folder = temporary_folder("bench-", parent=os.environ.get("BENCH_FOLDER"))
    overrides = {"log.segment.bytes": str(1 << 30), "log.retention.ms": "-1"}
    try:
        with KafkaCluster(overrides=overrides, heap_mb=1024, is_short_lived=False) as kafka:
            bench = Bench(kafka, folder)
            for part in sys.argv[1:] or PARTS:
                PARTS[part](bench)
            print(f"{date.today()}, {os.cpu_count()} cores, Python {platform.python_version()}, {RECORDS:,} records\n")
            print(table(bench.rows))
            print("", *bench.details, sep="\n")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _drain(server: socket.socket) -> None:
    """Read one connection to its end."""
    connection, _ = server.accept()
    with connection:
        while connection.recv(1 << 20):
            pass


def _raw(bench: Bench) -> None:
    create_topic(bench.kafka.bootstrap, "raw", partitions=PARTITIONS)
    bench.client("load", "raw", PARTITIONS, RECORDS, "none")
    size_bytes = sum(Path(path).stat().st_size for path in bench.logs("raw"))
    backup, compressor = side_by_side(lambda: bench.backup("raw", 4), lambda: bench.zstd("raw", "-T1"))
    alone, single = side_by_side(lambda: bench.backup("raw", 1), lambda: bench.zstd("raw", "-T1"))
    walls, others = side_by_side(lambda: bench.backup("raw", 4), lambda: bench.parts_at_once("raw"))
    bench.rows += [
        Row("backup, raw topic, 1 worker: CPU / `zstd -3 -T1`", ratio(alone, single, "cpu_s"), 1.25),
        Row("backup, raw topic, 4 workers: CPU / `zstd -3 -T1`", ratio(backup, compressor, "cpu_s"), 1.25),
        Row("backup, raw topic: wall / slower of disk, broker and compressor", ratio(walls, others, "wall_s"), 1.5),
        Row("backup, raw topic: MiB of memory, 4 workers", peak(backup + walls), 350),
        Row(f"backup, raw topic of {size_bytes >> 20} MiB: MiB of memory, 1 worker", peak(alone), 200),
    ]
    _restore(bench, "raw", "none", 0.4)
    _to_s3(bench)
    bench.delete("raw")


def _to_s3(bench: Bench) -> None:
    """The same raw topic into S3."""
    with MinIO() as store:
        _to_store(bench, "raw", "S3 (MinIO beside it)", lambda: store.settings(store.new_bucket()))


def _stores(bench: Bench) -> None:
    """A raw topic into each store, beside the folder. The servers run on the same machine and are not counted."""
    create_topic(bench.kafka.bootstrap, "stored", partitions=PARTITIONS)
    bench.client("load", "stored", PARTITIONS, RECORDS, "none")
    with FakeGcs() as gcs:
        _to_store(bench, "stored", "GCS (fake-gcs-server beside it)", lambda: gcs.settings(gcs.new_bucket()))
    with Azurite() as azurite:
        _to_store(bench, "stored", "Azure (Azurite beside it)", lambda: azurite.settings(azurite.new_container()))
    bench.delete("stored")


def _to_store(bench: Bench, topic: str, name: str, place: Callable[[], StoreSettings]) -> None:
    stored, local = side_by_side(lambda: bench.backup_to(place(), topic, 4), lambda: bench.backup(topic, 4))
    bench.rows += [
        Row(f"backup to {name}: wall / to a folder", ratio(stored, local, "wall_s"), 1 / 0.7),
        Row(f"backup to {name}: MiB of memory, 4 workers", peak(stored), 350),
    ]


def _zstd(bench: Bench) -> None:
    create_topic(bench.kafka.bootstrap, "packed", partitions=PARTITIONS)
    bench.client("load", "packed", PARTITIONS, RECORDS, "zstd")
    backup, counting = side_by_side(
        lambda: bench.backup("packed", 4), lambda: bench.client("count", "packed", PARTITIONS)
    )
    bench.rows += [
        Row("backup, zstd topic: CPU / counting librdkafka consumer", ratio(backup, counting, "cpu_s"), 0.25),
        Row("backup, zstd topic: MiB of memory, 4 workers", peak(backup), 350),
    ]
    _restore(bench, "packed", "zstd", 0.2)
    bench.delete("packed")


def _restore(bench: Bench, topic: str, codec: str, limit: float) -> None:
    restored, replayed = side_by_side(lambda: bench.restore(topic, 4), lambda: bench.replay(topic, codec, PARTITIONS))
    alone = bench.restore(topic, 1)
    again, decompressed = side_by_side(lambda: bench.restore(topic, 4), lambda: bench.decompress(topic))
    once_more, sent = side_by_side(lambda: bench.restore(topic, 4), lambda: bench.decompress_and_send(topic))
    kind = "raw" if codec == "none" else codec
    bench.rows += [
        Row(f"restore, {kind} topic: CPU / librdkafka producer", ratio(restored, replayed, "cpu_s"), limit),
        Row(
            f"restore, {kind} topic: CPU / `zstd -d` of the same objects",
            ratio(again, decompressed, "cpu_s"),
        ),
        Row(
            f"restore, {kind} topic: CPU / `zstd -d` of the same objects into a TCP connection",
            ratio(once_more, sent, "cpu_s"),
            1.6 if kind == "raw" else None,
        ),
        Row(f"restore, {kind} topic: MiB of memory, 4 workers", peak(restored), 350),
        Row(f"restore, {kind} topic: MiB of memory, 1 worker", alone.peak_mib, 200),
    ]


def _drill(bench: Bench) -> None:
    create_topic(bench.kafka.bootstrap, "drilled", partitions=PARTITIONS)
    bench.client("load", "drilled", PARTITIONS, RECORDS, "none")
    bench.backup("drilled", 4)
    drilled, restored = side_by_side(lambda: bench.drill("drilled", 4), lambda: bench.restore("drilled", 4))
    bench.rows += [
        Row(
            "drill, raw topic, every record compared: wall / the restore alone", ratio(drilled, restored, "wall_s"), 1.6
        ),
        Row("drill, raw topic: CPU / the restore", ratio(drilled, restored, "cpu_s")),
        Row("drill, raw topic: MiB of memory, 4 workers", peak(drilled), 350),
    ]
    bench.delete("drilled")


def _large_records(bench: Bench) -> None:
    create_topic(bench.kafka.bootstrap, "large", partitions=4, configs={"max.message.bytes": "12000000"})
    bench.client("load-large", "large", 4, 60, 10_000_000)
    backup, alone = bench.backup("large", 4), bench.backup("large", 1)
    restored = bench.restore("large", 4)
    bench.rows += [
        Row("backup, 10 MB records: MiB of memory, 4 workers", backup.peak_mib, 350),
        Row("backup, 10 MB records: MiB of memory, 1 worker", alone.peak_mib, 200),
        Row("restore, 10 MB records: MiB of memory, 4 workers", restored.peak_mib, 350),
    ]
    bench.delete("large")


def _small_partitions(bench: Bench) -> None:
    create_topic(bench.kafka.bootstrap, "many", partitions=1000)
    bench.client("load", "many", 1000, 100_000, "none")
    backup = bench.backup("many", 4)
    objects = len(list((bench.folder / "repository-many" / "data").rglob("*.log.*")))
    restored = bench.restore("many", 4)
    bench.rows += [
        Row("backup, 1,000 small partitions: MiB of memory, 4 workers", backup.peak_mib, 350),
        Row("backup, 1,000 small partitions: data objects (16 bins)", objects, 16),
        Row("restore, 1,000 small partitions: MiB of memory, 4 workers", restored.peak_mib, 350),
    ]


def _start_up(bench: Bench) -> None:
    bench.rows.append(Row("`kafka-backup --help`: CPU seconds", bench.command("--help").cpu_s, 0.5))


def _flows(bench: Bench) -> None:
    bench.rows += overhead(bench, RECORDS, PARTITIONS)


def _incremental(bench: Bench) -> None:
    bench.rows += incremental(bench)


def _continuous(bench: Bench) -> None:
    bench.rows += continuous(bench)


PARTS: Mapping[str, Callable[[Bench], None]] = {
    "raw": _raw,
    "zstd": _zstd,
    "large-records": _large_records,
    "small-partitions": _small_partitions,
    "drill": _drill,
    "stores": _stores,
    "incremental": _incremental,
    "continuous": _continuous,
    "flows": _flows,
    "start-up": _start_up,
}
"""The parts of the benchmark by their names, in order."""


if __name__ == "__main__":
    main()
