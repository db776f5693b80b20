"""`kafka-backup prune` with real processes, on a folder and on MinIO: killed at random moments, with least rights."""

from __future__ import annotations

import json
import random
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tasks.store.local.local_store import LocalStore
from tasks.store.protocol import ObjectStore
from tasks.store.s3.s3_store import S3Store
from tests.support.command import COMMAND
from tests.support.made_backup import SET, back_up, keys, make_repository
from tests.support.made_logs import plain_log
from tests.support.object_stores import ROOT_CREDENTIALS, MinIO
from tests.support.printed_policy import policy_of_role
from tests.support.s3_credentials import S3Credentials

pytestmark = pytest.mark.minio

POINTS = 6
KEPT = 2


@dataclass
class Bed:
    """A set with some snapshots, and the file with its policy. Its grace is one second."""

    store: ObjectStore
    storage: dict[str, Any]
    file: Path

    def write(self, **credentials: str) -> None:
        """Write the file, with other credentials if they are given."""
        policy = {"keep_last": KEPT, "grace": "1s"}
        storage = {**self.storage, **credentials}
        self.file.write_text(json.dumps({"mode": "backup", "backup_id": SET, "storage": storage, "retention": policy}))

    def command(self, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        """Run a command with the file. It must end with `code`."""
        done = subprocess.run(
            [COMMAND, *arguments, "--config", str(self.file)], capture_output=True, text=True, timeout=120, check=False
        )
        assert code == done.returncode, done.stderr
        return done

    def prune_until_done(self) -> None:
        """Prune until the plan is empty, and check that what is left is whole."""
        deadline = time.monotonic() + 60
        while True:
            self.command("prune", "--yes")
            plan = json.loads(self.command("prune", "--json").stdout)
            left = ("expire", "remove", "expired", "delete_objects", "waiting_bytes")
            if not any(plan[name] for name in left):
                break
            assert time.monotonic() < deadline, plan
            time.sleep(0.3)  # the grace passes on the clock of the store
        for kept in plan["keep"]:
            self.command("validate", "--backup-id", f"{SET}@{kept['point']}")
        assert KEPT == len(plan["keep"])
        assert KEPT == len(keys(self.store, "data/"))


def _filled(store: ObjectStore, storage: dict[str, Any], folder: Path) -> Bed:
    repository = make_repository(store)
    for batches in range(2, POINTS + 2):
        back_up(repository, [plain_log("orders", batches=batches)])
    bed = Bed(store, storage, folder / "backup.yaml")
    bed.write()
    return bed


@pytest.fixture(params=["folder", "minio"])
def bed(request: pytest.FixtureRequest, tmp_path: Path) -> Bed:
    """The set in a folder, and in a bucket."""
    if request.param == "folder":
        path = tmp_path / "repository"
        return _filled(LocalStore(path, create=True), {"backend": "filesystem", "path": str(path)}, tmp_path)
    return _on_minio(request.getfixturevalue("minio"), tmp_path)


def _on_minio(minio: MinIO, folder: Path) -> Bed:
    bucket = minio.new_bucket()
    storage = {
        "backend": "s3",
        "bucket": bucket,
        "prefix": "team",
        "region": minio.region,
        "endpoint": minio.endpoint,
        "path_style": True,
        "allow_http": True,
        "access_key": ROOT_CREDENTIALS.access_key,
        "secret_key": ROOT_CREDENTIALS.secret_key,
    }
    return _filled(S3Store(minio.settings(bucket, "team")), storage, folder)


def test_the_plan_that_was_shown_is_carried_out_and_an_expired_point_comes_back(bed: Bed) -> None:
    shown = bed.command("prune")
    plan = json.loads(bed.command("prune", "--json").stdout)
    assert f"{SET}@1" in shown.stdout
    assert "Nothing was changed." in shown.stdout
    assert [1, 2, 3, 4] == plan["expire"]

    bed.command("prune", "--execute", f"{plan['id'][:-64]}{'0' * 64}", code=3)
    bed.command("prune", "--execute", plan["id"])
    assert "can be brought back" in bed.command("describe", "--backup-id", f"{SET}@1").stdout
    bed.command("validate", "--backup-id", f"{SET}@1", code=10)
    bed.command("unexpire", "--backup-id", f"{SET}@1")

    bed.command("validate", "--backup-id", f"{SET}@1")
    bed.command("prune", "--execute", plan["id"], code=3)


def test_a_hold_keeps_its_point_until_it_is_released(bed: Bed) -> None:
    bed.command("hold", "add", "case-7", "--backup-id", f"{SET}@1", "--reason", "audit", "--by", "legal")

    assert "case-7" in bed.command("hold", "list").stdout
    assert 1 in [kept["point"] for kept in json.loads(bed.command("prune", "--json").stdout)["keep"]]
    bed.command("hold", "release", "case-7", "--reason", "closed", "--by", "legal")
    bed.prune_until_done()


def test_a_dry_run_shows_everything_and_what_crashes_left_goes(tmp_path: Path) -> None:
    path = tmp_path / "repository"
    bed = _filled(LocalStore(path, create=True), {"backend": "filesystem", "path": str(path)}, tmp_path)
    left = [path / "data" / ".tmp-1", path / ".kafka-backup-check-1" / "probe", path / "probe" / "1-put"]
    for file in left:
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(b"12345")
    time.sleep(1.1)  # the grace passes on the clock of the file system
    before = sorted(path.rglob("*"))

    plan = json.loads(bed.command("prune", "--dry-run", "--json").stdout)
    assert {"objects": 2, "bytes": 10} == plan["delete"]["temporary files"]
    assert "temporary files: 2 with 10 B" in bed.command("prune", "--dry-run").stdout
    for option in (("--yes",), ("--execute", plan["id"])):
        assert "--dry-run changes nothing" in bed.command("prune", "--dry-run", *option, code=2).stderr
    assert before == sorted(path.rglob("*"))
    done = json.loads(bed.command("prune", "--yes", "--json").stdout)

    assert {"objects": 1, "bytes": 5} == done["deleted"]["test objects"]
    assert not any(file.exists() for file in left)
    bed.prune_until_done()


def test_a_frozen_repository_is_not_pruned_and_says_why(bed: Bed) -> None:
    bed.command("freeze", "--reason", "suspected intrusion", "--by", "on call")

    refused = bed.command("prune", "--yes", code=3).stderr
    assert 1 == refused.count("\n")
    assert "by on call: suspected intrusion. Nothing expires" in refused
    plan = json.loads(bed.command("prune", "--json").stdout)
    assert ([1, 2, 3, 4], "suspected intrusion") == (plan["expire"], plan["frozen"]["reason"])
    bed.command("prune", "--execute", plan["id"], code=3)
    assert "by on call: suspected intrusion." in bed.command("prune").stdout
    bed.command("validate", "--backup-id", f"{SET}@1")
    assert POINTS == len(keys(bed.store, "data/"))
    bed.command("thaw", "--reason", "all clear")
    bed.prune_until_done()


@pytest.mark.parametrize("kills", [4, pytest.param(10, marks=pytest.mark.soak)])
def test_kills_at_random_moments_leave_whole_points_and_no_rest(bed: Bed, kills: int) -> None:
    seed = random.randrange(1 << 32)
    print("seed", seed)
    chance = random.Random(seed)
    usual_s = _seconds(lambda: bed.command("prune", "--yes"))
    for _ in range(kills):
        with subprocess.Popen([COMMAND, "prune", "--yes", "--config", str(bed.file)], stderr=subprocess.DEVNULL) as one:
            time.sleep(chance.uniform(0.3, 1.2) * usual_s)  # the moment of the kill
            one.kill()
        _release_prune_lease(bed.store)
        bed.command("validate", "--backup-id", SET)
    bed.prune_until_done()


def test_a_pruner_needs_no_right_to_read_data(minio: MinIO, tmp_path: Path) -> None:
    bed = _on_minio(minio, tmp_path)
    bed.write(**_credentials(minio.temporary_credentials(policy_of_role("pruner", bed.storage["bucket"]))))

    bed.command("validate", "--backup-id", SET, code=12)
    deadline = time.monotonic() + 60
    while len(keys(bed.store, "data/")) > KEPT:
        bed.command("prune", "--yes")
        assert time.monotonic() < deadline
        time.sleep(0.3)  # the grace passes on the clock of the store
    bed.write()
    bed.prune_until_done()


def _credentials(own: S3Credentials) -> dict[str, str]:
    return {
        "access_key": own.access_key,
        "secret_key": own.secret_key,
        "session_token": own.session_token or "",
    }


def _seconds(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


def _release_prune_lease(store: ObjectStore) -> None:
    """A killed prune leaves its lease. Remove it, instead of waiting for its time to live."""
    store.delete(keys(store, f"leases/_prune-{SET}"))
