"""When certificates and tokens end."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509

from tasks.broker.auth.lifetimes import credential_lifetimes
from tasks.broker.auth.security import Security
from tasks.broker.probe_values import CredentialLifetimes
from tasks.model.errors import AccessError, ConfigError
from tests.support.certificates import Authority


def test_credentials_without_an_end_have_none() -> None:
    assert CredentialLifetimes() == credential_lifetimes(Security())


def test_the_client_certificate_and_its_faults_are_named(tmp_path: Path) -> None:
    leaf = Authority(tmp_path).issue("client")
    security = Security(
        security_protocol="SSL",
        ssl_certificate_location=str(leaf.certificate),
        ssl_key_location=str(leaf.key),
    )
    made = x509.load_pem_x509_certificate(leaf.certificate.read_bytes())
    assert made.not_valid_after_utc.timestamp() * 1000 == credential_lifetimes(security).certificate_ends_ms

    leaf.certificate.write_text("nothing")
    with pytest.raises(ConfigError, match=r"ssl_certificate_location: .* no intact certificate in PEM form"):
        credential_lifetimes(security)
    leaf.certificate.unlink()
    with pytest.raises(ConfigError, match=r"ssl_certificate_location: .* No such file"):
        credential_lifetimes(security)


def test_a_token_file_without_a_valid_token_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("two tokens")
    security = Security(
        security_protocol="SASL_PLAINTEXT", sasl_mechanism="OAUTHBEARER", sasl_oauth_token_file=str(file)
    )
    with pytest.raises(AccessError, match="does not contain exactly one token"):
        credential_lifetimes(security)

    file.write_text("opaque")
    assert credential_lifetimes(security).token_ends_ms
