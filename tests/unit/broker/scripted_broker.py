"""A broker of one's own on 127.0.0.1: it speaks Kafka's protocol over real sockets and answers as a test tells it."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, NamedTuple, Self

from kafka.protocol.metadata import ApiVersionsResponse

from tasks.broker.auth.security import UNPROTECTED, Security
from tasks.broker.raw.connection import ConnectionOptions

API_VERSIONS = 18
SPOKEN = {0: (3, 9), 1: (4, 17), 2: (1, 9), 3: (0, 12), 17: (0, 1), 18: (0, 3), 22: (0, 4), 35: (0, 4), 36: (0, 2)}


class Asked(NamedTuple):
    """One request as it arrived: header fields, and everything after the client id."""

    api_key: int
    version: int
    correlation_id: int
    client_id: str
    body: bytes

    def decoded(self, request_class: Any) -> Any:
        """The body as a message of kafka-python; only flexible versions have header tags before it."""
        body = self.body[1:] if request_class.flexible_version_q(self.version) else self.body
        return request_class.decode(body, version=self.version)


class Raw(NamedTuple):
    """An answer given as bytes: everything after the length."""

    data: bytes


Answer = Callable[[Asked], Any]
"""Returns a response message, `Raw` bytes, or None to close the connection."""


def options(
    *servers: str,
    request_timeout_ms: int = 5_000,
    retry_deadline_ms: int = 5_000,
    security: Security = UNPROTECTED,
) -> ConnectionOptions:
    """Options with short timeouts, so that a broken client fails instead of hanging."""
    return ConnectionOptions(
        bootstrap_servers=servers,
        security=security,
        client_id="tester",
        request_timeout_ms=request_timeout_ms,
        retry_deadline_ms=retry_deadline_ms,
    )


class ScriptedBroker:
    """Listens between `with` and its end. `asked` holds the requests so far; one that nobody scripted closes.

    With `tls` connections begin with a handshake.
    """

    def __init__(self, answers: dict[int, Answer] | None = None, *, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self.answers: dict[int, Answer] = {API_VERSIONS: versions(), **(answers or {})}
        self.asked: list[Asked] = []
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    @property
    def port(self) -> int:
        """Where it listens."""
        port: int = self._listener.getsockname()[1]
        return port

    @property
    def address(self) -> str:
        """`host:port`."""
        return f"127.0.0.1:{self.port}"

    def of(self, api_key: int) -> list[Asked]:
        """The requests of one kind."""
        return [asked for asked in self.asked if asked.api_key == api_key]

    def __enter__(self) -> Self:
        self._run(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in self._open:
            _end(sock)
        for thread in self._threads:
            thread.join(5)

    def _run(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(sock)
            self._run(self._serve, sock)

    def _serve(self, sock: socket.socket) -> None:
        try:
            if self._tls is not None:
                sock = self._tls.wrap_socket(sock, server_side=True)
                self._open.append(sock)
            while (asked := _read(sock)) is not None:
                self.asked.append(asked)
                answer = self.answers.get(asked.api_key, _hang_up)(asked)
                if answer is None:
                    break
                data = answer.data if isinstance(answer, Raw) else _encoded(answer, asked)
                sock.sendall(struct.pack(">i", len(data)) + data)
        except OSError:
            pass
        finally:
            _end(sock)


def _hang_up(asked: Asked) -> Any:
    return None


def versions(spoken: dict[int, tuple[int, int]] | None = None) -> Answer:
    """An answer to ApiVersions."""

    def answer(asked: Asked) -> Any:
        key = ApiVersionsResponse.ApiVersion
        keys = [
            key(api_key=number, min_version=low, max_version=high)
            for number, (low, high) in (SPOKEN | (spoken or {})).items()
        ]
        return ApiVersionsResponse(error_code=0, api_keys=keys, throttle_time_ms=0)

    return answer


def _encoded(response: Any, asked: Asked) -> bytes:
    response.API_VERSION = asked.version
    response.with_header(correlation_id=asked.correlation_id)
    data: bytes = response.encode(header=True)
    return data


def _read(sock: socket.socket) -> Asked | None:
    head = _exactly(sock, 4)
    data = _exactly(sock, struct.unpack(">i", head)[0]) if head else b""
    if not data:
        return None
    api_key, version, correlation_id, length = struct.unpack_from(">hhih", data)
    return Asked(api_key, version, correlation_id, data[10 : 10 + length].decode(), data[10 + length :])


def _exactly(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = sock.recv(size - len(data))
        if not part:
            return b""
        data += part
    return data


def _end(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
    sock.close()
