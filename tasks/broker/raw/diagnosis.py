"""Why a new connection does not work: whether it is trouble that passes, or a `security_protocol` that does not fit.

A port that speaks otherwise ends connections as a dying broker does, so it is asked, on a connection of its own, what
only such a port answers. Only a certain answer counts; without one the trouble may pass.
"""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Callable
from typing import Any

from tasks.broker.auth.security import Security
from tasks.broker.auth.tls import refusal
from tasks.broker.error_codes import ErrorCode
from tasks.broker.messages.wire import ApiVersionsRequest, SaslHandshakeRequest, decode_response, encode_request
from tasks.model.errors import ConfigError, KafkaBackupError

_TIMEOUT_S = 5.0
_LARGEST_BYTES = 1 << 20
_LENGTH = struct.Struct(">i")

Connect = Callable[[], socket.socket]
"""Opens one more socket to the broker, encrypted if that is what the configuration says."""


def lasting_reason(
    error: OSError | None, security: Security, host: str, port: int, *, has_answered: bool, connect: Connect
) -> KafkaBackupError | None:
    """Why a connection ended that was open and has not given a useful answer; None when that may pass.

    `has_answered`: it said at least which requests it speaks.
    """
    where = f"{host}:{port}"
    if isinstance(error, ssl.SSLError):
        return refusal(error, where)
    if isinstance(error, TimeoutError):
        return None
    if not has_answered:
        return foreign(security, where) if not security.has_tls and _speaks_tls(host, port) else None
    mechanisms = None if security.has_sasl else _mechanisms_asked_for(connect)
    if mechanisms is None:
        return None
    wanted = "SASL_SSL" if security.has_tls else "SASL_PLAINTEXT"
    return ConfigError(f"Broker {where} asks for SASL ({', '.join(mechanisms)}): set security_protocol to {wanted}.")


def foreign(security: Security, where: str) -> ConfigError:
    """What the other side sends is not Kafka's protocol."""
    hint = "" if security.has_tls else "; if the port expects TLS, set security_protocol to SSL or SASL_SSL"
    return ConfigError(f"Broker {where} does not speak Kafka's protocol there{hint}.")


def without_tls(security: Security, host: str, port: int) -> ConfigError | None:
    """Why a TLS handshake broke off: the port answers Kafka's protocol without TLS. None when it does not."""
    request = ApiVersionsRequest()
    request.API_VERSION = 0
    if _answer(lambda: _connected(host, port), request) is None:
        return None
    wanted = "SASL_PLAINTEXT" if security.has_sasl else "PLAINTEXT"
    return ConfigError(
        f"Broker {host}:{port} speaks without TLS there: use a port with TLS, or set security_protocol to {wanted}."
    )


def _speaks_tls(host: str, port: int) -> bool:
    """Whether the port performs a TLS handshake, or refuses one in TLS's own words. Certificates do not matter here."""
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


def _mechanisms_asked_for(connect: Connect) -> list[str] | None:
    """The SASL mechanisms with which a port wants connections to begin; None when it wants none, or does not say."""
    request = SaslHandshakeRequest(mechanism="PLAIN")
    request.API_VERSION = 1
    answer = _answer(connect, request)
    return None if answer is None or answer.error_code == ErrorCode.ILLEGAL_SASL_STATE else sorted(answer.mechanisms)


def _connected(host: str, port: int) -> socket.socket:
    return socket.create_connection((host, port), timeout=_TIMEOUT_S)


def _answer(connect: Connect, request: Any) -> Any:
    """The answer to one request on a connection of its own, or None."""
    try:
        with connect() as sock:
            sock.settimeout(_TIMEOUT_S)
            sock.sendall(encode_request(request, correlation_id=1, client_id="kafka-backup"))
            size = _LENGTH.unpack(_exactly(sock, _LENGTH.size))[0]
            data = _exactly(sock, size) if 0 < size <= _LARGEST_BYTES else b""
            key, version = request.API_KEY, request.API_VERSION
            correlation_id, answer = decode_response(memoryview(data), api_key=key, api_version=version)
    except Exception:  # whatever it is, it is no answer
        return None
    return answer if correlation_id == 1 else None


def _exactly(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = sock.recv(size - len(data))
        if not part:
            raise ConnectionError("closed")
        data += part
    return data
