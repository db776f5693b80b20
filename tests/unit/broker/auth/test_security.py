"""What a file may say of security: only what would be used, all that is needed, and no secret shown."""

from __future__ import annotations

import pickle

import pytest
from pydantic import ValidationError

from tasks.broker.admin.client_settings import client_settings
from tasks.broker.auth.security import Security
from tasks.broker.raw.connection import ConnectionOptions

MARKER = "hunter2"
PASSWORD = {"sasl_username": "me", "sasl_password": MARKER}
ENDPOINT = {
    "sasl_oauth_token_endpoint_url": "https://idp/token",
    "sasl_oauth_client_id": "me",
    "sasl_oauth_client_secret": MARKER,
}
PAIR = {"ssl_certificate_location": "/c.pem", "ssl_key_location": "/k.pem"}
SASL_SSL = {"security_protocol": "SASL_SSL"}
PLAIN = {**SASL_SSL, "sasl_mechanism": "PLAIN", **PASSWORD}
OAUTH = {**SASL_SSL, "sasl_mechanism": "OAUTHBEARER"}


def _made(said: dict[str, str]) -> Security:
    return Security.model_validate(said)


def _problem(said: dict[str, str]) -> str:
    with pytest.raises(ValidationError) as caught:
        _made(said)
    assert MARKER not in f"{caught.value} {caught.value!r}"
    return str(caught.value)


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"security_protocol": "SSL"},
        {"security_protocol": "ssl", "ssl_ca_location": "/ca.pem", **PAIR, "ssl_key_password": MARKER},
        PLAIN,
        {**PLAIN, "security_protocol": "sasl_plaintext", "sasl_mechanism": "plain"},
        {**PLAIN, **PAIR},
        {**OAUTH, **ENDPOINT, "sasl_oauth_scope": "kafka"},
        {**OAUTH, "sasl_oauth_token_file": "/token"},
        {**PLAIN, "ssl_ca_location": "", "sasl_oauth_token_file": ""},
    ],
)
def test_what_is_whole_is_taken_and_its_secrets_show_nowhere(said: dict[str, str]) -> None:
    security = _made(said)

    shown = f"{security!r} {security} {ConnectionOptions(bootstrap_servers=('x:1',), security=security)!r}"
    assert MARKER not in shown
    assert security == pickle.loads(pickle.dumps(security))
    assert hash(security) == hash(_made(said))


@pytest.mark.parametrize("spelling", ["SCRAM-SHA-256", "SCRAM-SHA256", "scram-sha-256", "SCRAM_SHA_256"])
def test_a_mechanism_may_be_spelled_as_others_do(spelling: str) -> None:
    assert "SCRAM-SHA-256" == _made({**PLAIN, "sasl_mechanism": spelling}).sasl_mechanism


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (SASL_SSL, "SASL_SSL needs a sasl_mechanism"),
        ({**SASL_SSL, "sasl_mechanism": "PLAIN"}, "PLAIN needs sasl_username and sasl_password"),
        ({**PLAIN, "sasl_password": ""}, "PLAIN needs sasl_password"),
        (OAUTH, "needs sasl_oauth_token_endpoint_url and sasl_oauth_client_id and sasl_oauth_client_secret"),
        ({**OAUTH, "sasl_oauth_client_id": "me"}, "needs sasl_oauth_token_endpoint_url and sasl_oauth_client_secret"),
        ({"security_protocol": "SSL", "ssl_key_location": "/k"}, "ssl_key_location needs ssl_certificate_location"),
        ({"security_protocol": "SSL", "ssl_certificate_location": "/c"}, "needs ssl_key_location"),
        ({"security_protocol": "SSL", "ssl_key_password": MARKER}, "ssl_key_password needs ssl_key_location"),
    ],
)
def test_what_is_missing_is_named(said: dict[str, str], expected: str) -> None:
    assert expected in _problem(said)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (PASSWORD, "sasl_username has no place with PLAINTEXT"),
        ({"ssl_ca_location": "/ca"}, "ssl_ca_location has no place with PLAINTEXT"),
        ({**PLAIN, "security_protocol": "SASL_PLAINTEXT", "ssl_ca_location": "/ca"}, "ssl_ca_location has no place"),
        ({**PLAIN, "security_protocol": "SSL"}, "sasl_mechanism has no place with SSL"),
        ({**PLAIN, "sasl_oauth_scope": "x"}, "sasl_oauth_scope has no place with PLAIN"),
        ({**OAUTH, **ENDPOINT, **PASSWORD}, "sasl_username has no place with OAUTHBEARER"),
        ({**OAUTH, **ENDPOINT, "sasl_oauth_token_file": "/t"}, "sasl_oauth_token_endpoint_url would not be used"),
        ({**OAUTH, "sasl_oauth_scope": "x", "sasl_oauth_token_file": "/t"}, "sasl_oauth_scope would not be used"),
    ],
)
def test_a_protection_that_would_not_be_there_is_an_error(said: dict[str, str], expected: str) -> None:
    assert expected in _problem(said)


@pytest.mark.parametrize(
    "url", [f"https://me:{MARKER}@idp/token", "ftp://idp/token", "idp/token", "https://", "http://x:99999/", "http://["]
)
def test_a_token_endpoint_is_a_url_without_a_password(url: str) -> None:
    said = {**OAUTH, **ENDPOINT, "sasl_oauth_token_endpoint_url": url}
    assert "should be a http(s) URL without user, password and fragment" in _problem(said)


def test_kerberos_is_refused_with_what_it_would_need() -> None:
    problem = _problem({**SASL_SSL, "sasl_mechanism": "GSSAPI"})
    assert "the package gssapi" in problem
    assert "librdkafka with Kerberos" in problem


def test_the_library_is_told_the_same() -> None:
    assert {"security.protocol": "PLAINTEXT"} == client_settings(_made({}))
    assert {
        "security.protocol": "SSL",
        "ssl.endpoint.identification.algorithm": "https",
    } == client_settings(_made({"security_protocol": "SSL"})), "no authority: the system's"
    said = {**PLAIN, "ssl_ca_location": "/ca.pem", **PAIR, "ssl_key_password": MARKER}
    assert {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "PLAIN",
        "sasl.username": "me",
        "sasl.password": MARKER,
        "ssl.ca.location": "/ca.pem",
        "ssl.certificate.location": "/c.pem",
        "ssl.key.location": "/k.pem",
        "ssl.key.password": MARKER,
        "ssl.endpoint.identification.algorithm": "https",
    } == client_settings(_made(said))
