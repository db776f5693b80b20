"""`make demo`: a real Kafka and Prefect; a backup, its validation, a restore and a drill as deployments, a
comparison, and the evidence of the drill.

All servers end with the demo, also after Ctrl-C, SIGTERM or SIGKILL, or when the terminal is closed.
"""

from __future__ import annotations

import shutil
import signal
import sys
from pathlib import Path

from tests.demo import comparison, topics
from tests.demo.evidence import show_evidence
from tests.demo.runs import Runs
from tests.demo.screen import console, run_command, say, show_command
from tests.support.installation import Installation, installed
from tests.support.kafka import KafkaCluster, KafkaStartError, MissingToolError, require_tools
from tests.support.prefect_server import PrefectStartError
from tests.support.processes import interrupt_on

FOLDER = Path(".demo")


def main() -> int:
    """Run the whole demo and return its exit code. If a tool is missing, one sentence names it."""
    interrupt_on(signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # SIGINT too: a shell's background jobs ignore it
    try:
        require_tools("4.3.1")
        shutil.rmtree(FOLDER, ignore_errors=True)
        FOLDER.mkdir()
        say("Starting a throwaway Apache Kafka 4.3.1 (the first time its jars are fetched) …")
        with KafkaCluster("4.3.1") as kafka:
            return _demo(kafka)
    except (MissingToolError, KafkaStartError, PrefectStartError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted; everything that was started has been stopped.", file=sys.stderr)
        return 130


def _demo(kafka: KafkaCluster) -> int:
    say("Filling topics: four codecs, headers, transactions, a compacted log with tombstones, a group in the middle …")
    topics.fill(kafka.bootstrap, kafka.log_dir())
    say("Starting a throwaway Prefect with a home, a port and a database of its own, and deploying to it …")
    with installed(FOLDER, kafka.bootstrap_servers, show_command=show_command) as installation:
        Runs(installation).show()
        _compare(kafka.bootstrap)
        _wait_at_a_terminal(installation)
    say("Prefect is stopped. The backup needs it no more:")
    run_command("kafka-backup", "list", "--storage", installation.repository.as_uri())
    show_evidence(installation.repository)
    say(f"Done. Everything stays in {FOLDER}/ to look at; Kafka is stopped too.")
    return 0


def _compare(bootstrap: str) -> None:
    say("Comparing both sides through librdkafka, record by record …")
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


def _wait_at_a_terminal(installation: Installation) -> None:
    """Wait for Enter. Returns at once without a terminal, because nobody can press it there."""
    if sys.stdin.isatty() and sys.stdout.isatty():
        say("Look at the runs, their tasks and what they left to read in Prefect's UI:")
        console.print(f"  {installation.server.ui_url}/runs")
        console.input("Press Enter to stop. ")


if __name__ == "__main__":
    raise SystemExit(main())
