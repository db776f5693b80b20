"""One connection to one broker: a request in, its answer out, in order. Whole answers are read into one buffer."""

from __future__ import annotations

import socket
import struct
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from tasks.broker.wire import ApiVersionsRequest, decode_response, encode_request
from tasks.model.errors import BrokerUnavailableError, UnsupportedError

_UNSUPPORTED_VERSION = 35
_KEPT_BUFFER_BYTES = 64 << 10
_LARGEST_KEPT_BYTES = 12 << 20
_LARGEST_ANSWER_BYTES = 256 << 20
"""More than any answer we ask for. What speaks another protocol seems to announce more: a TLS alert is 336 MiB."""

_LARGEST_JOINED_BYTES = 256 << 10
_BUFFERS_PER_CALL = 512
"""The kernel takes at most 1,024 at once."""

_LENGTH = struct.Struct(">i")


class BrokerAddress(NamedTuple):
    """Where a broker listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionOptions:
    """How to reach a cluster. `retry_deadline_ms`: how long trouble that may pass is waited out."""

    bootstrap_servers: tuple[str, ...]
    client_id: str = "kafka-backup"
    request_timeout_ms: int = 30_000
    retry_deadline_ms: int = 120_000


class _Pending(NamedTuple):
    correlation_id: int
    api_key: int
    api_version: int
    patience_ms: int


class Connection:
    """A blocking connection for one thread. Opening it connects and asks which versions the broker speaks.

    Every failure closes it and raises `BrokerUnavailableError`: a connection that has failed is done with.
    """

    def __init__(self, address: BrokerAddress, options: ConnectionOptions) -> None:
        self.address = address
        self._options = options
        self._pending: deque[_Pending] = deque()
        self._next_id = 0
        self._buffer = bytearray(_KEPT_BUFFER_BYTES)
        self._throttled_ms = 0
        self._socket: socket.socket | None = self._connect()
        self.versions = self._negotiate()

    @property
    def is_open(self) -> bool:
        """Whether requests may be sent."""
        return self._socket is not None

    @property
    def in_flight(self) -> int:
        """Requests sent whose answers have not been received."""
        return len(self._pending)

    def pick(self, api_key: int, lowest: int, highest: int) -> int:
        """The highest version of a request that the broker and the caller know. Raises `UnsupportedError`."""
        theirs = self.versions.get(api_key)
        version = min(highest, theirs[1]) if theirs else -1
        if theirs is None or version < max(lowest, theirs[0]):
            raise UnsupportedError(
                f"The broker at {self.address} does not speak request {api_key} as this version does."
            )
        return version

    def call(self, request: Any) -> Any:
        """Send one request, whose `API_VERSION` is set, and wait for its answer.

        Answers come in order: while others are in flight, the connection is given up instead of mistaking one of them.
        """
        if self._pending:
            raise self._failed("answers that nobody waits for are in flight")
        self.send(request)
        return self.receive()

    def send(self, request: Any, *, patience_ms: int = 0) -> None:
        """Send a request. Its answer may take `patience_ms` longer than the request timeout."""
        data = encode_request(request, correlation_id=self._next_id, client_id=self._options.client_id)
        self.send_encoded([data], request.API_KEY, request.API_VERSION, patience_ms=patience_ms)

    def send_encoded(self, buffers: list[bytes], api_key: int, api_version: int, *, patience_ms: int = 0) -> None:
        """Send a request that the caller encoded with `next_correlation_id`, as buffers in order."""
        sock = self._open_socket()
        self._pending.append(_Pending(self._next_id, api_key, api_version, patience_ms))
        self._next_id = (self._next_id + 1) & 0x7FFFFFFF
        try:
            sock.settimeout(self._options.request_timeout_ms / 1000)
            _send_all(sock, buffers)
        except OSError as error:
            raise self._failed(f"sending failed: {error}") from None

    @property
    def next_correlation_id(self) -> int:
        """The correlation id that the next request has to carry."""
        return self._next_id

    def receive(self) -> Any:
        """The answer to the oldest request in flight."""
        sock = self._open_socket()
        expected = self._pending.popleft()
        # A throttled broker answers at once and mutes the channel: the answer after that is the late one.
        patience_ms = self._options.request_timeout_ms + expected.patience_ms + self._throttled_ms
        deadline = time.monotonic() + patience_ms / 1000
        head = memoryview(bytearray(_LENGTH.size))
        self._fill(sock, head, deadline)
        size = _LENGTH.unpack(head)[0]
        if not 0 < size <= _LARGEST_ANSWER_BYTES:
            raise self._failed("what it sends is not Kafka's protocol; perhaps the port expects TLS")
        if len(self._buffer) < size:
            self._buffer = bytearray(size)
        view = memoryview(self._buffer)[:size]
        self._fill(sock, view, deadline)
        correlation_id, response = self._decode(view, expected)
        if len(self._buffer) > _LARGEST_KEPT_BYTES:
            self._buffer = bytearray(_KEPT_BUFFER_BYTES)
        if correlation_id != expected.correlation_id:
            raise self._failed("it answered another request than was asked")
        self._throttled_ms = getattr(response, "throttle_time_ms", 0) or 0
        return response

    def close(self) -> None:
        """Close the socket; answers in flight are lost. May be called twice."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self._pending.clear()

    def _open_socket(self) -> socket.socket:
        if self._socket is None:
            raise BrokerUnavailableError(f"The connection to {self.address} is closed.")
        return self._socket

    def _connect(self) -> socket.socket:
        try:
            sock = socket.create_connection(self.address, timeout=self._options.request_timeout_ms / 1000)
        except OSError as error:
            raise BrokerUnavailableError(f"Cannot connect to {self.address}: {error}.") from None
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        return sock

    def _negotiate(self) -> dict[int, tuple[int, int]]:
        response = None
        for version in (3, 0):
            request = ApiVersionsRequest(client_software_name="kafka-backup", client_software_version="1")
            request.API_VERSION = version
            response = self.call(request)
            if response.error_code != _UNSUPPORTED_VERSION:
                break
        if response is None or response.error_code:
            raise self._failed("it does not say which requests it speaks")
        return {one.api_key: (one.min_version, one.max_version) for one in response.api_keys}

    def _decode(self, view: memoryview, expected: _Pending) -> tuple[int, Any]:
        try:
            with view:
                return decode_response(view, api_key=expected.api_key, api_version=expected.api_version)
        except Exception as error:  # the library raises whatever its parsers stumble over
            raise self._failed(f"its answer cannot be read: {error!r}") from error

    def _fill(self, sock: socket.socket, view: memoryview, deadline: float) -> None:
        filled = 0
        while filled < len(view):
            try:
                sock.settimeout(max(0.001, deadline - time.monotonic()))
                count = sock.recv_into(view[filled:])
            except OSError as error:
                raise self._failed(f"receiving failed: {error}") from None
            if count == 0:
                raise self._failed("it closed the connection")
            filled += count

    def _failed(self, what: str) -> BrokerUnavailableError:
        self.close()
        return BrokerUnavailableError(f"Broker {self.address}: {what}.")


def _send_all(sock: socket.socket, buffers: Sequence[bytes]) -> None:
    """Send the buffers in order: small ones joined, which is cheaper than a call with many, large ones as they are."""
    if sum(map(len, buffers)) <= _LARGEST_JOINED_BYTES:
        sock.sendall(b"".join(buffers))
        return
    for start in range(0, len(buffers), _BUFFERS_PER_CALL):
        pending = deque(memoryview(buffer) for buffer in buffers[start : start + _BUFFERS_PER_CALL])
        while pending:
            sent = sock.sendmsg(pending)
            while pending and sent >= len(pending[0]):
                sent -= len(pending.popleft())
            if sent:
                pending[0] = pending[0][sent:]
