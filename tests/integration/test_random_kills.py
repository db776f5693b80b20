"""An incremental backup whose processes are killed at random moments, while records are produced."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tasks.store.local.local_store import LocalStore
from tests.support.kafka import KafkaCluster
from tests.support.load import steady_load
from tests.support.producing import create_topic
from tests.support.round_trip import Backups, contents

pytestmark = pytest.mark.kafka

PARTITIONS = 4
LEASE_MS = 1_000
COMMAND = (
    "from tasks.repository.leases import acquire\n"
    f"acquire.__kwdefaults__['ttl_ms'] = {LEASE_MS}\n"
    "from tasks.cli.main import main\n"
    "main()\n"
)
"""The command as it is, except that the lease of a killed process ends soon."""


@pytest.mark.parametrize("kills", [5, pytest.param(20, marks=pytest.mark.soak)])
def test_a_backup_that_is_killed_at_random_moments_under_load_loses_nothing_and_has_nothing_twice(
    kafka: KafkaCluster, topic_name: str, tmp_path: Path, kills: int
) -> None:
    """KILLS_SEED repeats the moments of a run that failed."""
    seed = int(os.environ.get("KILLS_SEED") or random.randrange(1 << 32))
    print(f"KILLS_SEED={seed}")
    moments = random.Random(seed)
    create_topic(kafka.bootstrap, topic_name, partitions=PARTITIONS)
    file = _backup_file(kafka, topic_name, tmp_path)

    with steady_load(kafka.bootstrap, topic_name, partitions=PARTITIONS):
        longest_s = LEASE_MS / 1000 + _run_to_its_end(file)
        while kills:
            kills -= _is_killed(file, after_s=moments.uniform(0, longest_s))
    _run_to_its_end(file)

    backups = Backups(
        bootstrap_servers=kafka.bootstrap_servers,
        store=LocalStore(tmp_path / "repository", create=False),
        set_name="killed",
    )
    log = backups.repository.log("killed")
    points = [log.point(seq).entry for seq in sorted(log.state().points)]
    assert {"complete"} == {point.status for point in points}
    assert () == backups.findings(points[-1])
    assert [] == backups.restore({topic_name: f"{topic_name}-restored"}).mismatches
    produced = [contents(kafka.bootstrap, topic_name, number) for number in range(PARTITIONS)]
    assert sum(map(len, produced)) == points[-1].totals.records
    assert produced == [contents(kafka.bootstrap, f"{topic_name}-restored", number) for number in range(PARTITIONS)]


def _backup_file(kafka: KafkaCluster, topic: str, folder: Path) -> Path:
    """One worker and a rate limit, so that a kill strikes at every stage of a capture: each partition becomes an
    object, one after the other."""
    path = folder / "backup.yaml"
    path.write_text(
        f"mode: backup\nbackup_id: killed\nsource:\n  bootstrap_servers: ['{kafka.bootstrap}']\n"
        f"  topics: {{include: [{topic}]}}\nstorage: {{backend: filesystem, path: {folder}/repository}}\n"
        "backup: {max_concurrent_partitions: 1, max_bytes_per_second: 2000000}\noffset_storage: {}\n"
    )
    return path


def _start(file: Path) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-c", COMMAND, "backup", "--config", str(file)]
    return subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def _is_killed(file: Path, *, after_s: float) -> bool:
    """Whether the run was killed; False if it ended before, and then it has to have succeeded."""
    process = _start(file)
    time.sleep(after_s)  # the moment is the subject
    process.kill()
    _, said = process.communicate()
    assert process.returncode in (0, -9), said
    return process.returncode != 0


def _run_to_its_end(file: Path) -> float:
    """How many seconds it took."""
    began = time.monotonic()
    process = _start(file)
    _, said = process.communicate(timeout=120)
    assert 0 == process.returncode, said
    return time.monotonic() - began
