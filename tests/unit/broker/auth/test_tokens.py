"""Tokens: asked for once while they last, read anew where a file has them, and never shown."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tasks.broker.admin.client_settings import client_settings
from tasks.broker.auth.security import Security
from tasks.broker.auth.tokens import current_token, expiry_s
from tasks.model.errors import AccessError, BrokerUnavailableError, ConfigError, KafkaBackupError
from tests.support.token_issuer import TokenIssuer

SECRET = "hunter+2/=%ö"


@pytest.fixture
def issuer() -> Iterator[TokenIssuer]:
    with TokenIssuer({"client:1": SECRET}) as issuer:
        yield issuer


def _security(**said: str) -> Security:
    return Security.model_validate({"security_protocol": "SASL_SSL", "sasl_mechanism": "OAUTHBEARER", **said})


def _endpoint(issuer: TokenIssuer, **said: str) -> Security:
    endpoint = {"sasl_oauth_token_endpoint_url": issuer.token_url, "sasl_oauth_client_id": "client:1"}
    return _security(**{**endpoint, "sasl_oauth_client_secret": SECRET, **said})


def test_a_token_is_asked_for_once_by_all_threads_of_the_process(issuer: TokenIssuer) -> None:
    security = _endpoint(issuer, sasl_oauth_scope="kafka read")
    ready = threading.Barrier(8)

    def ask(_: int) -> str:
        ready.wait(5)
        return current_token(security).value

    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(ask, range(8)))

    assert issuer.issued == list(found)
    assert ["kafka read"] == issuer.scopes
    token, expires_s = client_settings(security)["oauth_cb"](None)
    assert (issuer.issued[0], True) == (token, abs(expires_s - time.time() - issuer.lifetime_s) < 60)
    assert token not in repr(current_token(security))


def test_a_new_token_is_asked_for_before_the_old_one_ends(issuer: TokenIssuer) -> None:
    issuer.lifetime_s = 2
    security = _endpoint(issuer)
    first = current_token(security)

    deadline = time.monotonic() + 10
    while current_token(security).value == first.value and time.monotonic() < deadline:
        assert time.time() < first.expires_s
        time.sleep(0.05)  # for a part of the token's lifetime, which nothing announces

    assert 2 == len(issuer.issued)
    assert time.time() < first.expires_s


@pytest.mark.parametrize(
    ("status", "kind"),
    [(503, BrokerUnavailableError), (429, BrokerUnavailableError), (401, AccessError), (404, ConfigError)],
)
def test_what_an_endpoint_answers_says_what_to_do(
    issuer: TokenIssuer, status: int, kind: type[KafkaBackupError]
) -> None:
    issuer.failures = [status]
    with pytest.raises(kind, match=f"token endpoint {issuer.token_url}.*{status}"):
        current_token(_endpoint(issuer))
    assert current_token(_endpoint(issuer)).value == issuer.issued[0], "the next request is a new one"


def test_a_wrong_secret_is_told_as_the_endpoint_does_and_not_shown(issuer: TokenIssuer) -> None:
    with pytest.raises(AccessError, match=r"gives client client:1 no token: status 401 \(invalid_client\)") as caught:
        current_token(_endpoint(issuer, sasl_oauth_client_secret="wrong-hunter2"))
    assert "hunter2" not in str(caught.value)


def test_an_endpoint_that_nobody_serves_may_come_back(issuer: TokenIssuer) -> None:
    nowhere = _endpoint(issuer, sasl_oauth_token_endpoint_url="http://127.0.0.1:1/token")
    with pytest.raises(BrokerUnavailableError, match="cannot be reached"):
        current_token(nowhere)


def test_a_file_is_read_again_for_each_authentication(issuer: TokenIssuer, tmp_path: Path) -> None:
    path = tmp_path / "token"
    security = _security(sasl_oauth_token_file=str(path))
    found = []
    for subject in ("first", "second"):
        path.write_text(f"{issuer.token(subject, lifetime_s=900)}\n")
        found.append(current_token(security))

    assert issuer.token("first", lifetime_s=900).partition(".")[0] == found[0].value.partition(".")[0]
    assert found[0].value != found[1].value
    assert all(abs(token.expires_s - time.time() - 900) < 60 for token in found)


@pytest.mark.parametrize("content", [b"", b"two tokens", b"t\xc3\xb6ken", b"a\x01b", b"a\nb"])
def test_a_file_that_holds_no_token_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "token"
    path.write_bytes(content)
    with pytest.raises(AccessError, match=f"sasl_oauth_token_file: {path} does not hold one token"):
        current_token(_security(sasl_oauth_token_file=str(path)))


def test_a_file_with_yesterdays_token_is_named_and_a_missing_one_too(issuer: TokenIssuer, tmp_path: Path) -> None:
    path = tmp_path / "token"
    with pytest.raises(ConfigError, match=f"sasl_oauth_token_file: {path}: No such file"):
        current_token(_security(sasl_oauth_token_file=str(path)))
    path.write_text(issuer.token("me", lifetime_s=-5))
    with pytest.raises(AccessError, match="has expired"):
        current_token(_security(sasl_oauth_token_file=str(path)))


@pytest.mark.parametrize("token", ["opaque", "a.b.c", "a.e30.c", "a.bm8.c", "..", "a.eyJleHAiOiAieCJ9.c"])
def test_a_token_that_does_not_say_when_it_ends_is_taken_nevertheless(tmp_path: Path, token: str) -> None:
    path = tmp_path / "token"
    path.write_text(token)

    assert expiry_s(token) is None
    assert current_token(_security(sasl_oauth_token_file=str(path))).expires_s > time.time()
