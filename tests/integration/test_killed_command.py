"""The command, killed by real signals while it backs up or restores."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.kafka import KafkaCluster
from tests.support.producing import OutRecord, create_topic, produce
from tests.support.quotas import produce_quota
from tests.support.reading import end_offset
from tests.support.round_trip import contents, own_settings

pytestmark = pytest.mark.kafka

COMMAND = str(Path(sys.executable).with_name("kafka-backup"))
FRAGMENT_PATTERN = "repository/fragments/**/*.json"
CODES = {signal.SIGKILL: -signal.SIGKILL, signal.SIGTERM: 130}
RECORDS = 2_000
OWN = {"retention.ms": "3600000"}
"""Records of 8 KiB each."""

QUOTA_BYTES = 1_000_000
"""Bytes a second. Kafka accepts the first ten megabytes at once, and the other six at this rate."""


@pytest.fixture
def backup_file(kafka: KafkaCluster, topic_name: str, tmp_path: Path) -> Path:
    """The file of a backup whose topic becomes several small data objects."""
    create_topic(kafka.bootstrap, topic_name, configs=OWN)
    values = (os.urandom(8_192) for _ in range(RECORDS))
    produce(kafka.bootstrap, topic_name, (OutRecord(None, value) for value in values))
    path = tmp_path / "backup.yaml"
    path.write_text(
        f"mode: backup\nbackup_id: killed\nsource:\n  bootstrap_servers: ['{kafka.bootstrap}']\n"
        f"  topics: {{include: [{topic_name}]}}\nstorage: {{backend: filesystem, path: {tmp_path}/repository}}\n"
        "backup: {segment_max_bytes: 1048576, fetch_max_bytes: 1048576}\n"
    )
    return path


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_backup_leaves_no_point_and_the_next_run_finishes_it_and_makes_its_own(
    backup_file: Path, number: signal.Signals
) -> None:
    assert CODES[number] == _killed(
        "backup", backup_file, number, when=lambda: any(backup_file.parent.glob(FRAGMENT_PATTERN))
    )
    assert [] == _points(backup_file)

    again = _run("backup", "--config", str(backup_file))
    assert again.returncode == 0, again.stderr
    points = _points(backup_file)
    assert [(RECORDS, "complete")] * 2 == [(point["totals"]["records"], point["status"]) for point in points]
    assert 0 == _run("validate", "--config", str(backup_file), "--backup-id", "killed").returncode
    assert "point" == _first_entry(backup_file)["kind"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_restore_is_continued_by_the_same_command_without_duplicates(
    kafka: KafkaCluster, backup_file: Path, topic_name: str, number: signal.Signals
) -> None:
    assert 0 == _run("backup", "--config", str(backup_file)).returncode
    target, file = f"{topic_name}-restored", backup_file.with_name("restore.yaml")
    text = backup_file.read_text().partition("\nbackup:")[0].replace("mode: backup", "mode: restore")
    file.write_text(text.replace("source:", "target:") + f"\nrestore:\n  topic_mapping: {{{topic_name}: {target}}}\n")

    with produce_quota(kafka.connection, QUOTA_BYTES):
        code = _killed("restore", file, number, when=lambda: any(_sizes(kafka, target)))
    assert CODES[number] == code
    written = end_offset(kafka.bootstrap, target)
    assert 0 < written < RECORDS
    assert "-1" == own_settings(kafka.bootstrap_servers, target)["retention.ms"], (
        "the topic must keep its staging settings"
    )
    [killed] = json.loads(_run("list", "--restores", "--config", str(file), "--json").stdout)["restores"]
    assert ("writing", RECORDS, None) == (killed["state"], killed["records"], killed["records_written"])

    other = file.with_name("other.yaml")
    other.write_text(file.read_text() + "  purge_topics: true\n")
    refused = _run("restore", "--config", str(other), "--yes")
    assert 3 == refused.returncode
    assert "its purge_topics is False and not True" in refused.stderr
    assert f"kafka-backup abandon {killed['restore']}" in refused.stderr

    again = _run("restore", "--config", str(file))
    assert 0 == again.returncode, again.stderr
    assert f"The unfinished restore {killed['restore']} of killed@1 is continued" in again.stderr
    assert contents(kafka.bootstrap, topic_name) == contents(kafka.bootstrap, target)
    assert OWN == own_settings(kafka.bootstrap_servers, target)


def _killed(command: str, file: Path, number: signal.Signals, *, when: Callable[[], bool]) -> int:
    """Start a command, send the signal as soon as `when` is true, and return the exit code."""
    process = subprocess.Popen(
        [COMMAND, command, "--config", str(file)], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    while not when():
        assert process.poll() is None, f"the {command} ended before it could be killed"
        time.sleep(0.001)  # no event exists for the file of another process
    process.send_signal(number)
    return process.wait(60)


def _sizes(kafka: KafkaCluster, topic: str) -> list[int]:
    """The sizes of the broker's log files of a topic; empty before they exist."""
    return [path.stat().st_size for path in kafka.log_dir().glob(f"{topic}-[0-9]*/*.log")]


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([COMMAND, *arguments], capture_output=True, text=True, timeout=120, check=False)


def _points(backup_file: Path) -> list[dict[str, Any]]:
    listed = _run("list", "--config", str(backup_file), "--json")
    assert 0 == listed.returncode, listed.stderr
    sets = json.loads(listed.stdout)["sets"]
    return list(sets["killed"]["points"]) if "killed" in sets else []


def _first_entry(backup_file: Path) -> dict[str, object]:
    entry: dict[str, object] = json.loads(
        (backup_file.parent / "repository/meta/killed/log/0000000001.json").read_text()
    )
    return entry
