"""The command on S3, where it differs from other stores: profiles, roles, policies, regions, and stores without
conditions. `test_store_command.py` has all that is the same for every store."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tasks.store.s3.s3_store import S3Store
from tests.support.instance_role import InstanceRole
from tests.support.made_backup import SET, back_up, keys, make_repository
from tests.support.made_logs import plain_log
from tests.support.object_stores import ROOT_CREDENTIALS, MinIO, ObjectStoreServer, Rclone
from tests.support.printed_policy import printed_policy
from tests.support.store_shell import StoreShell

pytestmark = pytest.mark.minio

KEYS = {"access_key": ROOT_CREDENTIALS.access_key, "secret_key": ROOT_CREDENTIALS.secret_key}


@pytest.fixture(scope="module")
def bucket(minio: MinIO) -> str:
    """A bucket with one small backup set under the prefix `team`."""
    name = minio.new_bucket()
    back_up(make_repository(S3Store(minio.settings(name, "team"))), [plain_log("orders", batches=3)])
    return name


def storage(server: ObjectStoreServer, bucket: str, **changes: object) -> dict[str, object]:
    """The section `storage` as the server's owner writes it, but for the changes; None leaves a key out."""
    section = {
        "backend": "s3",
        "bucket": bucket,
        "prefix": "team",
        "region": server.region,
        "endpoint": server.endpoint,
        "path_style": True,
        "allow_http": True,
        **KEYS,
        **changes,
    }
    return {name: value for name, value in section.items() if value is not None}


@pytest.fixture
def shell(tmp_path: Path) -> StoreShell:
    return StoreShell(tmp_path, secrets=(ROOT_CREDENTIALS.secret_key,))


# ── as whom ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _ambient(server: ObjectStoreServer, bucket: str) -> dict[str, object]:
    return storage(server, bucket, access_key=None, secret_key=None)


def test_temporary_credentials_of_the_file_serve(shell: StoreShell, minio: MinIO, bucket: str) -> None:
    own = minio.temporary_credentials(printed_policy("S3.md", bucket))
    section = storage(
        minio, bucket, access_key=own.access_key, secret_key=own.secret_key, session_token=own.session_token
    )

    done = shell.run("list -v", section)

    assert f"{SET}@1" in done.stdout
    assert own.session_token
    for secret in (own.secret_key, own.session_token):
        assert secret not in done.stdout + done.stderr


def test_credentials_of_the_environment_serve_for_a_file_and_a_url(shell: StoreShell, minio_tls: MinIO) -> None:
    name = minio_tls.new_bucket()
    back_up(make_repository(S3Store(minio_tls.settings(name, "team"))), [plain_log("orders", batches=1)])
    variables = {
        "AWS_ACCESS_KEY_ID": ROOT_CREDENTIALS.access_key,
        "AWS_SECRET_ACCESS_KEY": ROOT_CREDENTIALS.secret_key,
        "AWS_ENDPOINT_URL_S3": minio_tls.endpoint,
    }
    section = {"backend": "s3", "bucket": name, "prefix": "team"}

    assert f"{SET}@1" in shell.run("list", section, **variables).stdout
    assert f"{SET}@1" in shell.bare(f"list --storage s3://{name}/team", **variables).stdout


def test_a_profile_serves(shell: StoreShell, minio: MinIO, bucket: str) -> None:
    files = {"AWS_SHARED_CREDENTIALS_FILE": "credentials", "AWS_CONFIG_FILE": "config", "AWS_PROFILE": "backup"}
    (shell.folder / "credentials").write_text(
        f"[backup]\naws_access_key_id = {KEYS['access_key']}\naws_secret_access_key = {KEYS['secret_key']}\n"
    )
    (shell.folder / "config").write_text(f"[profile backup]\nregion = us-east-1\nendpoint_url = {minio.endpoint}\n")
    section = {"backend": "s3", "bucket": bucket, "prefix": "team", "allow_http": True}

    assert f"{SET}@1" in shell.run("list", section, **files).stdout

    missing = shell.sentence(section, 2, **{**files, "AWS_PROFILE": "other"})
    assert "The config profile (other) could not be found: correct the variables and files of the AWS tools." == missing


def test_the_role_of_the_machine_serves(shell: StoreShell, minio: MinIO, bucket: str) -> None:
    with InstanceRole(minio.temporary_credentials(printed_policy("S3.md", bucket))) as role:
        assert f"{SET}@1" in shell.run("list", _ambient(minio, bucket), **role.environment).stdout


# ── what it must be allowed ─────────────────────────────────────────────────────────────────────────────────────────


def _whole_backup(minio: MinIO, bucket: str, prefix: str, policy: Mapping[str, Any]) -> None:
    store = S3Store(minio.settings(bucket, prefix, credentials=minio.temporary_credentials(policy)))
    repository = make_repository(store)
    back_up(repository, [plain_log("orders", batches=3)])
    assert [SET] == repository.set_names()
    store.delete(["never"])


def test_the_policy_that_readme_prints_suffices(minio: MinIO) -> None:
    name = minio.new_bucket()
    _whole_backup(minio, name, "team", printed_policy("S3.md", name))
    assert [] == keys(S3Store(minio.settings(name, "team")), "probe/")


@pytest.mark.parametrize("action", ["s3:GetObject", "s3:PutObject", "s3:ListBucket", "s3:DeleteObject"])
def test_each_action_of_that_policy_is_needed_and_named_when_it_is_missing(minio: MinIO, action: str) -> None:
    from tasks.model.errors import AccessError

    name = minio.new_bucket()
    with pytest.raises(AccessError, match=f"access denied. The credentials need {action}"):
        _whole_backup(minio, name, "team", printed_policy("S3.md", name, without=action))


def test_that_policy_ends_at_its_prefix(minio: MinIO) -> None:
    from tasks.model.errors import AccessError

    name = minio.new_bucket()
    with pytest.raises(AccessError):
        _whole_backup(minio, name, "other", printed_policy("S3.md", name))


# ── mistakes ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_another_region_is_named(shell: StoreShell, tmp_path: Path) -> None:
    with MinIO(region="eu-central-1") as server:
        name = server.new_bucket()
        where = f"s3://{name} at {server.endpoint} is in region eu-central-1"
        wrong = storage(server, name, region="us-west-2")
        assert f"{where}, not us-west-2: set region: eu-central-1." == shell.sentence(wrong, 2)
        assert f"{where}: set region: eu-central-1." == shell.sentence(storage(server, name, region=None), 2)
        assert "no repository" in shell.sentence(storage(server, name), 10)


def test_a_name_or_region_that_cannot_be_is_refused(shell: StoreShell, minio: MinIO) -> None:
    for changes in ({"bucket": "Not a bucket"}, {"region": "no region"}):
        assert "There cannot be a bucket" in shell.sentence({**storage(minio, "orders"), **changes}, 2)
    assert "'ab' is not a valid name for a bucket: correct `bucket`." == shell.sentence(storage(minio, "ab"), 2)


def test_http_of_the_environment_has_to_be_allowed(shell: StoreShell, minio: MinIO, bucket: str) -> None:
    section = storage(minio, bucket, allow_http=None, endpoint=None)
    expected = "uses http, so every record would be sent unencrypted: use https, or set allow_http: true"
    assert expected in shell.sentence(section, 2, AWS_ENDPOINT_URL_S3=minio.endpoint)


@pytest.mark.tried("S3", "`rclone serve s3`, which ignores write conditions: refused")
def test_a_store_that_ignores_conditions_is_refused_and_nothing_is_left_in_it() -> None:
    from tasks.config.new_repository import opened_or_created
    from tasks.model.errors import ConfigError

    with Rclone() as server:
        name = server.new_bucket()
        with pytest.raises(ConfigError, match="two writers could overwrite each other") as refused:
            opened_or_created(server.settings(name, "team"), lambda: 1)
        assert f"s3://{name}/team ignores or refuses write conditions" in str(refused.value)
        assert "Use another store." in str(refused.value)
        assert [] == keys(S3Store(server.settings(name)))
