"""Google Cloud Storage where it differs from other stores: keys, tokens that end, workload identities, retention.
`test_store_command.py` has what is the same for every store."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tasks.model.errors import AccessError, ConfigError, UndeletedError
from tasks.store.gcs.gcs_store import GcsStore
from tasks.store.probe import probe
from tests.contract.stores import create
from tests.support.fake_gcs import FakeGcs
from tests.support.google_tokens import private_key
from tests.support.made_backup import SET, back_up, make_repository
from tests.support.made_logs import plain_log
from tests.support.store_beds import GcsAnswer
from tests.support.store_cases import GcsCase
from tests.support.store_shell import StoreShell
from tests.support.tcp_proxy import Request, TcpProxy

pytestmark = pytest.mark.fake_gcs


@pytest.fixture
def server(fake_gcs_tls: FakeGcs) -> Iterator[FakeGcs]:
    """The server over TLS, and its token endpoint as it is at first afterwards."""
    fake_gcs_tls.tokens.issued.clear()
    yield fake_gcs_tls
    fake_gcs_tls.tokens.refusal = None
    fake_gcs_tls.tokens.lifetime_s = 3600


@pytest.fixture
def bucket(server: FakeGcs) -> str:
    """A bucket with one small backup set under the prefix `team`."""
    name = server.new_bucket()
    back_up(make_repository(GcsStore(server.settings(name, "team"))), [plain_log("orders", batches=1)])
    return name


@pytest.fixture
def shell(tmp_path: Path) -> StoreShell:
    return StoreShell(tmp_path, secrets=(private_key().splitlines()[1],))


def _section(server: FakeGcs, bucket: str, **changes: object) -> dict[str, object]:
    return GcsCase(server).section(bucket, **{"service_account_json": None, **changes})


def test_a_key_file_beside_the_file_serves(shell: StoreShell, server: FakeGcs, bucket: str) -> None:
    (shell.folder / "keys").mkdir()
    (shell.folder / "keys" / "gcs.json").write_text(server.tokens.key_text)

    shown = shell.run("list", _section(server, bucket, service_account_path="keys/gcs.json")).stdout

    assert f"{SET}@1" in shown
    assert server.tokens.issued


def test_application_default_credentials_serve_for_a_file_and_a_url(
    shell: StoreShell, server: FakeGcs, bucket: str
) -> None:
    (shell.folder / "adc.json").write_text(server.tokens.key_text)
    variables = {
        "GOOGLE_APPLICATION_CREDENTIALS": str(shell.folder / "adc.json"),
        "STORAGE_EMULATOR_HOST": server.endpoint,
    }
    assert f"{SET}@1" in shell.run("list", _section(server, bucket), **variables).stdout
    assert f"{SET}@1" in shell.bare(f"list --storage gs://{bucket}/team", **variables).stdout


@pytest.mark.tried("Google Cloud Storage", "a workload identity, on a token endpoint of the tests")
def test_a_workload_identity_serves(shell: StoreShell, server: FakeGcs, bucket: str) -> None:
    (shell.folder / "token").write_text("token of the pod")
    configuration = {
        "type": "external_account",
        "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/kubernetes",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": server.tokens.token_url,
        "credential_source": {"file": str(shell.folder / "token")},
    }
    (shell.folder / "identity.json").write_text(json.dumps(configuration))
    variables = {"GOOGLE_APPLICATION_CREDENTIALS": str(shell.folder / "identity.json")}

    assert f"{SET}@1" in shell.run("list", _section(server, bucket), **variables).stdout
    assert server.tokens.issued


@pytest.mark.parametrize(
    ("description", "expected"),
    [
        ("Invalid JWT Signature. geheim", "Google does not give an access token for these credentials (invalid_grant)"),
        (
            "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. geheim",
            "This machine's clock differs from Google's by many minutes: correct the clock.",
        ),
    ],
)
def test_refused_credentials_end_at_once_with_12(
    shell: StoreShell, server: FakeGcs, bucket: str, description: str, expected: str
) -> None:
    server.tokens.refusal = (400, {"error": "invalid_grant", "error_description": description})
    began = time.monotonic()

    said = shell.sentence(_section(server, bucket, service_account_json=json.dumps(server.tokens.key)), 12)

    assert said.startswith(expected)
    assert "geheim" not in said
    assert time.monotonic() - began < 15, "nothing is repeated"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, "There is no file {file}: correct service_account_path."),
        ("geheim", "{file} is not the key of a service account: it is not JSON."),
        ('{"type": "external_account"}', "{file} is not the key of a service account. Files of other credentials belo"),
        ('{"type": "service_account"}', "{file} is not a complete key of a service account: download the key again."),
    ],
)
def test_a_file_that_is_no_key_is_refused(shell: StoreShell, server: FakeGcs, text: str | None, expected: str) -> None:
    file = shell.folder / "key.json"
    if text is not None:
        file.write_text(text)
    said = shell.sentence(_section(server, "orders", service_account_path="key.json"), 2)
    assert said.startswith(expected.format(file=file))
    assert "geheim" not in said


def test_no_output_shows_the_key_or_a_token(shell: StoreShell, server: FakeGcs, bucket: str) -> None:
    section = _section(server, bucket, service_account_json=json.dumps(server.tokens.key))
    done = shell.run("list -v", section)
    assert server.tokens.issued
    for secret in (*shell.secrets, *server.tokens.issued):
        assert secret not in done.stdout + done.stderr


def test_an_endpoint_without_tls_from_the_environment_has_to_be_allowed(shell: StoreShell, fake_gcs: FakeGcs) -> None:
    said = shell.bare("list --storage gs://orders", STORAGE_EMULATOR_HOST=fake_gcs.endpoint)
    assert 2 == said.returncode
    assert "The variable STORAGE_EMULATOR_HOST cannot be used. The endpoint http://127.0.0.1" in said.stderr


def test_tokens_are_renewed_while_a_run_goes_on(server: FakeGcs) -> None:
    server.tokens.lifetime_s = 1
    store = GcsStore(server.settings(server.new_bucket()))
    for number in range(3):
        create(store, f"a/{number}")
    assert 3 <= len(server.tokens.issued)


def test_many_threads_obtain_one_token(server: FakeGcs) -> None:
    store = GcsStore(server.settings(server.new_bucket()))
    with ThreadPoolExecutor(64) as pool:
        list(pool.map(lambda number: create(store, f"a/{number}"), range(64)))
    assert 1 == len(server.tokens.issued)


def test_credentials_that_end_in_a_run_are_an_error_and_nothing_is_lost(server: FakeGcs) -> None:
    store = GcsStore(server.settings(server.new_bucket()))
    server.tokens.lifetime_s = 1
    create(store, "a")
    server.tokens.refusal = (401, {"error": "invalid_client"})
    with pytest.raises(AccessError, match="invalid_client"):
        create(store, "b")
    server.tokens.refusal = None
    assert ["a"] == [info.key for info in store.list("")]


_WRITER = """
import sys
from tasks.model.errors import ObjectExistsError
from tasks.store.gcs.gcs_store import GcsStore
from tasks.store.gcs.settings import GcsSettings
from tests.contract.stores import create

store = GcsStore(GcsSettings.model_validate_json(sys.argv[1]))
for number in range(30):
    try:
        create(store, f"k/{number}", sys.argv[2].encode())
        print(number)
    except ObjectExistsError:
        pass
"""


def test_of_several_processes_each_key_has_one_winner(fake_gcs: FakeGcs) -> None:
    settings = fake_gcs.settings(fake_gcs.new_bucket())
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", _WRITER, settings.model_dump_json(), name], stdout=subprocess.PIPE, text=True
        )
        for name in "abc"
    ]
    won = {name: one.communicate(timeout=60)[0].split() for name, one in zip("abc", writers, strict=True)}

    assert sorted(map(str, range(30))) == sorted(number for numbers in won.values() for number in numbers)
    store = GcsStore(settings)
    for name, numbers in won.items():
        assert all(name.encode() == store.get(f"k/{number}")[0] for number in numbers)


# ── retention: the emulator has none, so a proxy answers as Google's documentation says ──────────────────────────────


@pytest.fixture
def retained(fake_gcs: FakeGcs) -> Iterator[GcsStore]:
    """The store of a bucket with a retention policy: nothing is overwritten or deleted."""
    answer: Any = GcsAnswer(403, "retentionPolicyNotMet")
    with TcpProxy(fake_gcs.port) as proxy:
        proxy.refuse_when(lambda request: request.method == "DELETE", answer)
        proxy.rewrite(412, GcsAnswer(412, "conditionNotMet"))
        written: set[str] = set()

        def is_overwritten(path: str) -> bool:
            is_known = "/upload/" in path and "ifGenerationMatch=0" not in path and path in written
            written.add(path)
            return is_known

        proxy.refuse_when(lambda request: is_overwritten(request.path), answer)
        yield GcsStore(fake_gcs.settings(fake_gcs.new_bucket(), endpoint=proxy.endpoint))


def test_a_bucket_with_a_retention_policy_is_refused_in_one_sentence_by_the_test_of_the_store(
    retained: GcsStore,
) -> None:
    with pytest.raises(ConfigError) as refused:
        probe(retained)
    assert "does not allow probe/" in str(refused.value)
    assert "because of a retention policy or a hold. Heads, leases, pins and restores" in str(refused.value)


def test_a_retained_object_counts_as_locked_and_stays(retained: GcsStore) -> None:
    create(retained, "data/1.log")
    with pytest.raises(UndeletedError) as kept:
        retained.delete(["data/1.log"])
    assert ({"data/1.log": None}, {}) == (kept.value.locked, kept.value.denied)
    assert b"x" == retained.get("data/1.log")[0]


def test_deleted_objects_count_as_hidden_in_a_bucket_with_versions(fake_gcs: FakeGcs) -> None:
    for has_versions, hidden in ((False, 0), (True, 1)):
        store = GcsStore(fake_gcs.settings(fake_gcs.new_bucket(has_versions=has_versions)))
        create(store, "a")
        assert hidden == store.delete(["a", "missing"])


def test_the_project_that_pays_is_in_every_request(fake_gcs: FakeGcs) -> None:
    sent: list[str] = []

    def note(request: Request) -> bool:
        sent.append(request.path)
        return False

    with TcpProxy(fake_gcs.port) as proxy:
        proxy.refuse_when(note, GcsAnswer(500, "never"))
        store = GcsStore(fake_gcs.settings(fake_gcs.new_bucket(), endpoint=proxy.endpoint, project="billing"))
        create(store, "a")
        assert b"x" == store.get("a")[0]
        assert ["a"] == [store.head(info.key).key for info in store.list("")]
        store.delete(["a"])

    assert 6 == len(sent), "also one for the bucket"
    assert [] == [path for path in sent if "userProject=billing" not in path]
