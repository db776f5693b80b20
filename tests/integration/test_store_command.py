"""The command on the store of each server: as whom it comes, and what each mistake ends with."""

from __future__ import annotations

import itertools
import socket
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tasks.config.adapters import store_of
from tasks.flow_support.wiring import field_values
from tasks.model.errors import StoreUnavailableError
from tasks.store.retrying import RetryingStore
from tests.support.made_backup import SET, back_up, keys, make_repository
from tests.support.made_logs import plain_log
from tests.support.store_cases import CASES, StoreCase, Wrong
from tests.support.store_shell import StoreShell

_SERVERS = {name: case.server_name for name, case in CASES.items()}
every_store = pytest.mark.parametrize(
    "case", [pytest.param(name, marks=getattr(pytest.mark, _SERVERS[name])) for name in CASES], indirect=True
)
every_wrong = pytest.mark.parametrize(
    ("case", "wrong"),
    [
        pytest.param(name, wrong, marks=getattr(pytest.mark, _SERVERS[name]), id=f"{name}-{wrong.name}")
        for name, case in CASES.items()
        for wrong in case.wrong
    ],
    indirect=["case"],
)

every_store_with_tls = pytest.mark.parametrize(
    "tls_case", [pytest.param(name, marks=getattr(pytest.mark, _SERVERS[name])) for name in CASES], indirect=True
)

COMMANDS = ["list", f"validate --backup-id {SET}", "backup", "backup --dry-run"]


@pytest.fixture
def case(request: pytest.FixtureRequest) -> StoreCase:
    return CASES[request.param](request.getfixturevalue(_SERVERS[request.param]))


@pytest.fixture
def tls_case(request: pytest.FixtureRequest) -> StoreCase:
    """The same server over TLS, which the test trusts."""
    return CASES[request.param](request.getfixturevalue(f"{_SERVERS[request.param]}_tls"))


_filled: dict[str, str] = {}
"""By server: a bucket with one small backup set under the prefix `team`."""


@pytest.fixture
def bucket(case: StoreCase) -> str:
    if case.endpoint not in _filled:
        name = case.new_bucket()
        back_up(make_repository(case.open(name, "team")), [plain_log("orders", batches=3)])
        _filled[case.endpoint] = name
    return _filled[case.endpoint]


@pytest.fixture
def shell(tmp_path: Path) -> StoreShell:
    return StoreShell(tmp_path, secrets=tuple(secret for case in CASES.values() for secret in case.secrets))


# ── as whom ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@every_store
def test_credentials_of_the_file_serve(shell: StoreShell, case: StoreCase, bucket: str) -> None:
    assert f"{SET}@1" in shell.run("list", case.section(bucket)).stdout
    assert "no damage found" in shell.run(f"validate --backup-id {SET}", case.section(bucket)).stdout


@every_store
def test_credentials_of_a_block_serve(case: StoreCase, bucket: str) -> None:
    values = case.section(bucket)
    block = case.block(**{name: value for name, value in values.items() if name != "backend"})

    store = store_of(case.settings_type.model_validate(field_values(block)))

    assert [] == [secret for secret in case.secrets if secret in repr(block)]
    assert "repository.json" in keys(store)


@every_store_with_tls
def test_a_store_over_tls_serves(shell: StoreShell, tls_case: StoreCase) -> None:
    section = tls_case.section(tls_case.new_bucket(), allow_http=None)
    assert "There is no repository at" in shell.sentence(section, 10)


@every_store_with_tls
def test_no_credentials_at_all_end_with_12(shell: StoreShell, tls_case: StoreCase) -> None:
    said = shell.sentence(tls_case.anonymous("orders"), 12)
    assert said.startswith(tls_case.no_credentials)


@every_wrong
@pytest.mark.parametrize("command", ["list", "list -v", "backup", "backup --dry-run"])
def test_wrong_credentials_end_with_12_and_are_not_shown(
    shell: StoreShell, case: StoreCase, bucket: str, wrong: Wrong, command: str
) -> None:
    done = shell.run(command, case.section(bucket, **wrong.changes), 12)

    assert f"{case.where(bucket)}: {wrong.reason}" in done.stderr
    for hidden in (*wrong.hidden, *case.secrets):
        assert hidden not in done.stdout + done.stderr


@every_store
def test_a_line_break_in_a_credential_of_the_file_is_refused_with_its_line_and_not_shown(
    shell: StoreShell, case: StoreCase, bucket: str
) -> None:
    for name in case.secret_keys:
        said = shell.sentence({**case.section(bucket), name: "marker\n"}, 2)
        assert said.startswith("file.yaml:1: ")
        assert f"'storage.{name}' ends with a line break: remove it." in said
        assert "marker" not in said


# ── mistakes ────────────────────────────────────────────────────────────────────────────────────────────────────────


@every_store
@pytest.mark.parametrize("command", COMMANDS)
def test_a_missing_bucket_ends_with_10(shell: StoreShell, case: StoreCase, command: str) -> None:
    assert case.missing("no-such-bucket") == shell.sentence(case.section("no-such-bucket"), 10, command)


@every_store
def test_an_empty_bucket_has_no_repository(shell: StoreShell, case: StoreCase) -> None:
    name = case.new_bucket()
    cure = "Correct the storage section, or make a first backup."
    assert f"There is no repository at {case.location(name)}. {cure}" == shell.sentence(case.section(name), 10)


@every_store
def test_an_endpoint_whose_host_does_not_exist_is_refused(shell: StoreShell, case: StoreCase, bucket: str) -> None:
    section = case.section(bucket, endpoint=case.at("https://store.nowhere.invalid"))
    said = shell.sentence(section, 2)
    assert case.no_host in said
    assert "store.nowhere.invalid" in said


@every_store
def test_tls_where_there_is_none_is_a_mistake(shell: StoreShell, case: StoreCase, bucket: str) -> None:
    section = case.section(bucket, endpoint=case.at(case.endpoint.replace("http:", "https:")))
    assert "does not speak TLS: correct `endpoint`, or use http and `allow_http: true`" in shell.sentence(section, 2)


@every_store_with_tls
def test_an_http_endpoint_that_speaks_tls_is_a_mistake(shell: StoreShell, tls_case: StoreCase) -> None:
    endpoint = tls_case.at(tls_case.endpoint.replace("https:", "http:"))
    said = shell.sentence(tls_case.section("orders", endpoint=endpoint), 2)
    assert f"The endpoint {endpoint} speaks TLS: write it with https://" == said


@every_store_with_tls
def test_a_certificate_that_nothing_vouches_for_ends_with_12(
    shell: StoreShell, tls_case: StoreCase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(tls_case.ca_variable)
    expected = f"Set {tls_case.ca_variable} to the certificate of its authority if"
    assert expected in shell.sentence(tls_case.section("orders"), 12)


@every_store_with_tls
@pytest.mark.parametrize("file", ["/nowhere/ca.pem", "file.yaml"])
def test_authorities_that_cannot_be_read_are_refused(shell: StoreShell, tls_case: StoreCase, file: str) -> None:
    said = shell.sentence(tls_case.section("orders"), 2, **{tls_case.ca_variable: file})
    assert f"The file of {tls_case.ca_variable} cannot be read, or contains no certificate: correct it." == said


@every_store
def test_a_website_is_no_store(shell: StoreShell, case: StoreCase, bucket: str, web: int) -> None:
    section = case.section(bucket, endpoint=case.at(f"http://127.0.0.1:{web}"))
    assert case.not_the_protocol in shell.sentence(section, 2)


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


@every_store
def test_http_has_to_be_allowed(shell: StoreShell, case: StoreCase, bucket: str) -> None:
    expected = "uses http, so every record would be sent unencrypted: use https, or set allow_http: true"
    assert expected in shell.sentence(case.section(bucket, allow_http=None), 2)


@every_store
def test_a_store_that_is_not_there_is_waited_for_and_then_a_failure(case: StoreCase, bucket: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    waits: list[float] = []
    ticks = itertools.count(0, 0.1)
    inner = case.open(bucket, endpoint=case.at(f"http://127.0.0.1:{port}"))
    store = RetryingStore(inner, deadline_ms=300, sleep=waits.append, clock=lambda: next(ticks))
    with pytest.raises(StoreUnavailableError, match="cannot be reached: connection refused"):
        store.get("repository.json")
    assert waits


@every_store
def test_a_store_that_does_not_answer_is_named_while_it_is_waited_for(
    shell: StoreShell, case: StoreCase, bucket: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = case.at(f"http://127.0.0.1:{silent.getsockname()[1]}")
        said = shell.run("list", case.section(bucket, endpoint=endpoint, connect_timeout_ms=8_000), 1).stderr
    first, *_, last = said.splitlines()
    expected = case.where(bucket).replace(case.at(case.endpoint), endpoint)
    assert first.startswith(f"kafka-backup: waiting for {expected} since ")
    assert "There was no answer within 8 s (connect_timeout_ms)" in last
