"""Tokens: requested once per lifetime, read again from a file, and never shown."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tasks.broker.auth import sasl, tokens
from tasks.broker.auth.security import Security
from tasks.broker.auth.tokens import current_token, expiry_s
from tasks.model.errors import AccessError, BrokerUnavailableError, ConfigError, KafkaBackupError
from tests.support.token_issuer import TokenIssuer

SECRET = "hunter+2/=%ö"


@pytest.fixture
def issuer() -> Iterator[TokenIssuer]:
    with TokenIssuer({"client:1": SECRET}) as issuer:
        yield issuer


def _security(**values: str) -> Security:
    return Security.model_validate({"security_protocol": "SASL_SSL", "sasl_mechanism": "OAUTHBEARER", **values})


def _endpoint(issuer: TokenIssuer, **values: str) -> Security:
    endpoint = {"sasl_oauth_token_endpoint_url": issuer.token_url, "sasl_oauth_client_id": "client:1"}
    return _security(**{**endpoint, "sasl_oauth_client_secret": SECRET, **values})


def test_all_threads_of_the_process_share_one_request_for_a_token(issuer: TokenIssuer) -> None:
    security = _endpoint(issuer, sasl_oauth_scope="kafka read")
    ready = threading.Barrier(8)

    def token(_: int) -> str:
        ready.wait(5)
        return current_token(security).value

    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(token, range(8)))

    assert issuer.issued == list(found)
    assert ["kafka read"] == issuer.scopes
    value, expires_s = current_token(security)
    assert (issuer.issued[0], True) == (value, abs(expires_s - time.time() - issuer.lifetime_s) < 60)
    assert value not in repr(current_token(security))


def test_a_new_token_is_requested_before_the_old_one_expires(
    issuer: TokenIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "_USE_UP_TO", 0.1)
    issuer.lifetime_s = 10
    security = _endpoint(issuer)
    first = current_token(security)

    deadline = time.monotonic() + 10
    while current_token(security).value == first.value and time.monotonic() < deadline:
        time.sleep(0.05)  # no event marks the part of the lifetime after which the token is renewed

    assert 2 == len(issuer.issued)
    assert time.time() < first.expires_s


def test_connections_authenticate_again_later_than_a_token_is_renewed() -> None:
    """Otherwise a connection would renew its session with the token that ends with the session."""
    assert 0 < tokens._USE_UP_TO < sasl._RENEW_AFTER < 1


@pytest.mark.parametrize(
    ("status", "kind"),
    [(503, BrokerUnavailableError), (429, BrokerUnavailableError), (401, AccessError), (404, ConfigError)],
)
def test_the_class_of_an_endpoints_error_says_what_to_do(
    issuer: TokenIssuer, status: int, kind: type[KafkaBackupError]
) -> None:
    issuer.failures = [status]
    with pytest.raises(kind, match=f"{issuer.token_url}.*HTTP {status}"):
        current_token(_endpoint(issuer))
    assert current_token(_endpoint(issuer)).value == issuer.issued[0], "an error is not kept"


def test_the_error_of_a_wrong_secret_contains_the_endpoints_reason_and_not_the_secret(issuer: TokenIssuer) -> None:
    with pytest.raises(
        AccessError, match=r"gives no token to client client:1 \(HTTP 401, invalid_client\)\."
    ) as caught:
        current_token(_endpoint(issuer, sasl_oauth_client_secret="wrong-hunter2"))
    assert "hunter2" not in str(caught.value)


def test_an_unreachable_endpoint_is_a_retryable_error(issuer: TokenIssuer) -> None:
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
def test_a_file_without_exactly_one_token_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "token"
    path.write_bytes(content)
    with pytest.raises(AccessError, match=f"sasl_oauth_token_file: {path} does not contain exactly one token"):
        current_token(_security(sasl_oauth_token_file=str(path)))


def test_a_file_with_an_expired_token_and_a_missing_file_are_named(issuer: TokenIssuer, tmp_path: Path) -> None:
    path = tmp_path / "token"
    with pytest.raises(ConfigError, match=f"sasl_oauth_token_file: {path}: No such file"):
        current_token(_security(sasl_oauth_token_file=str(path)))
    path.write_text(issuer.token("me", lifetime_s=-5))
    with pytest.raises(AccessError, match="has expired"):
        current_token(_security(sasl_oauth_token_file=str(path)))


@pytest.mark.parametrize("token", ["opaque", "a.b.c", "a.e30.c", "a.bm8.c", "..", "a.eyJleHAiOiAieCJ9.c"])
def test_a_token_without_expiry_time_is_used(tmp_path: Path, token: str) -> None:
    path = tmp_path / "token"
    path.write_text(token)

    assert expiry_s(token) is None
    assert current_token(_security(sasl_oauth_token_file=str(path))).expires_s > time.time()
