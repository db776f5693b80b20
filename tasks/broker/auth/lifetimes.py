"""Reads when the client certificate, the broker's certificate and the OAuth token end."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

from tasks.broker.auth.certificates import validity
from tasks.broker.auth.security import Security
from tasks.broker.auth.tokens import current_token
from tasks.broker.probe_values import CredentialLifetimes
from tasks.model.errors import ConfigError


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


def _file_end_ms(path: str) -> int:
    try:
        found = validity(Path(path).read_bytes())
    except OSError as error:
        raise ConfigError(f"ssl_certificate_location: {path}: {error.strerror or 'cannot be read'}.") from None
    if found is None:
        raise ConfigError(f"ssl_certificate_location: {path}: there is no intact certificate in PEM form.")
    return round(found.ends.timestamp() * 1000)
