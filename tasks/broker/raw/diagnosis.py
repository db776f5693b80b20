"""Finds out why a new connection failed: a retry can solve it, or `security_protocol` does not fit the port, or the
port is not one of Kafka. Makes the messages for these cases.

A TLS port closes a plaintext connection exactly as a crashing broker does, and a SASL port closes a connection without
SASL in the same way. So these functions open one more connection and send bytes that only a TLS port, or only a SASL
port, answers. Only such an answer proves a wrong configuration; without it the error counts as retryable.
"""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Callable
from typing import Any

from tasks.broker.auth.security import Security
from tasks.broker.auth.tls import tls_alert_error
from tasks.broker.error_codes import ErrorCode
from tasks.broker.messages.wire import ApiVersionsRequest, SaslHandshakeRequest, decode_response, encode_request
from tasks.model.errors import ConfigError, KafkaBackupError

_TIMEOUT_S = 5.0
_LARGEST_ANSWER_BYTES = 1 << 20
_LENGTH = struct.Struct(">i")

Connect = Callable[[], socket.socket]
"""Opens one more socket to the broker, with TLS if that is configured."""


def permanent_error(
    error: OSError | None, security: Security, host: str, port: int, *, has_answered: bool, connect: Connect
) -> KafkaBackupError | None:
    """The permanent error that explains why a new connection failed with `error` (None: the broker closed it). None if
    a retry can succeed. Can open one more connection to find out.

    `has_answered`: the broker answered at least the request for its versions.
    """
    where = f"{host}:{port}"
    if isinstance(error, ssl.SSLError):
        return tls_alert_error(error, security, where)
    if isinstance(error, TimeoutError):
        return None
    if not has_answered:
        return not_kafka_error(security, where) if not security.has_tls and _is_tls_port(host, port) else None
    mechanisms = None if security.has_sasl else _required_mechanisms(connect)
    if mechanisms is None:
        return None
    protocol = "SASL_SSL" if security.has_tls else "SASL_PLAINTEXT"
    return ConfigError(f"Broker {where} requires SASL ({', '.join(mechanisms)}): set security_protocol to {protocol}.")


def not_kafka_error(security: Security, where: str) -> ConfigError:
    """The error for a port that does not use Kafka's protocol."""
    hint = "" if security.has_tls else "; if the port expects TLS, set security_protocol to SSL or SASL_SSL"
    return ConfigError(f"Broker {where} does not speak Kafka's protocol on this port{hint}.")


def plaintext_port_error(security: Security, host: str, port: int) -> ConfigError | None:
    """The error for a TLS handshake that failed because the port uses Kafka's protocol without TLS. None if it failed
    for another reason. Opens one more connection."""
    request = ApiVersionsRequest()
    request.API_VERSION = 0
    if _answer(lambda: _connected(host, port), request) is None:
        return None
    protocol = "SASL_PLAINTEXT" if security.has_sasl else "PLAINTEXT"
    return ConfigError(
        f"Broker {host}:{port} does not use TLS on this port: "
        f"use a port with TLS, or set security_protocol to {protocol}."
    )


def _is_tls_port(host: str, port: int) -> bool:
    """Whether the port completes a TLS handshake, or rejects it with a TLS alert. Does not verify certificates."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with _connected(host, port) as sock:
            context.wrap_socket(sock, server_hostname=host).close()
    except ssl.SSLError as error:
        return "ALERT" in (error.reason or "")
    except OSError:
        return False
    return True


def _required_mechanisms(connect: Connect) -> list[str] | None:
    """The SASL mechanisms of a port that requires SASL. None if it does not require SASL, or gives no valid answer."""
    request = SaslHandshakeRequest(mechanism="PLAIN")
    request.API_VERSION = 1
    answer = _answer(connect, request)
    return None if answer is None or answer.error_code == ErrorCode.ILLEGAL_SASL_STATE else sorted(answer.mechanisms)


def _connected(host: str, port: int) -> socket.socket:
    return socket.create_connection((host, port), timeout=_TIMEOUT_S)


def _answer(connect: Connect, request: Any) -> Any:
    """The answer to one request on a new connection; None if there is no valid answer."""
    try:
        with connect() as sock:
            sock.settimeout(_TIMEOUT_S)
            sock.sendall(encode_request(request, correlation_id=1, client_id="kafka-backup"))
            size = _LENGTH.unpack(_receive_exactly(sock, _LENGTH.size))[0]
            data = _receive_exactly(sock, size) if 0 < size <= _LARGEST_ANSWER_BYTES else b""
            key, version = request.API_KEY, request.API_VERSION
            correlation_id, answer = decode_response(memoryview(data), api_key=key, api_version=version)
    except Exception:  # every failure means that there is no valid answer
        return None
    return answer if correlation_id == 1 else None


def _receive_exactly(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = sock.recv(size - len(data))
        if not part:
            raise ConnectionError("closed")
        data += part
    return data
