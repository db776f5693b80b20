"""When certificates and tokens end."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme
from cryptography import x509

from tasks.broker.auth.lifetimes import certificate_end_ms, credential_lifetimes
from tasks.broker.auth.security import Security
from tasks.broker.probe_values import CredentialLifetimes
from tasks.model.errors import AccessError, ConfigError
from tests.support.certificates import Authority


def _pem(not_after: datetime | None = None) -> str:
    return trustme.CA().issue_cert("kafka.example", not_after=not_after).cert_chain_pems[0].bytes().decode()


@pytest.mark.parametrize(
    "end",
    [datetime(2031, 2, 3, 4, 5, 6, tzinfo=UTC), datetime(2049, 12, 31, tzinfo=UTC), datetime(2050, 1, 1, tzinfo=UTC)],
    ids=["UTCTime", "last UTCTime", "GeneralizedTime"],
)
def test_the_end_of_a_certificate_is_read_from_its_bytes(end: datetime) -> None:
    assert end.timestamp() * 1000 == certificate_end_ms(_pem(not_after=end))


def test_the_end_is_the_one_that_another_library_reads() -> None:
    pem = _pem()
    expected = x509.load_pem_x509_certificate(pem.encode()).not_valid_after_utc

    assert expected.timestamp() * 1000 == certificate_end_ms(pem)


def test_a_text_without_a_certificate_and_a_cut_certificate_are_errors() -> None:
    with pytest.raises(ValueError, match="no certificate in PEM form"):
        certificate_end_ms("-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n")
    cut = ssl.DER_cert_to_PEM_cert(ssl.PEM_cert_to_DER_cert(_pem())[:60])
    with pytest.raises(ValueError, match="the end of the certificate is missing"):
        certificate_end_ms(cut)


def test_credentials_without_an_end_have_none() -> None:
    assert CredentialLifetimes() == credential_lifetimes(Security())


def test_the_client_certificate_and_its_faults_are_named(tmp_path: Path) -> None:
    leaf = Authority(tmp_path).issue("client")
    security = Security(
        security_protocol="SSL",
        ssl_certificate_location=str(leaf.certificate),
        ssl_key_location=str(leaf.key),
    )
    assert certificate_end_ms(leaf.certificate.read_text()) == credential_lifetimes(security).certificate_ends_ms

    leaf.certificate.write_text("nothing")
    with pytest.raises(ConfigError, match=r"ssl_certificate_location: .* no certificate in PEM form"):
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
