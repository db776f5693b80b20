"""The command on S3: as whom it comes, what it is told there, and what each mistake ends with."""

from __future__ import annotations

import itertools
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from blocks import S3Repository
from tasks.config.adapters import store_of
from tasks.flow_support.wiring import field_values
from tasks.store.s3.s3_store import S3Store
from tasks.store.s3.settings import S3Settings
from tests.support.instance_role import InstanceRole
from tests.support.made_backup import SET, back_up, keys, make_repository
from tests.support.made_logs import plain_log
from tests.support.object_stores import ROOT_CREDENTIALS, MinIO, ObjectStoreServer, Rclone
from tests.support.printed_policy import printed_policy

pytestmark = pytest.mark.minio

COMMAND = str(Path(sys.executable).with_name("kafka-backup"))
DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "S3.md"
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


class Shell:
    """A folder with one file, and the command run in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(
        self, command: str, section: Mapping[str, object], code: int = 0, /, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run it with a file that has this section; it must end with `code`, and never with a traceback."""
        source = {
            "bootstrap_servers": ["127.0.0.1:1"],
            "connection": {"connect_timeout_ms": 1_000},
            "topics": {"include": ["orders"]},
        }
        document = {"mode": "backup", "backup_id": SET, "source": source, "storage": section}
        (self.folder / "file.yaml").write_text(json.dumps(document))
        done = self.bare(f"{command} --config file.yaml", **variables)
        assert code == done.returncode, done.stderr
        return done

    def bare(self, command: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run it as it stands."""
        return subprocess.run(
            [COMMAND, *command.split()],
            cwd=self.folder,
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    def sentence(self, section: Mapping[str, object], code: int, command: str = "list", **variables: str) -> str:
        """What the command says when it ends with `code`: one sentence, without a secret."""
        done = self.run(command, section, code, **variables)
        [line] = [line for line in done.stderr.splitlines() if line]
        assert ROOT_CREDENTIALS.secret_key not in done.stdout + done.stderr
        return line.removeprefix("kafka-backup: ")


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


# ── as whom ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _ambient(server: ObjectStoreServer, bucket: str) -> dict[str, object]:
    return storage(server, bucket, access_key=None, secret_key=None)


def test_credentials_of_the_file_serve(shell: Shell, minio: MinIO, bucket: str) -> None:
    assert f"{SET}@1" in shell.run("list", storage(minio, bucket)).stdout
    assert "no damage found" in shell.run(f"validate --backup-id {SET}", storage(minio, bucket)).stdout


def test_credentials_of_a_block_serve(minio: MinIO, bucket: str) -> None:
    values = storage(minio, bucket)
    block = S3Repository(**{name: value for name, value in values.items() if name != "backend"})

    store = store_of(S3Settings.model_validate(field_values(block)))

    assert ROOT_CREDENTIALS.secret_key not in repr(block)
    assert "repository.json" in keys(store)


def test_temporary_credentials_of_the_file_serve(shell: Shell, minio: MinIO, bucket: str) -> None:
    own = minio.temporary_credentials(printed_policy("S3.md", bucket))
    section = storage(
        minio, bucket, access_key=own.access_key, secret_key=own.secret_key, session_token=own.session_token
    )

    done = shell.run("list -v", section)

    assert f"{SET}@1" in done.stdout
    assert own.session_token
    for secret in (own.secret_key, own.session_token):
        assert secret not in done.stdout + done.stderr


def test_credentials_of_the_environment_serve_for_a_file_and_a_url(shell: Shell, minio_tls: MinIO) -> None:
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


def test_a_profile_serves(shell: Shell, minio: MinIO, bucket: str) -> None:
    files = {"AWS_SHARED_CREDENTIALS_FILE": "credentials", "AWS_CONFIG_FILE": "config", "AWS_PROFILE": "backup"}
    (shell.folder / "credentials").write_text(
        f"[backup]\naws_access_key_id = {KEYS['access_key']}\naws_secret_access_key = {KEYS['secret_key']}\n"
    )
    (shell.folder / "config").write_text(f"[profile backup]\nregion = us-east-1\nendpoint_url = {minio.endpoint}\n")
    section = {"backend": "s3", "bucket": bucket, "prefix": "team", "allow_http": True}

    assert f"{SET}@1" in shell.run("list", section, **files).stdout

    missing = shell.sentence(section, 2, **{**files, "AWS_PROFILE": "other"})
    assert "The config profile (other) could not be found: correct the variables and files of the AWS tools." == missing


def test_the_role_of_the_machine_serves(shell: Shell, minio: MinIO, bucket: str) -> None:
    with InstanceRole(minio.temporary_credentials(printed_policy("S3.md", bucket))) as role:
        assert f"{SET}@1" in shell.run("list", _ambient(minio, bucket), **role.environment).stdout


def test_no_credentials_at_all_end_with_12(shell: Shell, minio: MinIO, bucket: str) -> None:
    assert shell.sentence(_ambient(minio, bucket), 12).startswith("There are no credentials for S3: set access_key and")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"access_key": "nobody"}, "the store does not know this access key"),
        ({"secret_key": "wrong-secret-marker"}, "the secret key does not belong to the access key"),
        ({"session_token": "wrong-token-marker"}, "the session token does not belong to these credentials"),
    ],
)
@pytest.mark.parametrize("command", ["list", "list -v", "backup", "backup --dry-run"])
def test_wrong_credentials_end_with_12_and_are_not_shown(
    shell: Shell, minio: MinIO, bucket: str, changes: dict[str, object], expected: str, command: str
) -> None:
    done = shell.run(command, storage(minio, bucket, **changes), 12)

    assert f"s3://{bucket} at {minio.endpoint}: {expected}: " in done.stderr
    assert "marker" not in done.stdout + done.stderr
    assert ROOT_CREDENTIALS.secret_key not in done.stdout + done.stderr


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


@pytest.mark.parametrize("command", ["list", f"validate --backup-id {SET}", "backup", "backup --dry-run"])
def test_a_missing_bucket_ends_with_10(shell: Shell, minio: MinIO, command: str) -> None:
    expected = (
        f"There is no bucket s3://no-such-bucket at {minio.endpoint}: create it, or correct `bucket` and `endpoint`."
    )
    assert expected == shell.sentence(storage(minio, "no-such-bucket"), 10, command)


def test_an_empty_bucket_has_no_repository(shell: Shell, minio: MinIO) -> None:
    name = minio.new_bucket()
    cure = "Correct the storage section, or make a first backup."
    assert f"There is no repository at s3://{name}/team. {cure}" == shell.sentence(storage(minio, name), 10)


def test_another_region_is_named(shell: Shell, tmp_path: Path) -> None:
    with MinIO(region="eu-central-1") as server:
        name = server.new_bucket()
        where = f"s3://{name} at {server.endpoint} is in region eu-central-1"
        wrong = storage(server, name, region="us-west-2")
        assert f"{where}, not us-west-2: set region: eu-central-1." == shell.sentence(wrong, 2)
        assert f"{where}: set region: eu-central-1." == shell.sentence(storage(server, name, region=None), 2)
        assert "no repository" in shell.sentence(storage(server, name), 10)


def test_a_name_or_region_that_cannot_be_is_refused(shell: Shell, minio: MinIO) -> None:
    for changes in ({"bucket": "Not a bucket"}, {"region": "no region"}):
        assert "There cannot be a bucket" in shell.sentence({**storage(minio, "orders"), **changes}, 2)
    assert "'ab' is not a valid name for a bucket: correct `bucket`." == shell.sentence(storage(minio, "ab"), 2)


def test_an_endpoint_whose_host_does_not_exist_is_refused(shell: Shell, minio: MinIO, bucket: str) -> None:
    section = storage(minio, bucket, endpoint="https://s3.nowhere.invalid")
    assert f"s3://{bucket} at https://s3.nowhere.invalid: the endpoint's host does not exist" in shell.sentence(
        section, 2
    )


def test_tls_where_there_is_none_is_a_mistake(shell: Shell, minio: MinIO, bucket: str) -> None:
    to_http = storage(minio, bucket, endpoint=minio.endpoint.replace("http:", "https:"))
    assert "does not speak TLS" in shell.sentence(to_http, 2)


def test_a_certificate_that_nothing_vouches_for_ends_with_12(
    shell: Shell, minio_tls: MinIO, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_CA_BUNDLE")
    assert "Set AWS_CA_BUNDLE to the certificate of its authority if" in shell.sentence(storage(minio_tls, bucket), 12)


@pytest.mark.parametrize("file", ["/nowhere/ca.pem", "file.yaml"])
def test_authorities_that_cannot_be_read_are_refused(shell: Shell, minio_tls: MinIO, bucket: str, file: str) -> None:
    said = shell.sentence(storage(minio_tls, bucket), 2, AWS_CA_BUNDLE=file)
    assert "The file of AWS_CA_BUNDLE cannot be read, or contains no certificate: correct it." == said


def test_a_website_is_no_store(shell: Shell, minio: MinIO, bucket: str, web: int) -> None:
    section = storage(minio, bucket, endpoint=f"http://127.0.0.1:{web}")
    assert "does not speak S3. Check `endpoint`." in shell.sentence(section, 2)


@pytest.fixture
def web() -> Iterator[int]:
    """The port of a web server that has a page for every address."""

    class Pages(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>")

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("is_ambient", [False, True])
def test_http_has_to_be_allowed(shell: Shell, minio: MinIO, bucket: str, is_ambient: bool) -> None:
    endpoint = {"endpoint": None} if is_ambient else {}
    variables = {"AWS_ENDPOINT_URL_S3": minio.endpoint} if is_ambient else {}
    section = storage(minio, bucket, allow_http=None, **endpoint)
    expected = "uses http, so every record would be sent unencrypted: use https, or set allow_http: true"
    assert expected in shell.sentence(section, 2, **variables)


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


def test_a_store_that_is_not_there_is_waited_for_and_then_a_failure(minio: MinIO, bucket: str) -> None:
    from tasks.model.errors import StoreUnavailableError
    from tasks.store.retrying import RetryingStore

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    waits: list[float] = []
    location = minio.settings(bucket, endpoint=f"http://127.0.0.1:{port}")
    ticks = itertools.count(0, 0.1)
    store = RetryingStore(S3Store(location), deadline_ms=300, sleep=waits.append, clock=lambda: next(ticks))
    with pytest.raises(StoreUnavailableError, match="cannot be reached: connection refused"):
        store.get("repository.json")
    assert waits


def test_a_store_that_does_not_answer_is_named_while_it_is_waited_for(shell: Shell, minio: MinIO, bucket: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        said = shell.run("list", storage(minio, bucket, endpoint=endpoint, connect_timeout_ms=8_000), 1).stderr
    first, *_, last = said.splitlines()
    assert first.startswith(f"kafka-backup: waiting for s3://{bucket} at {endpoint} since ")
    assert "There was no answer within 8 s (connect_timeout_ms)" in last


def test_a_line_break_in_a_credential_of_the_file_is_refused_with_its_line_and_not_shown(
    shell: Shell, minio: MinIO, bucket: str
) -> None:
    for name in ("access_key", "secret_key", "session_token"):
        section = {**storage(minio, bucket), "session_token": "t", name: "marker\n"}
        said = shell.sentence(section, 2)
        assert said.startswith("file.yaml:1: ")
        assert f"'storage.{name}' ends with a line break: remove it." in said
        assert "marker" not in said
