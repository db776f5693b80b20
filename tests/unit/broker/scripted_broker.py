"""A scripted broker on 127.0.0.1: it speaks Kafka's protocol over real sockets, and a test defines its answers."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, NamedTuple, Self

from kafka.protocol.metadata import ApiVersionsResponse

from tasks.broker.auth.security import UNPROTECTED, Security
from tasks.broker.messages.api_keys import ApiKey
from tasks.broker.raw.connection import ConnectionOptions
from tasks.model.waiting import Contact, OnWaiting

SUPPORTED: dict[int, tuple[int, int]] = {
    ApiKey.PRODUCE: (3, 9),
    ApiKey.FETCH: (4, 17),
    ApiKey.LIST_OFFSETS: (1, 9),
    ApiKey.METADATA: (0, 12),
    ApiKey.SASL_HANDSHAKE: (0, 1),
    ApiKey.API_VERSIONS: (0, 3),
    ApiKey.INIT_PRODUCER_ID: (0, 4),
    ApiKey.DESCRIBE_LOG_DIRS: (0, 4),
    ApiKey.SASL_AUTHENTICATE: (0, 2),
}
"""The lowest and highest version of each request."""


class ReceivedRequest(NamedTuple):
    """One request as it arrived: the fields of the header, and everything after the client id."""

    api_key: int
    version: int
    correlation_id: int
    client_id: str
    body: bytes

    def decoded(self, request_class: Any) -> Any:
        """The body as a message of kafka-python. In flexible versions one byte of header tags precedes it."""
        body = self.body[1:] if request_class.flexible_version_q(self.version) else self.body
        return request_class.decode(body, version=self.version)


class Raw(NamedTuple):
    """An answer given as bytes: everything after the length."""

    data: bytes


class Held(NamedTuple):
    """An answer that is sent together with the answer to the next request."""

    response: Any


Answer = Callable[[ReceivedRequest], Any]
"""Returns a response message, `Raw` bytes, one of these as `Held`, or None to close the connection."""


def options(
    *servers: str,
    request_timeout_ms: int = 5_000,
    retry_deadline_ms: int = 5_000,
    connect_timeout_ms: int = 5_000,
    on_waiting: OnWaiting | None = None,
    security: Security = UNPROTECTED,
    rack: str = "",
) -> ConnectionOptions:
    """Options with short timeouts, so that a broken client fails instead of hanging."""
    return ConnectionOptions(
        bootstrap_servers=servers,
        security=security,
        client_id="tester",
        request_timeout_ms=request_timeout_ms,
        retry_deadline_ms=retry_deadline_ms,
        connect_timeout_ms=connect_timeout_ms,
        rack=rack,
        contact=Contact(on_waiting),
    )


class ScriptedBroker:
    """Listens from the beginning of `with` to its end. `received` are the requests so far.

    `answers` has a function for each kind of request; every other request closes the connection. With `tls`,
    connections begin with a TLS handshake.
    """

    def __init__(
        self,
        answers: dict[int, Answer] | None = None,
        *,
        tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        self._tls = tls
        self.answers: dict[int, Answer] = {ApiKey.API_VERSIONS: versions(), **(answers or {})}
        self.received: list[ReceivedRequest] = []
        self.connections = 0
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, 0), family=family)
        self._host = f"[{host}]" if ":" in host else host
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    @property
    def port(self) -> int:
        """The port on which it listens."""
        port: int = self._listener.getsockname()[1]
        return port

    @property
    def address(self) -> str:
        """`host:port`."""
        return f"{self._host}:{self.port}"

    def requests(self, api_key: int) -> list[ReceivedRequest]:
        """The requests of one kind, in order."""
        return [received for received in self.received if received.api_key == api_key]

    def __enter__(self) -> Self:
        self._run(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in self._open:
            _shut_down(sock)
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
            unsent = b""
            while (received := _read(sock)) is not None:
                self.received.append(received)
                answer = self.answers.get(received.api_key, _close_connection)(received)
                if answer is None:
                    break
                response = answer.response if isinstance(answer, Held) else answer
                data = response.data if isinstance(response, Raw) else _encoded(response, received)
                unsent += struct.pack(">i", len(data)) + data
                if not isinstance(answer, Held):
                    sock.sendall(unsent)
                    unsent = b""
        except OSError:
            pass
        finally:
            _shut_down(sock)


def _close_connection(received: ReceivedRequest) -> Any:
    return None


def versions(
    supported: Mapping[int, tuple[int, int]] | None = None, *, only: Mapping[int, tuple[int, int]] = SUPPORTED
) -> Answer:
    """An answer to ApiVersions: `only` these, with the versions of `supported` instead for some requests."""

    def answer(received: ReceivedRequest) -> Any:
        key = ApiVersionsResponse.ApiVersion
        keys = [
            key(api_key=number, min_version=low, max_version=high)
            for number, (low, high) in {**only, **(supported or {})}.items()
        ]
        return ApiVersionsResponse(error_code=0, api_keys=keys, throttle_time_ms=0)

    return answer


def _encoded(response: Any, received: ReceivedRequest) -> bytes:
    response.API_VERSION = received.version
    response.with_header(correlation_id=received.correlation_id)
    data: bytes = response.encode(header=True)
    return data


def _read(sock: socket.socket) -> ReceivedRequest | None:
    head = _receive_exactly(sock, 4)
    data = _receive_exactly(sock, struct.unpack(">i", head)[0]) if head else b""
    if not data:
        return None
    api_key, version, correlation_id, length = struct.unpack_from(">hhih", data)
    return ReceivedRequest(api_key, version, correlation_id, data[10 : 10 + length].decode(), data[10 + length :])


def _receive_exactly(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = sock.recv(size - len(data))
        if not part:
            return b""
        data += part
    return data


def _shut_down(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
    sock.close()
