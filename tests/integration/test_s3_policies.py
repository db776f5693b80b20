"""The policies of `deployments/policies` for S3 on a real server: each role can do its work and nothing else.

The pruner's and the lifecycle's are tried in `test_prune.py` and `test_lifecycle.py`."""

from __future__ import annotations

import json
import subprocess
from dataclasses import asdict
from pathlib import Path

import pytest

from tasks.model.errors import AccessError, UndeletedError
from tasks.repository.repository import Repository
from tasks.store.s3.s3_store import S3Store
from tests.contract.stores import create
from tests.support.command import COMMAND
from tests.support.made_backup import SET, back_up, keys, make_repository
from tests.support.made_logs import plain_log
from tests.support.object_stores import MinIO
from tests.support.printed_policy import policy_of_role, printed_policy

pytestmark = pytest.mark.minio


def _store(minio: MinIO, bucket: str, role: str | None = None) -> S3Store:
    """The store with the rights of a role, or with the owner's."""
    if role is None:
        return S3Store(minio.settings(bucket, "team"))
    return S3Store(
        minio.settings(bucket, "team", credentials=minio.temporary_credentials(policy_of_role(role, bucket)))
    )


def test_a_writer_makes_backups_and_deletes_nothing(minio: MinIO) -> None:
    bucket = minio.new_bucket()
    repository = make_repository(_store(minio, bucket, "writer"))

    for number in range(2):
        back_up(repository, [plain_log("orders", batches=3, first=number)])

    before = keys(_store(minio, bucket), "")
    with pytest.raises(UndeletedError, match="s3:DeleteObject"):
        repository.store.delete(before)
    assert before == keys(_store(minio, bucket), "")


def test_a_reader_lists_and_validates_and_writes_nothing(minio: MinIO, tmp_path: Path) -> None:
    bucket = minio.new_bucket()
    back_up(make_repository(_store(minio, bucket)), [plain_log("orders", batches=3)])
    before = keys(_store(minio, bucket), "")
    credentials = minio.temporary_credentials(policy_of_role("reader", bucket))
    section = {"bucket": bucket, "prefix": "team", "region": minio.region, "endpoint": minio.endpoint}
    storage = {"backend": "s3", "path_style": True, "allow_http": True, **section, **asdict(credentials)}
    (tmp_path / "file.yaml").write_text(json.dumps({"storage": storage}))

    for command in ("list", f"describe --backup-id {SET}", f"validate --backup-id {SET} --level full"):
        done = subprocess.run(
            [COMMAND, *command.split(), "--config", "file.yaml"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert 0 == done.returncode, done.stderr
    with pytest.raises(AccessError, match=r"The credentials need s3:PutObject"):
        create(_store(minio, bucket, "reader"), "data/a")
    assert before == keys(_store(minio, bucket), "")


@pytest.mark.parametrize("role", ["writer", "reader", "pruner"])
def test_a_role_ends_at_its_prefix(minio: MinIO, role: str) -> None:
    bucket = minio.new_bucket()
    Repository.open_or_create(S3Store(minio.settings(bucket, "other")), lambda: 1)
    credentials = minio.temporary_credentials(policy_of_role(role, bucket))
    other = S3Store(minio.settings(bucket, "other", credentials=credentials))

    for call in (lambda: other.get("repository.json"), lambda: create(other, "data/a")):
        with pytest.raises(AccessError):
            call()
    with pytest.raises(UndeletedError):
        other.delete(["repository.json"])


@pytest.mark.parametrize(("document", "number", "role"), [("OPERATIONS.md", 0, "pruner"), ("S3.md", 1, "lifecycle")])
def test_the_documentation_prints_the_policy_of_the_role(document: str, number: int, role: str) -> None:
    assert policy_of_role(role, "b") == printed_policy(document, "b", number=number)
