"""A restore of records older than `producer.id.expiration.ms`, whose processes are killed at random moments."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.kafka import KafkaCluster
from tests.support.producing import OutRecord, create_topic, produce
from tests.support.round_trip import contents

pytestmark = pytest.mark.kafka

RECORDS = 3_000
COMMAND = (
    "from tasks.repository.leases import acquire\n"
    "acquire.__kwdefaults__['ttl_ms'] = 1_000\n"
    "from tasks.cli.main import main\n"
    "main()\n"
)
"""The command as it is, except that the lease of a killed process ends soon."""


@pytest.mark.parametrize("kills", [5, pytest.param(20, marks=pytest.mark.soak)])
def test_a_restore_that_is_killed_at_random_moments_has_each_record_once_and_in_order(
    kafka: KafkaCluster, topic_name: str, tmp_path: Path, kills: int
) -> None:
    """KILLS_SEED repeats the moments of a run that failed."""
    seed = int(os.environ.get("KILLS_SEED") or random.randrange(1 << 32))
    print(f"KILLS_SEED={seed}")
    moments, target = random.Random(seed), f"{topic_name}-restored"
    create_topic(kafka.bootstrap, topic_name, configs={"retention.ms": "-1"})
    old_ms = (int(time.time()) - 5 * 86_400) * 1000
    records = (OutRecord(None, os.urandom(1_000), timestamp=old_ms + number) for number in range(RECORDS))
    produce(kafka.bootstrap, topic_name, records)
    backup, restore = _files(kafka, topic_name, target, tmp_path)
    assert 0 == _run("backup", backup, after_s=None)

    killed = 0
    while killed < kills:
        code = _run("restore", restore, after_s=moments.uniform(0.5, 4))
        assert code in (0, -9)
        if code == 0:
            break
        killed += 1
    if killed == kills:
        assert 0 == _run("restore", restore, after_s=None)

    assert contents(kafka.bootstrap, topic_name) == contents(kafka.bootstrap, target)


def _files(kafka: KafkaCluster, topic: str, target: str, folder: Path) -> tuple[Path, Path]:
    """The files of the backup and of a restore that is slow enough to be killed."""
    place = f"storage: {{backend: filesystem, path: {folder}/repository}}\n"
    backup, restore = folder / "backup.yaml", folder / "restore.yaml"
    cluster = f"  bootstrap_servers: ['{kafka.bootstrap}']\n  topics: {{include: [{topic}]}}\n"
    backup.write_text(f"mode: backup\nbackup_id: killed\nsource:\n{cluster}{place}")
    limits = f"restore: {{topic_mapping: {{{topic}: {target}}}, rate_limit_bytes_per_sec: 400000}}\n"
    restore.write_text(f"mode: restore\nbackup_id: killed\ntarget:\n{cluster}{place}{limits}")
    return backup, restore


def _run(command: str, file: Path, *, after_s: float | None) -> int:
    """The exit code of the command, which is killed after this time."""
    arguments = [sys.executable, "-c", COMMAND, command, "--config", str(file)]
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        _, said = process.communicate(timeout=after_s or 120)
    except subprocess.TimeoutExpired:
        assert after_s is not None
        process.kill()
        process.communicate()
        return process.returncode
    assert 0 == process.returncode, said
    return process.returncode
