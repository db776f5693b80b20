"""One connection to one broker: a request in, its answer out, in order. Whole answers are read into one buffer."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from tasks.broker.auth.sasl import Session, authenticate
from tasks.broker.auth.security import UNPROTECTED, Security
from tasks.broker.error_codes import ErrorCode
from tasks.broker.messages.wire import ApiVersionsRequest, decode_response, encode_request
from tasks.broker.raw.diagnosis import foreign, lasting_reason
from tasks.broker.raw.transport import last_words, open_socket, send_all
from tasks.model.errors import BrokerUnavailableError, InterruptedRunError, KafkaBackupError, UnsupportedError

_KEPT_BUFFER_BYTES = 64 << 10
_LARGEST_KEPT_BYTES = 12 << 20
_LARGEST_ANSWER_BYTES = 256 << 20
"""More than any answer we ask for. What speaks another protocol seems to announce more: a TLS alert is 336 MiB."""

_BEFORE_ALL_OTHERS = frozenset({17, 18, 36})
"""SaslHandshake, ApiVersions, SaslAuthenticate: what a broker answers before it lets anybody do anything."""

_LENGTH = struct.Struct(">i")

_STOP_CHECK_S = 0.5
"""How long a wait for a broker that sends nothing does not look at `stop`."""


class BrokerAddress(NamedTuple):
    """Where a broker listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionOptions:
    """How to reach a cluster, and as whom. `retry_deadline_ms`: how long trouble that may pass is waited out."""

    bootstrap_servers: tuple[str, ...]
    security: Security = UNPROTECTED
    client_id: str = "kafka-backup"
    request_timeout_ms: int = 30_000
    retry_deadline_ms: int = 120_000


class _Pending(NamedTuple):
    correlation_id: int
    api_key: int
    api_version: int
    patience_ms: int


class Connection:
    """A blocking connection for one thread. Opening it connects, asks which versions the broker speaks, and
    authenticates.

    Every failure closes it and raises `BrokerUnavailableError`: a connection that has failed is done with. Until it has
    answered a first request, what no repetition changes raises `AccessError` or `ConfigError` instead.

    Where sessions end, the first request that is sent with nothing in flight after most of its time is preceded by a
    new authentication. So whoever pipelines requests stops sending while `is_draining`.
    """

    def __init__(self, address: BrokerAddress, options: ConnectionOptions) -> None:
        self.address = address
        self._options = options
        self._pending: deque[_Pending] = deque()
        self._next_id = 0
        self._buffer = bytearray(_KEPT_BUFFER_BYTES)
        self._filled = 0
        self._throttled_ms = 0
        self._is_proven = False
        self._session = Session()
        self.versions: dict[int, tuple[int, int]] = {}
        self._socket: socket.socket | None = self._connect()
        self.versions = self._negotiate()
        if options.security.has_sasl:
            self._begin_session()

    @property
    def is_open(self) -> bool:
        """Whether requests may be sent."""
        return self._socket is not None

    @property
    def in_flight(self) -> int:
        """Requests sent whose answers have not been received."""
        return len(self._pending)

    @property
    def is_draining(self) -> bool:
        """Whether the session has to be renewed before the next request, once all answers are here."""
        return bool(self._pending) and self._is_ending()

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

        def encode(correlation_id: int) -> list[bytes]:
            return [encode_request(request, correlation_id=correlation_id, client_id=self._options.client_id)]

        self.send_encoded(encode, request.API_KEY, request.API_VERSION, patience_ms=patience_ms)

    def send_encoded(
        self, encode: Callable[[int], list[bytes]], api_key: int, api_version: int, *, patience_ms: int = 0
    ) -> None:
        """Send a request that the caller encodes for the correlation id it is given, as buffers in order."""
        if not self._pending and self._is_ending():
            self._begin_session()
        sock = self._open_socket()
        buffers = encode(self._next_id)
        self._pending.append(_Pending(self._next_id, api_key, api_version, patience_ms))
        self._next_id = (self._next_id + 1) & 0x7FFFFFFF
        try:
            sock.settimeout(self._options.request_timeout_ms / 1000)
            send_all(sock, buffers)
        except OSError as error:
            raise self._lost(f"sending failed: {error}", last_words(sock) or error) from None

    def receive(self, stop: threading.Event | None = None) -> Any:
        """The answer to the oldest request in flight. While the broker sends nothing, `stop` ends the wait: the
        connection is closed, and `InterruptedRunError` raised."""
        sock = self._open_socket()
        expected = self._pending.popleft()
        # A throttled broker answers at once and mutes the channel: the answer after that is the late one.
        patience_ms = self._options.request_timeout_ms + expected.patience_ms + self._throttled_ms
        deadline = time.monotonic() + patience_ms / 1000
        self._fill(sock, _LENGTH.size, deadline, stop)
        size = _LENGTH.unpack_from(self._buffer)[0]
        if not 0 < size <= _LARGEST_ANSWER_BYTES:
            raise self._foreign()
        end = _LENGTH.size + size
        self._fill(sock, end, deadline, stop)
        correlation_id, response = self._decode(memoryview(self._buffer)[_LENGTH.size : end], expected)
        self._forget(end)
        if correlation_id != expected.correlation_id:
            raise self._failed("it answered another request than was asked")
        self._throttled_ms = getattr(response, "throttle_time_ms", 0) or 0
        self._is_proven = self._is_proven or expected.api_key not in _BEFORE_ALL_OTHERS
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
        timeout_s = self._options.request_timeout_ms / 1000
        return open_socket(*self.address, self._options.security, timeout_s=timeout_s)

    def _negotiate(self) -> dict[int, tuple[int, int]]:
        response = None
        for version in (3, 0):
            request = ApiVersionsRequest(client_software_name="kafka-backup", client_software_version="1")
            request.API_VERSION = version
            response = self.call(request)
            if response.error_code != ErrorCode.UNSUPPORTED_VERSION:
                break
        if response is None or response.error_code:
            raise self._failed("it does not say which requests it speaks")
        return {one.api_key: (one.min_version, one.max_version) for one in response.api_keys}

    def _begin_session(self) -> None:
        """Authenticate, for the first time or again; nothing is in flight."""
        self._session = Session()  # the exchange's own requests are not to be preceded by another one
        try:
            self._session = authenticate(self._ask, self._options.security, where=str(self.address))
        except KafkaBackupError:
            self.close()
            raise

    def _ask(self, request: Any, lowest: int, highest: int) -> Any:
        request.API_VERSION = self.pick(request.API_KEY, lowest, highest)
        return self.call(request)

    def _is_ending(self) -> bool:
        """A broker that throttles reads each request only after it has muted the channel."""
        return self._session.is_ending(muted_ms=(1 + len(self._pending)) * self._throttled_ms)

    def _decode(self, view: memoryview, expected: _Pending) -> tuple[int, Any]:
        try:
            with view:
                return decode_response(view, api_key=expected.api_key, api_version=expected.api_version)
        except Exception as error:  # the library raises whatever its parsers stumble over
            raise self._failed(f"its answer cannot be read: {error!r}") from error

    def _fill(self, sock: socket.socket, needed: int, deadline: float, stop: threading.Event | None) -> None:
        """Receive until the buffer holds `needed` bytes; what comes with them is the beginning of the next answer."""
        if len(self._buffer) < needed:
            self._buffer += bytes(needed - len(self._buffer))
        with memoryview(self._buffer) as view:
            while self._filled < needed:
                left_s = max(0.001, deadline - time.monotonic())
                try:
                    sock.settimeout(min(left_s, _STOP_CHECK_S))
                    count = sock.recv_into(view[self._filled :])
                except TimeoutError as error:
                    self._heed(stop)
                    if left_s > _STOP_CHECK_S:
                        continue
                    raise self._lost(f"receiving failed: {error}", error) from None
                except OSError as error:
                    raise self._lost(f"receiving failed: {error}", error) from None
                if count == 0:
                    raise self._lost("it closed the connection")
                self._filled += count

    def _heed(self, stop: threading.Event | None) -> None:
        if stop is not None and stop.is_set():
            self.close()
            raise InterruptedRunError("Stopped on request.") from None

    def _forget(self, end: int) -> None:
        """Drop the answer that ends at `end`; keep the beginning of the next one."""
        rest = self._buffer[end : self._filled]
        if len(self._buffer) > _LARGEST_KEPT_BYTES:
            self._buffer = bytearray(_KEPT_BUFFER_BYTES)
        self._buffer[: len(rest)] = rest
        self._filled = len(rest)

    def _failed(self, what: str) -> BrokerUnavailableError:
        self.close()
        return BrokerUnavailableError(f"Broker {self.address}: {what}.")

    def _lost(self, what: str, error: OSError | None = None) -> KafkaBackupError:
        """The connection has gone. Before its first useful answer the reason may be one that stays."""
        failed = self._failed(what)
        if self._is_proven:
            return failed
        lasting = lasting_reason(
            error, self._options.security, *self.address, has_answered=bool(self.versions), connect=self._connect
        )
        return lasting or failed

    def _foreign(self) -> KafkaBackupError:
        """On a connection that has just been opened that will not change."""
        failed = self._failed("what it sends is not Kafka's protocol")
        return failed if self._is_proven else foreign(self._options.security, str(self.address))
