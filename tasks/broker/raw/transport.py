"""Sockets to brokers: opened, encrypted if asked for, and how many buffers are sent over either kind."""

from __future__ import annotations

import socket
import ssl
from collections import deque
from collections.abc import Iterator, Sequence

from tasks.broker.auth.security import Security
from tasks.broker.auth.tls import wrap
from tasks.broker.raw.diagnosis import without_tls
from tasks.model.errors import BrokerUnavailableError

_LARGEST_JOINED_BYTES = 256 << 10
_BUFFERS_PER_CALL = 512
"""The kernel takes at most 1,024 at once."""

_LARGEST_CONNECT_S = 10.0
_LAST_WORDS_S = 1.0


def open_socket(host: str, port: int, security: Security, *, timeout_s: float) -> socket.socket:
    """A socket to the broker, after the TLS handshake if there is to be one.

    Raises `BrokerUnavailableError` for what may pass, `AccessError` and `ConfigError` for what does not.
    """
    where = f"{host}:{port}"
    try:
        sock = socket.create_connection((host, port), timeout=min(timeout_s, _LARGEST_CONNECT_S))
    except (OSError, UnicodeError) as error:  # UnicodeError: a host name that cannot be one
        raise BrokerUnavailableError(f"Cannot connect to {where}: {error}.") from None
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    return _encrypted(sock, host, port, security) if security.has_tls else sock


def _encrypted(sock: socket.socket, host: str, port: int, security: Security) -> socket.socket:
    try:
        return wrap(sock, host, security, where=f"{host}:{port}")
    except BrokerUnavailableError as error:
        sock.close()
        raise (without_tls(security, host, port) or error) from None
    except BaseException:
        sock.close()
        raise


def send_all(sock: socket.socket, buffers: Sequence[bytes]) -> None:
    """Send the buffers in order: small ones joined, which is cheaper than a call with many, large ones as they are."""
    if sum(map(len, buffers)) <= _LARGEST_JOINED_BYTES:
        sock.sendall(b"".join(buffers))
    elif isinstance(sock, ssl.SSLSocket):
        for portion in _portions(buffers):
            sock.sendall(portion)
    else:
        _send_vectors(sock, buffers)


def last_words(sock: socket.socket) -> OSError | None:
    """The alert that a broker sent before it went, when sending failed and nobody has read it yet."""
    if not isinstance(sock, ssl.SSLSocket):
        return None
    try:
        sock.settimeout(_LAST_WORDS_S)
        sock.recv(1)
    except OSError as error:
        return error if isinstance(error, ssl.SSLError) and error.reason else None
    return None


def _send_vectors(sock: socket.socket, buffers: Sequence[bytes]) -> None:
    for start in range(0, len(buffers), _BUFFERS_PER_CALL):
        pending = deque(memoryview(buffer) for buffer in buffers[start : start + _BUFFERS_PER_CALL])
        while pending:
            sent = sock.sendmsg(pending)
            while pending and sent >= len(pending[0]):
                sent -= len(pending.popleft())
            if sent:
                pending[0] = pending[0][sent:]


def _portions(buffers: Sequence[bytes]) -> Iterator[bytes]:
    """The buffers with small neighbours joined: TLS sockets take one at a time, and each makes a record of its own."""
    small: list[bytes] = []
    size = 0
    for buffer in buffers:
        if small and size + len(buffer) > _LARGEST_JOINED_BYTES:
            yield b"".join(small)
            small, size = [], 0
        small.append(buffer)
        size += len(buffer)
    yield small[0] if len(small) == 1 else b"".join(small)
