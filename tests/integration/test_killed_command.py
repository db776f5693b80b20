"""The command, killed by real signals while it works."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.kafka import KafkaCluster
from tests.support.producing import OutRecord, create_topic, produce

pytestmark = pytest.mark.kafka

COMMAND = str(Path(sys.executable).with_name("kafka-backup"))
DATA_PATTERN = "repository/data/**/*.log.zst"


@pytest.fixture
def backup_file(kafka: KafkaCluster, topic_name: str, tmp_path: Path) -> Path:
    """A backup of a topic that becomes several small data objects."""
    create_topic(kafka.bootstrap, topic_name)
    values = (os.urandom(8_192) for _ in range(2_000))
    produce(kafka.bootstrap, topic_name, (OutRecord(None, value) for value in values))
    path = tmp_path / "backup.yaml"
    path.write_text(
        f"mode: backup\nbackup_id: killed\nsource:\n  bootstrap_servers: ['{kafka.bootstrap}']\n"
        f"  topics: {{include: [{topic_name}]}}\nstorage: {{backend: filesystem, path: {tmp_path}/repository}}\n"
        "backup: {segment_max_bytes: 1048576, fetch_max_bytes: 1048576}\n"
    )
    return path


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_backup_leaves_no_point_and_the_next_run_is_clean(backup_file: Path, sign: signal.Signals) -> None:
    expected_code = -signal.SIGKILL if sign == signal.SIGKILL else 130

    assert expected_code == _kill_at_first_object(backup_file, sign)
    assert [] == _points(backup_file)

    again = _run("backup", "--config", str(backup_file))
    assert again.returncode == 0, again.stderr
    [point] = _points(backup_file)
    assert 2_000 == point["totals"]["records"]
    assert "complete" == point["status"]
    assert 0 == _run("validate", "--config", str(backup_file), "--backup-id", "killed").returncode
    assert "void" == _first_entry(backup_file)["kind"]


def _kill_at_first_object(backup_file: Path, sign: signal.Signals) -> int:
    """Start a backup, send the signal as soon as its first data object is stored, and return its exit code."""
    process = subprocess.Popen(
        [COMMAND, "backup", "--config", str(backup_file)], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    seen = threading.Event()
    for _ in _until(seen, process):
        if next(backup_file.parent.glob(DATA_PATTERN), None) is not None:
            seen.set()
    process.send_signal(sign)
    return process.wait(60)


def _until(seen: threading.Event, process: subprocess.Popen[bytes]) -> Iterator[None]:
    while not seen.is_set():
        assert process.poll() is None, "the backup ended before it could be killed"
        yield
        time.sleep(0.001)  # another process's file has no event to wait for


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
