"""A repository on a read-only mount, the command and a real Kafka: read, previewed, and restored with `--state`."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.integration.test_cli import COMMAND, OLD_MS, Shell
from tests.support.kafka import KafkaCluster
from tests.support.producing import OutRecord, create_topic, produce
from tests.support.reading import read_all

pytestmark = pytest.mark.kafka

READ_ONLY = "mount --bind repository repository && mount -o remount,ro,bind repository && "


def _run(shell: Shell, command: str, code: int = 0) -> str:
    """Run the command where the repository is read-only, and return everything that it prints."""
    script = f"{READ_ONLY}exec {COMMAND} {command}"
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", script],
        cwd=shell.folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        input="",
    )
    assert code == done.returncode, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def backed_up(kafka: KafkaCluster, topic_name: str, tmp_path: Path) -> Shell:
    """A topic with a hundred old records and a retention that would delete them, and a backup of it."""
    if subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode:
        pytest.skip("this user cannot mount file systems in a namespace")
    create_topic(kafka.bootstrap, topic_name, configs={"retention.ms": "-1"})
    produce(kafka.bootstrap, topic_name, [OutRecord(b"key", b"%d" % one, timestamp=OLD_MS) for one in range(100)])
    shell = Shell(tmp_path, kafka.bootstrap, topic_name)
    shell.run("backup", "--config", "backup.yaml")
    return shell


@pytest.mark.tried("file systems", "a read-only mount, with the state of restores elsewhere")
def test_it_is_read_previewed_and_restored_with_its_state_elsewhere(backed_up: Shell, kafka: KafkaCluster) -> None:
    for command in ("list", "describe", "validate"):
        _run(backed_up, f"{command} --config backup.yaml")
    _run(backed_up, "validate-restore --config restore.yaml")

    refused = _run(backed_up, "restore --config restore.yaml", 12)
    assert "The restore has to keep its state" in refused
    assert "Nothing was changed. Name another place for it with --state DIR." in refused

    backed_up.set_restore_option("finalize: defer")
    restored = _run(backed_up, "restore --config restore.yaml --state state --json")
    document = json.loads(restored[restored.index("{") : restored.rindex("}") + 1])
    assert 100 == len(read_all(kafka.bootstrap, f"{backed_up.topic}-restored"))

    listed = _run(backed_up, "list --restores --config restore.yaml --state state")
    assert document["restore"] in listed
    assert "There are no restores." in _run(backed_up, "list --restores --config restore.yaml")
    _run(backed_up, f"finalize {document['restore']} --config restore.yaml --state state")
    assert "finished" in _run(backed_up, "list --restores --config restore.yaml --state state")
