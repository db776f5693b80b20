"""Object lock on MinIO: what is locked, what a prune defers, and what it says about older versions."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tasks.engine.evidence.store_evidence import store_evidence
from tasks.model.errors import ConfigError, UndeletedError
from tasks.repository.names import is_immutable
from tasks.repository.repository import Repository
from tasks.store.s3.s3_store import S3Store
from tests.support.command import COMMAND
from tests.support.made_backup import SET, back_up, keys, make_repository
from tests.support.made_drill import made_context, passed_drill
from tests.support.made_logs import plain_log
from tests.support.object_stores import ROOT_CREDENTIALS, MinIO
from tests.support.s3_credentials import S3Credentials

pytestmark = pytest.mark.minio

LOCK_S = 20


def _store(minio: MinIO, bucket: str, mode: str | None = "compliance", seconds: int = LOCK_S) -> S3Store:
    lock: dict[str, Any] = {"object_lock_mode": mode, "object_lock_for": f"{seconds}s"} if mode else {}
    return S3Store(minio.settings(bucket, "team", **lock), is_immutable=is_immutable)


def _file(
    minio: MinIO, bucket: str, folder: Path, credentials: S3Credentials = ROOT_CREDENTIALS, **policy: str
) -> Path:
    storage = {
        "backend": "s3",
        "bucket": bucket,
        "prefix": "team",
        "region": minio.region,
        "endpoint": minio.endpoint,
        "path_style": True,
        "allow_http": True,
        "access_key": credentials.access_key,
        "secret_key": credentials.secret_key,
        **({"session_token": credentials.session_token} if credentials.session_token else {}),
    }
    file = folder / "backup.yaml"
    file.write_text(
        json.dumps(
            {"mode": "backup", "backup_id": SET, "storage": storage, "retention": {"keep_last": 1, "grace": "1s"}}
        )
    )
    return file


def _prune(file: Path, *, code: int = 0) -> tuple[dict[str, Any], str]:
    done = subprocess.run(
        [COMMAND, "prune", "--yes", "--json", "--config", str(file)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert code == done.returncode, done.stderr
    return json.loads(done.stdout), done.stderr


def _text(file: Path) -> str:
    done = subprocess.run(
        [COMMAND, "prune", "--yes", "--config", str(file)], capture_output=True, text=True, timeout=120, check=True
    )
    return done.stdout


@contextmanager
def _requests(store: S3Store) -> Iterator[list[str]]:
    """The names of the requests that the store sends while the body runs."""
    sent: list[str] = []
    events = store._requests.client.meta.events

    def note(model: Any, **_: object) -> None:
        sent.append(model.name)

    events.register("before-call.s3", note)
    yield sent
    events.unregister("before-call.s3", note)


def _is_locked(minio: MinIO, bucket: str, key: str) -> bool:
    return "ObjectLockMode" in minio.client.head_object(Bucket=bucket, Key=f"team/{key}")


def test_a_backup_locks_what_is_written_once_and_nothing_else(minio: MinIO) -> None:
    bucket = minio.new_bucket(has_locks=True)
    store = _store(minio, bucket)
    repository = make_repository(store)
    back_up(repository, [plain_log("orders", batches=2)])
    store_evidence(repository, passed_drill(), made_context(), None)

    found = {key: _is_locked(minio, bucket, key) for key in keys(store, "")}

    folders = {key.split("/")[0] for key, is_locked in found.items() if is_locked}
    assert {"data", "fragments", "meta", "reports"} == folders
    assert {key for key, is_locked in found.items() if not is_locked} == {
        "repository.json",
        f"heads/{SET}.json",
        f"leases/{SET}.json",
    } & found.keys()


def test_locked_objects_are_deferred_and_a_later_prune_deletes_them(minio: MinIO, tmp_path: Path) -> None:
    bucket = minio.new_bucket(has_locks=True)
    store = _store(minio, bucket)
    repository = make_repository(store)
    for batches in (2, 3):
        back_up(repository, [plain_log("orders", batches=batches)])
    file = _file(minio, bucket, tmp_path)
    before = set(keys(store, "data/"))
    _prune(file)  # the first point expires
    time.sleep(1.5)  # the grace passes on the clock of the store

    assert " deleted. Deferred until 20" in _text(file)
    deferred, _ = _prune(file)

    assert deferred["deferred_objects"] > 0
    assert (0, []) == (deferred["deleted_objects"], deferred["denied"])
    assert time.time() * 1000 < deferred["deferred_until_ms"] < (time.time() + LOCK_S) * 1000
    assert before == set(keys(store, "data/"))
    markers = minio.client.list_object_versions(Bucket=bucket, Prefix="team/data/").get("DeleteMarkers", [])
    assert [] == markers
    deadline = time.monotonic() + 60
    done = deferred
    while done["deferred_objects"]:
        assert time.monotonic() < deadline
        time.sleep(0.5)  # the lock ends by the clock of the store
        done, _ = _prune(file)
    assert done["deleted_objects"] == done["older_versions"] > 0, "the bucket keeps them, and the report says so"
    assert before > set(keys(store, "data/"))


def test_an_object_under_a_legal_hold_is_deferred_without_a_date(minio: MinIO) -> None:
    bucket = minio.new_bucket(has_locks=True)
    store = _store(minio, bucket, None)
    store.put_if_absent("data/set/run/1.log.zst", [b"x"], sha256=_sha(b"x"))
    minio.client.put_object_legal_hold(Bucket=bucket, Key="team/data/set/run/1.log.zst", LegalHold={"Status": "ON"})

    with pytest.raises(UndeletedError) as caught:
        store.delete(["data/set/run/1.log.zst"])

    assert {"data/set/run/1.log.zst": None} == caught.value.locked


def test_locks_are_read_only_for_what_is_about_to_be_deleted_and_only_in_buckets_that_have_them(minio: MinIO) -> None:
    for has_locks in (False, True):
        store = _store(minio, minio.new_bucket(has_locks=has_locks), None)
        for number in range(4):
            store.put_if_absent(f"data/set/run/{number}.log.zst", [b"x"], sha256=_sha(b"x"))
        with _requests(store) as sent:
            store.delete(["data/set/run/1.log.zst", "leases/set.json"])
            store.delete(["data/set/run/2.log.zst"])
        assert 1 == sent.count("GetObjectLockConfiguration")
        assert 2 == sent.count("DeleteObjects")
        per_object = 2 if has_locks else 0
        assert per_object == sent.count("GetObjectRetention") == sent.count("GetObjectLegalHold")
        assert 3 + 2 * per_object == len(sent)


def test_a_lock_in_a_bucket_without_locks_is_refused_before_anything_is_written(minio: MinIO) -> None:
    bucket = minio.new_bucket()
    store = _store(minio, bucket)

    with pytest.raises(ConfigError, match="cannot lock objects"):
        Repository.open_or_create(store, lambda: 1)

    assert [] == keys(store, "")


def test_a_store_that_ignores_the_lock_is_found_by_the_first_object(minio: MinIO) -> None:
    store = _store(minio, minio.new_bucket(has_locks=True))
    put = store._requests._first_client.put_object

    def without_lock(**parameters: Any) -> Any:
        return put(**{name: value for name, value in parameters.items() if not name.startswith("ObjectLock")})

    store._requests._first_client.put_object = without_lock
    with pytest.raises(ConfigError, match=r"ignores the lock of a write: data/set/run/1\.log\.zst is not locked"):
        store.put_if_absent("data/set/run/1.log.zst", [b"x"], sha256=_sha(b"x"))


def test_what_the_store_refuses_to_delete_is_named_and_not_counted_as_deleted(minio: MinIO, tmp_path: Path) -> None:
    bucket = minio.new_bucket()
    store = _store(minio, bucket, None)
    repository = make_repository(store)
    for batches in (2, 3):
        back_up(repository, [plain_log("orders", batches=batches)])
    allowed = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": ["s3:*"], "Resource": ["arn:aws:s3:::*"]},
            {"Effect": "Deny", "Action": ["s3:DeleteObject"], "Resource": [f"arn:aws:s3:::{bucket}/team/data/*"]},
        ],
    }
    file = _file(minio, bucket, tmp_path, minio.temporary_credentials(allowed))
    before = keys(store, "data/")
    _prune(file)
    time.sleep(1.5)  # the grace passes on the clock of the store

    done, errors = _prune(file, code=12)

    [denied] = done["denied"]
    assert denied in before
    assert before == keys(store, "data/")
    assert "data objects" not in done["deleted"]
    assert done["deleted"]["fragments"]["objects"] == 1
    assert f"The store refused to delete 1 object: {denied}." in errors


def _sha(data: bytes) -> str:
    return sha256(data).hexdigest()
