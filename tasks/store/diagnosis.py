"""Finds out whether the port of an http endpoint uses TLS, if its answers are not those of the store.

A port with TLS answers a request without TLS with an alert, with an error page, or not at all. An overloaded server
also does not answer. So only a TLS handshake shows the difference.
"""

from __future__ import annotations

import socket
import ssl
from urllib.parse import urlsplit

TIMEOUT_S = 2.0


def speaks_tls(endpoint: str) -> bool:
    """Whether the port of an http endpoint completes a TLS handshake. Sends no credentials. False for an https
    endpoint, and if the port does not answer within `TIMEOUT_S`. Raises no error."""
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
