"""Finds out why nothing that an http endpoint answers is S3: whether its port speaks TLS.

A port that wants TLS answers plain http with an alert, with a page of its own, or not at all. The last is the same as
what an overloaded server does, so only a TLS handshake tells.
"""

from __future__ import annotations

import socket
import ssl
from urllib.parse import urlsplit

TIMEOUT_S = 2.0


def speaks_tls(endpoint: str) -> bool:
    """Whether the port of an http endpoint answers a TLS handshake. Sends no credentials. False if it cannot be
    reached within `TIMEOUT_S`, and for an https endpoint."""
    parts = urlsplit(endpoint)
    if parts.scheme != "http" or parts.hostname is None:
        return False
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with (
            socket.create_connection((parts.hostname, parts.port or 80), timeout=TIMEOUT_S) as connection,
            context.wrap_socket(connection, server_hostname=parts.hostname),
        ):
            return True
    except (OSError, ValueError):
        return False
