"""Archived objects on a real S3 server: they are named, asked for, and can be read when they are back."""

from __future__ import annotations

import json
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tasks.model.errors import ObjectArchivedError
from tasks.store.local.local_store import LocalStore
from tasks.store.protocol import ObjectInfo
from tasks.store.s3.s3_store import S3Store
from tests.support.command import COMMAND
from tests.support.made_backup import SET, back_up, keys, make_repository
from tests.support.made_logs import plain_log
from tests.support.object_stores import ROOT_CREDENTIALS, MiniStack

pytestmark = pytest.mark.minio


@dataclass
class Bed:
    """A set with one point in a bucket, and a file that names its repository."""

    server: MiniStack
    bucket: str
    store: S3Store
    file: Path

    def command(self, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        """Run a command with the file. It must end with `code`."""
        done = subprocess.run(
            [COMMAND, *arguments, "--config", str(self.file)], capture_output=True, text=True, timeout=120, check=False
        )
        assert code == done.returncode, done.stdout + done.stderr
        return done

    def document(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        """The document of a command with `--json`."""
        value: dict[str, Any] = json.loads(self.command(*arguments, "--json", code=code).stdout)
        return value

    def move(self, key: str, storage_class: str) -> None:
        """Move an object to a storage class, as a lifecycle rule does."""
        full = f"team/{key}"
        self.server.client.copy_object(
            Bucket=self.bucket,
            Key=full,
            CopySource={"Bucket": self.bucket, "Key": full},
            StorageClass=storage_class,
            MetadataDirective="COPY",
        )

    def state(self, key: str) -> str | None:
        """The state of the object's archive, as the store's head shows it."""
        info: ObjectInfo = self.store.head(key)
        return None if info.archive is None else info.archive.state


@pytest.fixture
def bed(ministack: MiniStack, tmp_path: Path) -> Bed:
    bucket = ministack.new_bucket()
    store = S3Store(ministack.settings(bucket, "team"))
    back_up(make_repository(store), [plain_log("orders", batches=3), plain_log("payments", batches=3)])
    storage = {
        "backend": "s3",
        "bucket": bucket,
        "prefix": "team",
        "region": ministack.region,
        "endpoint": ministack.endpoint,
        "path_style": True,
        "allow_http": True,
        "access_key": ROOT_CREDENTIALS.access_key,
        "secret_key": ROOT_CREDENTIALS.secret_key,
    }
    file = tmp_path / "backup.yaml"
    file.write_text(json.dumps({"mode": "backup", "backup_id": SET, "storage": storage}))
    return Bed(ministack, bucket, store, file)


def test_archived_objects_are_named_asked_for_and_read_when_they_are_back(bed: Bed) -> None:
    for key in keys(bed.store, "data/"):
        bed.move(key, "GLACIER")
    count = len(keys(bed.store, "data/"))

    assert count == bed.document("describe")["archived"]["objects"]
    assert "thaw-objects" in bed.command("describe").stdout
    quick = bed.command("validate", "--level", "quick")
    assert "They exist, and cannot be read" in quick.stderr
    full = bed.document("validate", code=3)
    assert ([], False, count) == (full["findings"], full["is_everything_read"], full["archived"]["objects"])

    first = bed.document("thaw-objects", "--days", "3", "--tier", "bulk", code=3)
    assert (count, count, count) == (first["needed"], first["requested"], first["archived"]["returning"])
    deadline = time.monotonic() + 60
    while {"readable"} != {bed.state(key) for key in keys(bed.store, "data/")}:
        assert time.monotonic() < deadline
        time.sleep(0.5)  # MiniStack brings objects back after two seconds
    last = bed.document("thaw-objects")

    assert (0, count) == (last["requested"], last["archived"]["readable"])
    assert time.time() * 1000 < last["archived"]["readable_until_ms"]
    assert "no damage found;" in bed.command("validate").stdout


def test_an_object_in_an_archive_has_an_error_of_its_own_and_its_state_in_listings(bed: Bed) -> None:
    key, other = keys(bed.store, "data/")[:2]
    bed.move(key, "DEEP_ARCHIVE")
    bed.move(other, "GLACIER_IR")

    for read in (lambda: bed.store.get(key), lambda: bed.store.get_range(key, 0, 1)):
        with pytest.raises(ObjectArchivedError, match="is archived: it cannot be read before"):
            read()
    listed = {info.key: info.archive for info in bed.store.list("data/")}
    assert ("DEEP_ARCHIVE", None) == (getattr(listed[key], "storage_class", None), listed[other])
    assert ("archived", None) == (bed.state(key), bed.state(other))
    assert bed.store.get(other)


def test_nothing_is_asked_for_if_nothing_is_archived(bed: Bed) -> None:
    assert "is archived." in bed.command("thaw-objects").stdout
    assert "use Standard, Bulk or Expedited" in bed.command("thaw-objects", "--tier", "fast", code=2).stderr


def test_a_folder_has_no_archived_objects(tmp_path: Path) -> None:
    make_repository(LocalStore(tmp_path / "backups", create=True))
    file = tmp_path / "backup.yaml"
    storage = {"backend": "filesystem", "path": str(tmp_path / "backups")}
    file.write_text(json.dumps({"mode": "backup", "backup_id": SET, "storage": storage}))
    done = subprocess.run(
        [COMMAND, "thaw-objects", "--config", str(file)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (2, 1) == (done.returncode, len(done.stderr.splitlines()))
    assert "has no archived objects" in done.stderr
