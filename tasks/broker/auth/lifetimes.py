"""Reads when certificates and tokens end.

The validity of an X.509 certificate, in DER (RFC 5280, 4.1). Every element consists of tag, length and contents.

    Certificate    := SEQUENCE { tbsCertificate, … }
    tbsCertificate := SEQUENCE { [0] version, if it is not 1; serial INTEGER; algorithm SEQUENCE; issuer SEQUENCE;
                                 validity SEQUENCE { notBefore, notAfter }; … }
    notAfter       := UTCTime (tag 0x17, YYMMDDHHMMSSZ; YY below 50 is 20YY), or
                      GeneralizedTime (tag 0x18, YYYYMMDDHHMMSSZ)
"""

from __future__ import annotations

import socket
import ssl
from datetime import UTC, datetime
from pathlib import Path

from tasks.broker.auth.security import Security
from tasks.broker.auth.tokens import current_token
from tasks.broker.probe_values import CredentialLifetimes
from tasks.model.errors import ConfigError

_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
_VERSION_TAG = 0xA0
_GENERALIZED_TIME_TAG = 0x18
_FIELDS_BEFORE_VALIDITY = 3


def credential_lifetimes(security: Security) -> CredentialLifetimes:
    """When the client certificate and the OAuth token end. Obtains a token if the mechanism is OAUTHBEARER.

    Raises `ConfigError` if the certificate file cannot be read or contains no certificate, and the errors of
    `current_token`.
    """
    path = security.ssl_certificate_location
    token = current_token(security) if security.sasl_mechanism == "OAUTHBEARER" else None
    return CredentialLifetimes(
        certificate_ends_ms=None if path is None else _file_end_ms(path),
        token_ends_ms=None if token is None else round(token.expires_s * 1000),
    )


def peer_certificate_end_ms(sock: socket.socket | None) -> int | None:
    """When the broker's certificate on a verified TLS connection ends, in Unix milliseconds. None for other
    connections."""
    found = sock.getpeercert() if isinstance(sock, ssl.SSLSocket) else None
    ends = (found or {}).get("notAfter")
    return round(ssl.cert_time_to_seconds(ends) * 1000) if isinstance(ends, str) else None


def certificate_end_ms(pem: str) -> int:
    """When the first certificate in the text of a PEM file ends, in Unix milliseconds. Raises `ValueError` if there is
    none, or if it is cut."""
    begin, end = pem.find(_BEGIN), pem.find(_END)
    if begin < 0 or end < begin:
        raise ValueError("there is no certificate in PEM form")
    certificate = _contents(memoryview(ssl.PEM_cert_to_DER_cert(pem[begin : end + len(_END)])))
    fields = _contents(certificate)
    tag, _, rest = _element(fields)
    if tag == _VERSION_TAG:
        fields = rest
    for _ in range(_FIELDS_BEFORE_VALIDITY):
        fields = _element(fields)[2]
    _, _, not_after = _element(_contents(fields))
    tag, text, _ = _element(not_after)
    return _time_ms(bytes(text).decode("ascii"), has_century=tag == _GENERALIZED_TIME_TAG)


def _file_end_ms(path: str) -> int:
    try:
        return certificate_end_ms(Path(path).read_text(encoding="utf-8", errors="replace"))
    except OSError as error:
        raise ConfigError(f"ssl_certificate_location: {path}: {error.strerror or 'cannot be read'}.") from None
    except ValueError as error:
        raise ConfigError(f"ssl_certificate_location: {path}: {error}.") from None


def _time_ms(text: str, *, has_century: bool) -> int:
    full = text if has_century else f"{'20' if int(text[:2]) < 50 else '19'}{text}"
    return round(datetime.strptime(full, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp() * 1000)


def _contents(data: memoryview) -> memoryview:
    return _element(data)[1]


def _element(data: memoryview) -> tuple[int, memoryview, memoryview]:
    """(tag, contents, everything after the element). Raises `ValueError` if the end of the element is missing."""
    if len(data) < 2:
        raise ValueError("the end of the certificate is missing")
    tag, length, at = data[0], data[1], 2
    if length & 0x80:  # the long form: the low bits are the number of bytes of the length
        at += length & 0x7F
        length = int.from_bytes(data[2:at], "big")
    if len(data) < at + length:
        raise ValueError("the end of the certificate is missing")
    return tag, data[at : at + length], data[at + length :]
