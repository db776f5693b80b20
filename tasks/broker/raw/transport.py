"""Opens sockets to brokers, with TLS if configured, sends many buffers over a socket with or without TLS, and reads the
TLS alert of a closed connection."""

from __future__ import annotations

import socket
import ssl
from collections import deque
from collections.abc import Iterator, Sequence

from tasks.broker.auth.security import Security
from tasks.broker.auth.tls import tls_handshake
from tasks.broker.raw.diagnosis import plaintext_port_error
from tasks.model.errors import BrokerUnavailableError

_LARGEST_JOINED_BYTES = 256 << 10
_BUFFERS_PER_CALL = 512
"""The kernel accepts at most 1,024 buffers per call (IOV_MAX)."""

_LONGEST_CONNECT_S = 10.0
_ALERT_TIMEOUT_S = 1.0


def connect(host: str, port: int, *, timeout_s: float) -> socket.socket:
    """A connected socket to the broker, without TLS. Waits at most `timeout_s` and at most 10 s. Raises
    `BrokerUnavailableError` with the reason if it cannot connect."""
    longest_s = min(timeout_s, _LONGEST_CONNECT_S)
    try:
        sock = socket.create_connection((host, port), timeout=longest_s)
    except (OSError, UnicodeError) as error:  # UnicodeError: the host name is invalid
        reason = _connect_reason(error, host, longest_s)
        raise BrokerUnavailableError(f"Cannot connect to {address_text(host, port)}: {reason}.") from None
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    return sock


def secure(sock: socket.socket, host: str, port: int, security: Security, *, diagnoses: bool = True) -> socket.socket:
    """The socket after the TLS handshake; without TLS, the same socket. With `diagnoses`, one more connection is opened
    after a failed handshake to find out why. Closes the socket if it raises an error.

    Raises `BrokerUnavailableError` for errors that a retry can solve, `AccessError` and `ConfigError` for others.
    """
    if not security.has_tls:
        return sock
    try:
        return tls_handshake(sock, host, security, where=address_text(host, port))
    except BrokerUnavailableError as error:
        sock.close()
        permanent = plaintext_port_error(security, host, port) if diagnoses else None
        raise (permanent or error) from None
    except BaseException:
        sock.close()
        raise


def address_text(host: str, port: int) -> str:
    """`host:port`, with an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _connect_reason(error: OSError | UnicodeError, host: str, timeout_s: float) -> str:
    if isinstance(error, UnicodeError) or (isinstance(error, socket.gaierror) and error.errno == socket.EAI_NONAME):
        return f"the name {host} is unknown"
    if isinstance(error, socket.gaierror):
        return f"the name {host} cannot be resolved ({str(error.strerror).lower()})"
    if isinstance(error, TimeoutError):
        return f"no answer within {timeout_s:.0f} s"
    return str(error.strerror or error).lower()


def send_all(sock: socket.socket, buffers: Sequence[bytes]) -> None:
    """Send the buffers in order, with few system calls and without copies. A TLS socket needs copies of small ones."""
    if isinstance(sock, ssl.SSLSocket):
        for joined in _joined_small_buffers(buffers):
            sock.sendall(joined)
    else:
        _send_vectors(sock, buffers)


def pending_tls_alert(sock: socket.socket) -> OSError | None:
    """The unread TLS alert that a broker sent before it closed the connection; None if there is none. Call it after a
    send failed. Waits up to 1 s."""
    if not isinstance(sock, ssl.SSLSocket):
        return None
    try:
        sock.settimeout(_ALERT_TIMEOUT_S)
        sock.recv(1)
    except OSError as error:
        return error if isinstance(error, ssl.SSLError) and error.reason else None
    return None


def _send_vectors(sock: socket.socket, buffers: Sequence[bytes]) -> None:
    for start in range(0, len(buffers), _BUFFERS_PER_CALL):
        part = buffers[start : start + _BUFFERS_PER_CALL]
        sent = sock.sendmsg(part)
        if sent < sum(map(len, part)):
            _send_rest(sock, part, sent)


def _send_rest(sock: socket.socket, buffers: Sequence[bytes], sent: int) -> None:
    """Send the bytes of the buffers after the first `sent`."""
    pending = deque(memoryview(buffer) for buffer in buffers)
    while pending:
        while pending and sent >= len(pending[0]):
            sent -= len(pending.popleft())
        if pending:
            pending[0] = pending[0][sent:]
            sent = sock.sendmsg(pending)


def _joined_small_buffers(buffers: Sequence[bytes]) -> Iterator[bytes]:
    """The buffers in their order, with small neighbours joined, because a TLS socket needs one call and one TLS record
    for each buffer."""
    small: list[bytes] = []
    size = 0
    for buffer in buffers:
        if small and size + len(buffer) > _LARGEST_JOINED_BYTES:
            yield b"".join(small)
            small, size = [], 0
        small.append(buffer)
        size += len(buffer)
    yield small[0] if len(small) == 1 else b"".join(small)
