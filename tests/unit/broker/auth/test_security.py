"""Validation of security values: nothing is missing, nothing is unused, and no secret is shown."""

from __future__ import annotations

import pickle

import pytest
from pydantic import ValidationError

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


def _security(values: dict[str, str]) -> Security:
    return Security.model_validate(values)


def _validation_error(values: dict[str, str]) -> str:
    with pytest.raises(ValidationError) as caught:
        _security(values)
    assert MARKER not in f"{caught.value} {caught.value!r}"
    return str(caught.value)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"security_protocol": "SSL"},
        {"security_protocol": "ssl", "ssl_ca_location": "/ca.pem", **PAIR, "ssl_key_password": MARKER},
        PLAIN,
        {**PLAIN, "security_protocol": "sasl_plaintext", "sasl_mechanism": "plain"},
        {**PLAIN, **PAIR},
        {**OAUTH, **ENDPOINT, "sasl_oauth_scope": "kafka"},
        {**OAUTH, "sasl_oauth_token_file": "/token"},
        {**OAUTH, "sasl_oauth_token_file": "/token", "sasl_oauth_extensions": "logicalCluster=lkc-1"},
        {**PLAIN, "ssl_ca_location": "", "sasl_oauth_token_file": ""},
    ],
)
def test_complete_values_are_valid_and_their_secrets_are_not_shown(values: dict[str, str]) -> None:
    security = _security(values)

    shown = f"{security!r} {security} {ConnectionOptions(bootstrap_servers=('x:1',), security=security)!r}"
    assert MARKER not in shown
    assert security == pickle.loads(pickle.dumps(security))
    assert hash(security) == hash(_security(values))


@pytest.mark.parametrize("spelling", ["SCRAM-SHA-256", "SCRAM-SHA256", "scram-sha-256", "SCRAM_SHA_256"])
def test_the_spellings_of_other_tools_are_valid_for_a_mechanism(spelling: str) -> None:
    assert "SCRAM-SHA-256" == _security({**PLAIN, "sasl_mechanism": spelling}).sasl_mechanism


@pytest.mark.parametrize(
    ("values", "expected"),
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
def test_a_missing_value_is_named(values: dict[str, str], expected: str) -> None:
    assert expected in _validation_error(values)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (PASSWORD, "sasl_username is not used with PLAINTEXT"),
        ({"ssl_ca_location": "/ca"}, "ssl_ca_location is not used with PLAINTEXT"),
        (
            {**PLAIN, "security_protocol": "SASL_PLAINTEXT", "ssl_ca_location": "/ca"},
            "ssl_ca_location is not used with SASL_PLAINTEXT",
        ),
        ({**PLAIN, "security_protocol": "SSL"}, "sasl_mechanism is not used with SSL"),
        ({**PLAIN, "sasl_oauth_scope": "x"}, "sasl_oauth_scope is not used with PLAIN"),
        ({**PLAIN, "sasl_oauth_extensions": "a=b"}, "sasl_oauth_extensions is not used with PLAIN"),
        ({**OAUTH, **ENDPOINT, **PASSWORD}, "sasl_username is not used with OAUTHBEARER"),
        (
            {**OAUTH, **ENDPOINT, "sasl_oauth_token_file": "/t"},
            "sasl_oauth_token_endpoint_url is not used with sasl_oauth_token_file",
        ),
        ({**OAUTH, "sasl_oauth_scope": "x", "sasl_oauth_token_file": "/t"}, "sasl_oauth_scope is not used with"),
    ],
)
def test_a_value_that_would_not_be_used_is_an_error(values: dict[str, str], expected: str) -> None:
    assert expected in _validation_error(values)


@pytest.mark.parametrize(
    "url", [f"https://me:{MARKER}@idp/token", "ftp://idp/token", "idp/token", "https://", "http://x:99999/", "http://["]
)
def test_a_token_endpoint_is_a_url_without_a_password(url: str) -> None:
    values = {**OAUTH, **ENDPOINT, "sasl_oauth_token_endpoint_url": url}
    assert "should be an http or https URL without user, password and fragment" in _validation_error(values)


def test_the_error_for_kerberos_names_what_can_be_used() -> None:
    problem = _validation_error({**SASL_SSL, "sasl_mechanism": "GSSAPI"})
    assert "no Kerberos client" in problem
    assert "Use SCRAM, OAUTHBEARER or client certificates" in problem


@pytest.mark.parametrize("text", ["logicalCluster", "=x", "a=", "auth=x", "a-b=c", "a=b,", "a=b\x01c=d", "a=ö"])
def test_sasl_extensions_are_names_with_values(text: str) -> None:
    problem = _validation_error({**OAUTH, "sasl_oauth_token_file": "/token", "sasl_oauth_extensions": text})

    assert "should be name=value, several of them separated by commas, for example logicalCluster=lkc-1" in problem


def test_sasl_extensions_are_read_in_order() -> None:
    text = "logicalCluster=lkc-1, identityPoolId=pool=1"
    security = _security({**OAUTH, "sasl_oauth_token_file": "/token", "sasl_oauth_extensions": text})

    assert {"logicalCluster": "lkc-1", "identityPoolId": "pool=1"} == security.oauth_extensions
