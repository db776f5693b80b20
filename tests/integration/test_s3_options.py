"""The settings of S3 on real servers: whose credentials are used, how objects are stored, and a single writer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tasks.config.adapters import store_of
from tasks.config.new_repository import opened_or_created
from tasks.model.errors import AccessError, ConfigError, ObjectExistsError
from tasks.repository.repository import Repository
from tasks.store.s3.s3_store import S3Store
from tasks.store.s3.settings import S3Settings
from tests.contract.stores import create
from tests.contract.test_store_races import race, winners
from tests.support.made_backup import SET, back_up
from tests.support.made_logs import plain_log
from tests.support.object_stores import ROOT_CREDENTIALS, MinIO, MiniStack, Rclone
from tests.support.token_issuer import TokenIssuer

pytestmark = pytest.mark.minio

NO_KEYS: dict[str, Any] = {"access_key": None, "secret_key": None}
CUSTOMER_KEY = b64encode(bytes(range(32))).decode()
OTHER_KEY = b64encode(bytes(32)).decode()


@pytest.fixture(scope="module")
def rclone() -> Iterator[Rclone]:
    with Rclone() as server:
        yield server


# ── credentials ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_profile_of_the_settings_serves(minio: MinIO, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = ROOT_CREDENTIALS
    (tmp_path / "credentials").write_text(
        f"[backup]\naws_access_key_id = {own.access_key}\naws_secret_access_key = {own.secret_key}\n"
    )
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    settings = minio.settings(minio.new_bucket(), **NO_KEYS, profile="backup")

    create(S3Store(settings), "a")

    with pytest.raises(ConfigError, match=r"The config profile \(other\) could not be found"):
        S3Store(settings.model_copy(update={"profile": "other"}))


@pytest.mark.tried("S3", "MinIO: a role that is assumed with keys, and one with a web identity token")
def test_a_role_is_assumed_with_the_keys_of_the_settings(minio: MinIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", minio.endpoint)
    settings = minio.settings(minio.new_bucket(), role_arn="arn:aws:iam::123456789012:role/backup", external_id="id-1")
    store = S3Store(settings)

    create(store, "a")

    used = store._requests.client._request_signer._credentials.get_frozen_credentials()
    assert ROOT_CREDENTIALS.access_key != used.access_key
    assert used.token
    wrong = minio.settings(settings.bucket, secret_key="wrong", role_arn="arn:aws:iam::123456789012:role/backup")
    with pytest.raises(AccessError):
        S3Store(wrong).head("a")


def test_a_token_file_gives_the_role_of_the_settings_again_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both the token and the credentials end after three seconds."""
    token = tmp_path / "token"
    with TokenIssuer({}) as issuer, MinIO(issuer=issuer) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", server.endpoint)
        token.write_text(issuer.token("backup", lifetime_s=3))
        settings = server.settings(
            server.new_bucket(), **NO_KEYS, role_arn=server.role_arn, web_identity_token_file=str(token)
        )
        store = S3Store(settings)
        create(store, "a")

        time.sleep(3.5)  # the credentials have to end
        token.write_text(issuer.token("backup", lifetime_s=3))

        assert "a" == store.head("a").key


# ── how objects are stored ──────────────────────────────────────────────────────────────────────────────────────────


def test_the_ca_of_the_settings_is_trusted(minio_tls: MinIO, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = minio_tls.settings(minio_tls.new_bucket(), ca_bundle=os.environ["AWS_CA_BUNDLE"])
    monkeypatch.delenv("AWS_CA_BUNDLE")

    create(S3Store(settings), "a")

    with pytest.raises(AccessError, match="certificate"):
        S3Store(settings.model_copy(update={"ca_bundle": None})).head("a")
    with pytest.raises(ConfigError, match=r"ca_bundle /nowhere/ca.pem cannot be read: No such file or directory\."):
        S3Store(settings.model_copy(update={"ca_bundle": "/nowhere/ca.pem"}))


def _with_customer_key(server: MinIO, bucket: str, key: str | None) -> S3Store:
    return S3Store(server.settings(bucket, allow_http=False, sse_customer_key=key))


@pytest.mark.tried("S3", "MinIO with TLS: objects encrypted with the customer's key")
def test_objects_with_a_customers_key_are_read_only_with_this_key(minio_tls: MinIO) -> None:
    bucket = minio_tls.new_bucket()
    store = _with_customer_key(minio_tls, bucket, CUSTOMER_KEY)

    version = create(store, "a", b"secret records").version
    store.compare_and_swap("a", [b"other records"], expected=version)

    assert (b"other records", b"records") == (store.get("a")[0], store.get_range("a", 6, 7))
    assert [("a", 13)] == [(one.key, one.size_bytes) for one in store.list("")]
    for key in (None, OTHER_KEY):
        with pytest.raises(Exception, match="a in s3://") as refused:
            _with_customer_key(minio_tls, bucket, key).get("a")
        assert CUSTOMER_KEY not in str(refused.value)


def test_tags_are_on_every_object(minio: MinIO) -> None:
    bucket = minio.new_bucket()
    store = S3Store(minio.settings(bucket, tags={"team": "data and events", "cost": "7"}))

    create(store, "data/a")
    store.put("heads/a", [b"x"])

    for key in ("data/a", "heads/a"):
        found = minio.client.get_object_tagging(Bucket=bucket, Key=key)["TagSet"]
        assert {"team": "data and events", "cost": "7"} == {one["Key"]: one["Value"] for one in found}


@pytest.mark.tried("S3", "MiniStack: data objects in another storage class")
def test_only_data_objects_have_the_storage_class_of_the_settings() -> None:
    with MiniStack() as server:
        bucket = server.new_bucket()
        settings = server.settings(bucket, "team", storage_class="STANDARD_IA")
        store = store_of(settings)
        repository = Repository.open_or_create(store, lambda: 1)

        back_up(repository, [plain_log("orders", batches=2)])

        listed = server.client.list_objects_v2(Bucket=bucket)["Contents"]
        classes = {one["Key"].split("/")[1]: one["StorageClass"] for one in listed}
    assert {"STANDARD_IA"} == {found for name, found in classes.items() if name == "data"}
    assert {"STANDARD"} == {found for name, found in classes.items() if name != "data"}


def test_a_class_that_the_store_does_not_have_is_an_error_before_a_repository_has_data(minio: MinIO) -> None:
    store = S3Store(minio.settings(minio.new_bucket(), storage_class="COLD"), is_data=lambda key: True)

    with pytest.raises(Exception, match="InvalidStorageClass") as refused:
        create(store, "data/a")
    assert not getattr(refused.value, "retryable", False)


# ── a single writer ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.tried("S3", "`rclone serve s3` with `single_writer: true`: a backup, its validation, races of processes")
def test_a_store_without_conditions_serves_a_single_writer_and_every_command_says_so(rclone: Rclone) -> None:
    notes: list[str] = []
    settings = rclone.settings(rclone.new_bucket(), "team", single_writer=True)

    repository, is_created = opened_or_created(settings, lambda: 1, on_note=notes.append)
    back_up(repository, [plain_log("orders", batches=2)])

    assert is_created
    assert repository.root.single_writer
    assert [SET] == repository.set_names()
    [note] = notes
    assert "is used with single_writer: nothing prevents two machines from writing there at the same time." in note


def test_a_repository_of_a_single_writer_stays_one_when_the_settings_do_not_say_so(rclone: Rclone) -> None:
    settings = rclone.settings(rclone.new_bucket(), "team", single_writer=True)
    opened_or_created(settings, lambda: 1)

    repository, _ = opened_or_created(settings.model_copy(update={"single_writer": False}), lambda: 1)

    assert repository.note is not None
    create(repository.store, "data/a", b"first")
    with pytest.raises(ObjectExistsError):
        create(repository.store, "data/a", b"second")
    assert b"first" == repository.store.get("data/a")[0]


def test_of_threads_on_one_machine_each_key_has_one_winner_without_conditions(rclone: Rclone) -> None:
    bucket = rclone.new_bucket()
    store = S3Store(rclone.settings(bucket, single_writer=True))
    for attempt in range(5):
        key = f"race/{attempt}"
        bodies = [f"{number}".encode() * 100 for number in range(16)]
        won = winners(race(lambda number, key=key, bodies=bodies: create(store, key, bodies[number])))  # type: ignore[misc]
        assert 1 == len(won)
        assert bodies[won[0]] == store.get(key)[0]


_WRITER = """
import sys
from tasks.model.errors import ObjectExistsError
from tasks.store.s3.s3_store import S3Store
from tasks.store.s3.settings import S3Settings
from tests.contract.stores import create

store = S3Store(S3Settings.model_validate_json(sys.argv[1]))
for number in range(30):
    try:
        create(store, f"k/{number}", sys.argv[2].encode())
        print(number)
    except ObjectExistsError:
        pass
"""


def test_of_processes_on_one_machine_each_key_has_one_winner_without_conditions(rclone: Rclone) -> None:
    settings = rclone.settings(rclone.new_bucket(), single_writer=True)
    section = _with_secret(settings)
    writers = [
        subprocess.Popen([sys.executable, "-c", _WRITER, section, name], stdout=subprocess.PIPE, text=True)
        for name in ("a", "b", "c")
    ]
    won = {name: one.communicate(timeout=60)[0].split() for name, one in zip("abc", writers, strict=True)}

    assert sorted(map(str, range(30))) == sorted(number for numbers in won.values() for number in numbers)
    store = S3Store(settings)
    for name, numbers in won.items():
        assert all(name.encode() == store.get(f"k/{number}")[0] for number in numbers)


def _with_secret(settings: S3Settings) -> str:
    """The settings as JSON with the secret, for a process of this test."""
    fields = settings.model_dump(mode="json")
    assert settings.secret_key is not None
    return json.dumps({**fields, "secret_key": settings.secret_key.get_secret_value()})
