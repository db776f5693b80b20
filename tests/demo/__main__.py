"""Runs the demo; leaves nothing running, also after Ctrl-C."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType

from rich.console import Console

from tests.demo import comparison, topics
from tests.support.kafka import KafkaCluster, KafkaStartError, MissingToolError, require_tools

FOLDER = Path(".demo")
COMMAND = str(Path(sys.executable).with_name("kafka-backup"))
console = Console(highlight=False, soft_wrap=True)

BACKUP = """\
mode: backup
backup_id: "first-backup-orders"
source:
  bootstrap_servers: [{bootstrap}]
  topics:
    include: [orders, payments, customers]
storage:
  backend: filesystem
  path: {folder}/my-kafka-backups
  prefix: backups/production
backup:
  compression: zstd
  stop_at_current_offsets: true
  consumer_group_snapshot: true
"""

RESTORE = """\
mode: restore
backup_id: "first-backup-orders"
target:
  bootstrap_servers: [{bootstrap}]
storage:
  backend: filesystem
  path: {folder}/my-kafka-backups
  prefix: backups/production
restore:
  topic_mapping: {{orders: orders_restored, payments: payments_restored, customers: customers_restored}}
  consumer_group_strategy: header-based
  reset_consumer_offsets: true
"""


def main() -> int:
    """The whole demo. Returns an exit code; a missing tool is one sentence."""
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell's background jobs ignore SIGINT unless told otherwise
        signal.signal(number, _interrupt)
    try:
        require_tools("4.3.1")
        shutil.rmtree(FOLDER, ignore_errors=True)
        FOLDER.mkdir()
        _say("Starting a throwaway Apache Kafka 4.3.1 (the first time its jars are fetched) …")
        with KafkaCluster("4.3.1") as kafka:
            return _demo(kafka)
    except (MissingToolError, KafkaStartError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted; everything that was started has been stopped.", file=sys.stderr)
        return 130


def _demo(kafka: KafkaCluster) -> int:
    _say("Filling topics: four codecs, headers, transactions, a compacted log with tombstones, a group in the middle …")
    topics.fill(kafka.bootstrap, kafka.log_dir())
    values = {"bootstrap": kafka.bootstrap, "folder": FOLDER}
    backup, restore = FOLDER / "backup.yaml", FOLDER / "restore.yaml"
    backup.write_text(BACKUP.format(**values))
    restore.write_text(RESTORE.format(**values))
    _run("backup", "--config", str(backup))
    _run("list", "--config", str(backup))
    _run("validate", "--config", str(backup), "--backup-id", "first-backup-orders")
    _run("validate-restore", "--config", str(restore))
    _run("restore", "--config", str(restore))
    return _compare(kafka.bootstrap)


def _compare(bootstrap: str) -> int:
    _say("Comparing both sides through librdkafka, record by record …")
    for topic, partitions in topics.PARTITIONS.items():
        count = comparison.compare(bootstrap, topic, f"{topic}_restored", partitions)
        console.print(f"  {topic} = {topic}_restored: {count} records, equal in key, value, headers, timestamp, order")
    for partition in (0, 1):
        before = comparison.next_record(bootstrap, topics.GROUP, "orders", partition)
        after = comparison.next_record(bootstrap, topics.GROUP, "orders_restored", partition)
        if before[1] != after[1]:
            raise SystemExit(f"group {topics.GROUP} would read another record in partition {partition}")
        console.print(
            f"  group {topics.GROUP}, partition {partition}: position {before[0]} became {after[0]}, same next record"
        )
    _say(f"Done. The backup, its settings and {FOLDER}/backup.yaml stay in {FOLDER}/ to look at; Kafka is stopped.")
    return 0


def _run(*arguments: str) -> None:
    console.print(f"\n[bold]$ kafka-backup {' '.join(arguments)}[/bold]")
    done = subprocess.run([COMMAND, *arguments], check=False)
    if done.returncode:
        raise SystemExit(f"kafka-backup {arguments[0]} ended with exit code {done.returncode}")


def _say(text: str) -> None:
    console.print(f"\n[cyan]{text}[/cyan]")


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
