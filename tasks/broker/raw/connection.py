"""One connection to one broker: its setup, timeouts and buffers, requests, and their answers in the same order. Also
the options of all connections to a cluster, with their default deadlines."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tasks.broker.auth.lifetimes import peer_certificate_end_ms
from tasks.broker.auth.sasl import SaslSession, authenticate
from tasks.broker.auth.security import UNPROTECTED, Security
from tasks.broker.error_codes import ErrorCode
from tasks.broker.messages.api_keys import ApiKey
from tasks.broker.messages.wire import ApiVersionsRequest, decode_response, encode_request
from tasks.broker.raw.connection_gate import ConnectionGate, refusal_message
from tasks.broker.raw.diagnosis import not_kafka_error, permanent_error
from tasks.broker.raw.near_replicas import NearReplicas
from tasks.broker.raw.required_versions import version_error
from tasks.broker.raw.transport import address_text, connect, pending_tls_alert, secure, send_all
from tasks.model.errors import BrokerUnavailableError, InterruptedRunError, KafkaBackupError
from tasks.model.waiting import CONNECT_TIMEOUT_MS, Contact

_KEPT_BUFFER_BYTES = 64 << 10
_LARGEST_KEPT_BYTES = 12 << 20
_SENT_TOGETHER_BYTES = 64 << 10
"""Posted requests are not held back beyond this size. To hold larger ones back saves nothing, and a broker would wait
for them."""

_LARGEST_ANSWER_BYTES = 256 << 20
"""More than any answer to this program's requests. If a port has another protocol, its first bytes give a larger
number: a TLS alert gives 336 MiB."""

_LARGEST_CORRELATION_ID = 0x7FFFFFFF
_SETUP_REQUESTS = frozenset({ApiKey.SASL_HANDSHAKE, ApiKey.API_VERSIONS, ApiKey.SASL_AUTHENTICATE})
"""A broker answers these requests before it checks permissions, so their answers do not show that the connection is
usable."""

_API_VERSIONS_VERSIONS = (3, 0)
"""A broker that does not know the first version answers in the second one (KIP-511)."""

_LENGTH = struct.Struct(">i")

_SHORTEST_SETUP_MS = 2_000

_STOP_CHECK_S = 0.2
"""The time between two checks of `stop` in a blocked receive. It is less than the time that brokers wait for records of
a fetch."""


class BrokerAddress(NamedTuple):
    """Host and port of a broker's listener."""

    host: str
    port: int

    def __str__(self) -> str:
        return address_text(self.host, self.port)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionOptions:
    """How to connect to a cluster.

    An operation is retried after retryable errors for `retry_deadline_ms`. Until the cluster has answered for the first
    time, it is retried only for `connect_timeout_ms`. All connections with these options, or with a copy made by
    `replace`, share `contact`, `gate` and `near_replicas`. `rack` is the client's rack: records are read from a replica
    there, if the cluster allows it. Empty means from the leaders.
    """

    bootstrap_servers: tuple[str, ...]
    security: Security = UNPROTECTED
    client_id: str = "kafka-backup"
    request_timeout_ms: int = 30_000
    retry_deadline_ms: int = 120_000
    connect_timeout_ms: int = CONNECT_TIMEOUT_MS
    rack: str = ""
    contact: Contact = field(default_factory=Contact, repr=False, compare=False)
    gate: ConnectionGate = field(default_factory=ConnectionGate, repr=False, compare=False)
    near_replicas: NearReplicas = field(default_factory=NearReplicas, repr=False, compare=False)

    def deadline_ms(self) -> int:
        """How long an operation is retried, in milliseconds. It becomes longer when the cluster answers for the first
        time."""
        return self.contact.deadline_ms(
            connect_timeout_ms=self.connect_timeout_ms, retry_deadline_ms=self.retry_deadline_ms
        )

    def setup_timeout_ms(self) -> int:
        """The longest time in milliseconds for one step of opening a connection. Until the cluster has answered, the
        bootstrap servers share the connect timeout."""
        if self.contact.has_answered:
            return self.request_timeout_ms
        share_ms = max(_SHORTEST_SETUP_MS, self.connect_timeout_ms // max(1, len(self.bootstrap_servers)))
        return min(self.request_timeout_ms, self.connect_timeout_ms, share_ms)


class _Pending(NamedTuple):
    correlation_id: int
    api_key: int
    api_version: int
    extra_timeout_ms: int


class Connection:
    """A blocking connection for one thread. The constructor connects, requests the broker's versions, and
    authenticates.

    Every failure closes the connection and raises `BrokerUnavailableError`; a closed connection cannot be used again.
    Until the first request after the setup is answered, a permanent failure raises `AccessError` or `ConfigError`
    instead. If the broker refused connections before, the constructor waits until other threads have closed theirs;
    `stop` ends this wait with `InterruptedRunError`.

    If the broker limits the session, the connection has to authenticate again near the end of the session's lifetime.
    It does so in the next `send` without requests in flight, which then raises `AccessError` or `ConfigError` if the
    broker does not accept the credentials any more. A caller with several requests in flight has to stop sending while
    `is_draining`.
    """

    def __init__(
        self, address: BrokerAddress, options: ConnectionOptions, *, stop: threading.Event | None = None
    ) -> None:
        self.address = address
        self._options = options
        self._pending: deque[_Pending] = deque()
        self._unsent: list[bytes] = []
        self._unsent_bytes = 0
        self._next_id = 0
        self._buffer = bytearray(_KEPT_BUFFER_BYTES)
        self._filled = 0
        self._throttled_ms = 0
        self._is_established = False
        self._session = SaslSession()
        self.versions: dict[int, tuple[int, int]] = {}
        self._socket: socket.socket | None = None
        with options.contact.attempt(f"a free connection to {address}", reason="the broker refuses further ones"):
            self._ticket = options.gate.enter(str(address), patience_ms=options.deadline_ms(), stop=stop)
        try:
            with options.contact.attempt(str(address)):
                self._set_up()
        except BaseException:
            self.close()
            raise
        options.gate.establish(self._ticket)

    @property
    def is_open(self) -> bool:
        """Whether requests can be sent."""
        return self._socket is not None

    @property
    def in_flight(self) -> int:
        """The number of requests whose answers are not received yet, also those that are prepared and not sent yet."""
        return len(self._pending)

    @property
    def has_answer(self) -> bool:
        """Whether a whole answer was received already, so that `receive` does not wait."""
        if self._filled < _LENGTH.size:
            return False
        (length,) = _LENGTH.unpack_from(self._buffer)
        return bool(self._filled >= _LENGTH.size + length)

    @property
    def is_draining(self) -> bool:
        """Whether the caller has to receive all answers before it sends the next request, because the session has to be
        renewed."""
        return bool(self._pending) and self._is_session_ending()

    @property
    def session_lifetime_ms(self) -> int | None:
        """The time in milliseconds after which the broker requires a new authentication. None if it requires none."""
        return self._session.lifetime_ms or None

    @property
    def certificate_ends_ms(self) -> int | None:
        """When the broker's certificate ends, in Unix milliseconds. None without TLS."""
        return peer_certificate_end_ms(self._socket)

    def pick(self, api_key: int, lowest: int, highest: int) -> int:
        """The highest version of a request that both the broker and the caller support.

        Raises `UnsupportedError` if there is none.
        """
        supported = self.versions.get(api_key)
        version = min(highest, supported[1]) if supported else -1
        if supported is None or version < max(lowest, supported[0]):
            raise version_error(str(self.address), ApiKey(api_key), lowest, highest, self.versions)
        return version

    def call(self, request: Any, stop: threading.Event | None = None) -> Any:
        """Send one request, whose `API_VERSION` is set, and wait for its answer. `stop` as in `receive`.

        If another request is in flight, this closes the connection and raises `BrokerUnavailableError`, because the
        next answer belongs to that request.
        """
        if self._pending:
            raise self._close_with(f"The connection to broker {self.address} still has answers in flight.")
        self.send(request)
        return self.receive(stop)

    def send(self, request: Any, *, extra_timeout_ms: int = 0) -> None:
        """Send a request, whose `API_VERSION` is set. `receive` waits for its answer for the request timeout and
        `extra_timeout_ms`."""

        def encode(correlation_id: int) -> list[bytes]:
            return [encode_request(request, correlation_id=correlation_id, client_id=self._options.client_id)]

        self.send_encoded(encode, request.API_KEY, request.API_VERSION, extra_timeout_ms=extra_timeout_ms)

    def send_encoded(
        self, encode: Callable[[int], list[bytes]], api_key: int, api_version: int, *, extra_timeout_ms: int = 0
    ) -> None:
        """Send a request that the caller encodes. `encode` gets the correlation id and returns the buffers in order."""
        self.post(encode, api_key, api_version, extra_timeout_ms=extra_timeout_ms)
        self.flush()

    def post(
        self, encode: Callable[[int], list[bytes]], api_key: int, api_version: int, *, extra_timeout_ms: int = 0
    ) -> None:
        """Prepare a request that the next `flush` sends, or send it already if many bytes are prepared. Small requests
        are sent together, because one system call for all costs less than one for each. Call `flush` before
        `receive`."""
        if not self._pending and self._is_session_ending():
            self._authenticate()
        self._open_socket()
        buffers = encode(self._next_id)
        self._unsent += buffers
        self._unsent_bytes += sum(map(len, buffers))
        self._pending.append(_Pending(self._next_id, api_key, api_version, extra_timeout_ms))
        self._next_id = (self._next_id + 1) & _LARGEST_CORRELATION_ID
        if self._unsent_bytes >= _SENT_TOGETHER_BYTES:
            self.flush()

    def flush(self) -> None:
        """Send the prepared requests, if there are any."""
        if not self._unsent:
            return
        sock = self._open_socket()
        buffers, self._unsent, self._unsent_bytes = self._unsent, [], 0
        try:
            sock.settimeout(self._timeout_ms() / 1000)
            send_all(sock, buffers)
        except OSError as error:
            message = f"Sending to broker {self.address} failed: {error}."
            raise self._lost(message, pending_tls_alert(sock) or error) from None

    def receive(self, stop: threading.Event | None = None) -> Any:
        """The answer to the oldest request in flight. One has to be in flight.

        If `stop` is set while this waits, the connection is closed and `InterruptedRunError` is raised.
        """
        sock = self._open_socket()
        expected = self._pending.popleft()
        # A throttling broker answers at once and then stops reading for some time, so the next answer is late.
        timeout_ms = self._timeout_ms() + expected.extra_timeout_ms + self._throttled_ms
        deadline = time.monotonic() + timeout_ms / 1000
        self._fill(sock, _LENGTH.size, deadline, stop)
        size = _LENGTH.unpack_from(self._buffer)[0]
        if not 0 < size <= _LARGEST_ANSWER_BYTES:
            raise self._not_kafka()
        end = _LENGTH.size + size
        self._fill(sock, end, deadline, stop)
        correlation_id, response = self._decode(memoryview(self._buffer)[_LENGTH.size : end], expected)
        self._discard(end)
        if correlation_id != expected.correlation_id:
            raise self._close_with(f"Broker {self.address} sent the answer to another request.")
        self._throttled_ms = getattr(response, "throttle_time_ms", 0) or 0
        self._is_established = self._is_established or expected.api_key not in _SETUP_REQUESTS
        self._options.gate.note_answer(str(self.address))
        return response

    def close(self) -> None:
        """Close the socket. Answers in flight are lost. May be called twice."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self._pending.clear()
        self._unsent, self._unsent_bytes = [], 0
        self._options.gate.leave(self._ticket)

    def _open_socket(self) -> socket.socket:
        if self._socket is None:
            raise BrokerUnavailableError(f"The connection to {self.address} is closed.")
        return self._socket

    def _timeout_ms(self) -> int:
        return self._options.setup_timeout_ms()

    def _set_up(self) -> None:
        sock = connect(*self.address, timeout_s=self._options.setup_timeout_ms() / 1000)
        try:
            self._socket = self._secured(sock)
            self.versions = self._request_versions()
        except BrokerUnavailableError as error:
            is_silent = isinstance(error.__context__, TimeoutError)
            if self._options.gate.refuse(self._ticket, is_silent=is_silent):
                advice = refusal_message(str(self.address), is_silent=is_silent)
                raise BrokerUnavailableError(f"{error} {advice}") from None
            raise
        if self._options.security.has_sasl:
            self._authenticate()

    def _secured(self, sock: socket.socket) -> socket.socket:
        diagnoses = not self._options.gate.has_reached(str(self.address))
        return secure(sock, *self.address, self._options.security, diagnoses=diagnoses)

    def _connect_again(self) -> socket.socket:
        """A new socket to the same address, to find out why this connection failed."""
        return self._secured(connect(*self.address, timeout_s=self._options.setup_timeout_ms() / 1000))

    def _request_versions(self) -> dict[int, tuple[int, int]]:
        response = None
        for version in _API_VERSIONS_VERSIONS:
            request = ApiVersionsRequest(client_software_name="kafka-backup", client_software_version="1")
            request.API_VERSION = version
            response = self.call(request)
            if response.error_code != ErrorCode.UNSUPPORTED_VERSION:
                break
        if response is None or response.error_code:
            raise self._close_with(f"Broker {self.address} did not report which requests it supports.")
        return {one.api_key: (one.min_version, one.max_version) for one in response.api_keys}

    def _authenticate(self) -> None:
        """Authenticate for the first time or again. No request must be in flight."""
        self._session = SaslSession()  # so that the requests of the exchange do not start another exchange
        try:
            self._session = authenticate(self._call_picked, self._options.security, where=str(self.address))
        except KafkaBackupError:
            self.close()
            raise

    def _call_picked(self, request: Any, lowest: int, highest: int) -> Any:
        request.API_VERSION = self.pick(request.API_KEY, lowest, highest)
        return self.call(request)

    def _is_session_ending(self) -> bool:
        """Whether to renew the session before the next request. A throttling broker reads each request only after a
        delay, and this delay counts as lifetime of the session."""
        return self._session.is_ending(muted_ms=(1 + len(self._pending)) * self._throttled_ms)

    def _decode(self, view: memoryview, expected: _Pending) -> tuple[int, Any]:
        try:
            with view:
                return decode_response(view, api_key=expected.api_key, api_version=expected.api_version)
        except Exception as error:  # kafka-python's codecs raise exceptions of many kinds
            raise self._close_with(f"The answer of broker {self.address} cannot be read: {error!r}.") from error

    def _fill(self, sock: socket.socket, needed: int, deadline: float, stop: threading.Event | None) -> None:
        """Receive until the buffer holds `needed` bytes. More bytes can arrive: the beginning of the next answer.

        The wait is reported apart from those of other connections to the broker, because their answers do not show that
        this one will come. It is recorded only if the broker is late, so that other answers cost no time.
        """
        if self._filled >= needed:
            return
        if len(self._buffer) < needed:
            self._buffer += bytes(needed - len(self._buffer))
        with self._options.contact.operation(str(self.address)) as waiting, memoryview(self._buffer) as view:
            while self._filled < needed:
                left_s = max(0.001, deadline - time.monotonic())
                try:
                    sock.settimeout(min(left_s, _STOP_CHECK_S))
                    count = sock.recv_into(view[self._filled :])
                except TimeoutError as error:
                    self._check_stop(stop)
                    if left_s > _STOP_CHECK_S:
                        waiting.failed("no answer yet")
                        continue
                    raise self._receive_failed(error) from None
                except OSError as error:
                    raise self._receive_failed(error) from None
                if count == 0:
                    raise self._lost(f"Broker {self.address} closed the connection.")
                self._filled += count

    def _check_stop(self, stop: threading.Event | None) -> None:
        if stop is not None and stop.is_set():
            self.close()
            raise InterruptedRunError("Stopped on request.") from None

    def _discard(self, end: int) -> None:
        """Drop the answer that ends at `end`, and keep the beginning of the next one."""
        rest = self._buffer[end : self._filled]
        if len(self._buffer) > _LARGEST_KEPT_BYTES:
            self._buffer = bytearray(_KEPT_BUFFER_BYTES)
        self._buffer[: len(rest)] = rest
        self._filled = len(rest)

    def _close_with(self, message: str) -> BrokerUnavailableError:
        """Close the connection and return the error to raise."""
        self.close()
        return BrokerUnavailableError(message)

    def _receive_failed(self, error: OSError) -> KafkaBackupError:
        return self._lost(f"Receiving from broker {self.address} failed: {error}.", error)

    def _lost(self, message: str, error: OSError | None = None) -> KafkaBackupError:
        """Close a lost connection and return the error to raise. Until the first request after the setup is answered,
        this can be a permanent error."""
        failed = self._close_with(message)
        if self._is_established:
            return failed
        if self._options.gate.has_reached(str(self.address)) and not self._ticket.is_established:
            # The address and the port are right, so only a TLS error can be permanent.
            error = error if isinstance(error, ssl.SSLError) else TimeoutError()
        permanent = permanent_error(
            error,
            self._options.security,
            *self.address,
            has_answered=bool(self.versions),
            connect=self._connect_again,
        )
        return permanent or failed

    def _not_kafka(self) -> KafkaBackupError:
        """Close the connection and return the error for bytes of another protocol. It is permanent on a new
        connection."""
        failed = self._close_with(f"Broker {self.address} sent bytes that are not Kafka's protocol.")
        return failed if self._is_established else not_kafka_error(self._options.security, str(self.address))
