"""A TCP proxy in front of an HTTP server that cuts, stalls, swallows and answers for it, request by request.

It reads a whole request before it forwards anything, so that each fault happens at a known moment:

    cut-before    the connection is reset after the head arrived; the server does not get the request
    cut-midway    the server gets half of the body; then both connections are closed
    cut-after     the server executes the request, its answer is lost, the client's connection is reset
    cut-answer    the client gets half of the answer's body; then the connection is closed
    stall         nothing is forwarded or answered until the client gives up
    flip          one bit in the middle of the request's body is changed before it is forwarded
    swallow       the server executes the request; nothing is answered until the client gives up
    Answer(503, "SlowDown")                    the proxy answers with an error, nothing is forwarded
    Answer(500, "InternalError", is_late=True) the same after the server executed the request

It also stands for a store that is made otherwise: `refuse_when` and `rewrite` answer every request of a kind. It keeps
the server's answers to the writes that the server carried out, also if the client never got them.
"""

from __future__ import annotations

import contextlib
import random
import socket
import struct
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPResponse
from types import TracebackType
from typing import BinaryIO, Literal, Self

Method = Literal["GET", "HEAD", "PUT", "POST", "DELETE"]
Name = Literal["cut-before", "cut-midway", "cut-after", "cut-answer", "stall", "flip", "swallow"]

_HOP_BY_HOP = ("transfer-encoding", "connection", "content-length", "keep-alive")
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class Answer:
    """An error that the proxy answers, in the form of S3."""

    status: int
    code: str
    is_late: bool = False

    @property
    def data(self) -> bytes:
        """The bytes of the answer."""
        head = f"HTTP/1.1 {self.status} Fault\r\nContent-Length: {len(self.body)}\r\nConnection: close\r\n"
        lines = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
        return f"{head}{lines}\r\n".encode() + self.body

    @property
    def headers(self) -> Mapping[str, str]:
        """What the head says beside the length."""
        return {"Content-Type": "application/xml"}

    @property
    def body(self) -> bytes:
        """The error as the store writes it."""
        return f"<?xml version='1.0'?><Error><Code>{self.code}</Code><Message>armed fault</Message></Error>".encode()


Fault = Name | Answer


@dataclass(slots=True)
class _Armed:
    fault: Fault
    method: Method | None
    folder: str
    skip: int
    times: int

    def fits(self, request: Request) -> bool:
        return self.method in (None, request.method) and f"/{self.folder}" in request.path


@dataclass(frozen=True, slots=True)
class Request:
    """The head of a request. `head` is without `Expect`, because the proxy answers it."""

    method: str
    head: bytes
    body_bytes: int
    is_expecting: bool

    @property
    def path(self) -> str:
        """The path of its first line."""
        return self.head.split(b" ", 2)[1].decode()

    def has(self, header: str) -> bool:
        """Whether it has this header."""
        return any(line.lower().startswith(f"{header.lower()}:".encode()) for line in self.head.splitlines())


class TcpProxy:
    """Forwards requests until the end of the `with`. `struck` are the faults that happened, in order. `carried_out` are
    the paths of the writes that the server carried out, each with the body of its answer; `carried_out_bodies` the same
    with the body of the request."""

    def __init__(self, upstream_port: int) -> None:
        self._upstream = ("127.0.0.1", upstream_port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self._armed: list[_Armed] = []
        self._storm: tuple[random.Random, Sequence[Fault], float] | None = None
        self._clients: set[socket.socket] = set()
        self.struck: list[Fault] = []
        self.carried_out: list[tuple[str, bytes]] = []
        self.carried_out_bodies: list[tuple[str, bytes]] = []
        self._refusals: list[tuple[Callable[[Request], bool], Answer]] = []
        self._rewritten: dict[int, Answer] = {}

    @property
    def endpoint(self) -> str:
        """The URL for clients."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def arm(
        self, fault: Fault, *, method: Method | None = None, folder: str = "", skip: int = 0, times: int = 1
    ) -> None:
        """Inject the fault into `times` requests (of the method, below the folder), after `skip` more of them."""
        with self._lock:
            self._armed.append(_Armed(fault, method, folder, skip, times))

    def refuse_when(self, is_refused: Callable[[Request], bool], answer: Answer) -> None:
        """Answer every such request so; the server does not get it."""
        self._refusals.append((is_refused, answer))

    def rewrite(self, status: int, answer: Answer) -> None:
        """Answer so whatever the server answers with this status."""
        self._rewritten[status] = answer

    def storm(self, faults: Sequence[Fault], *, share: float, seed: int) -> None:
        """From now on inject one of the faults into this share of all requests."""
        self._storm = (random.Random(seed), faults, share)

    def calm(self) -> None:
        """Inject no faults from now on."""
        with self._lock:
            self._storm, self._armed = None, []

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # after a close alone, `accept` would wait for one more connection
        self._listener.close()
        for client in list(self._clients):
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._clients.add(client)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError), client, client.makefile("rb") as incoming:
            while (request := _read_request(incoming)) is not None:
                fault = self._next_fault(request)
                if fault is not None:
                    self._strike(fault, request, client, incoming)
                    break
                client.sendall(self._answered(request, _read_body(request, client, incoming)))
        self._clients.discard(client)

    def _next_fault(self, request: Request) -> Fault | None:
        for is_refused, answer in self._refusals:
            if is_refused(request):
                return answer
        with self._lock:
            fault = self._from_armed(request) or self._from_storm()
            if fault is not None:
                self.struck.append(fault)
            return fault

    def _from_armed(self, request: Request) -> Fault | None:
        for armed in self._armed:
            if armed.times and armed.fits(request):
                if armed.skip:
                    armed.skip -= 1
                    continue
                armed.times -= 1
                return armed.fault
        return None

    def _from_storm(self) -> Fault | None:
        if self._storm is None:
            return None
        chance, faults, share = self._storm
        return chance.choice(faults) if chance.random() < share else None

    def _strike(self, fault: Fault, request: Request, client: socket.socket, incoming: BinaryIO) -> None:
        if fault == "cut-before":
            _reset(client)
        elif fault == "stall":
            _await_end(incoming)
        elif isinstance(fault, Answer) and not fault.is_late:
            client.sendall(fault.data)
            _await_end(incoming)
        else:
            self._strike_behind(fault, request, client, incoming)

    def _strike_behind(self, fault: Fault, request: Request, client: socket.socket, incoming: BinaryIO) -> None:
        """Inject a fault after the server gets at least a part of the request."""
        body = _read_body(request, client, incoming)
        if fault == "cut-midway":
            self._forward_half(request, body)
            _reset(client)
            return
        if fault == "flip":
            client.sendall(self._forwarded(request, _flipped(body)))
            return
        answer = self._forwarded(request, body)
        if isinstance(fault, Answer):
            client.sendall(fault.data)
        elif fault == "cut-after":
            _reset(client)
        elif fault == "cut-answer":
            head, _, rest = answer.partition(b"\r\n\r\n")
            client.sendall(head + b"\r\n\r\n" + rest[: len(rest) // 2])
        else:
            _await_end(incoming)

    def _answered(self, request: Request, body: bytes) -> bytes:
        """The answer of the store that the proxy stands for."""
        data = self._forwarded(request, body)
        answer = self._rewritten.get(int(data.split(b" ", 2)[1]))
        return data if answer is None else answer.data

    def _forward_half(self, request: Request, body: bytes) -> None:
        with socket.create_connection(self._upstream) as server:
            whole = request.head + body
            server.sendall(whole[: len(request.head) + len(body) // 2] if body else whole[: len(whole) // 2])

    def _forwarded(self, request: Request, body: bytes) -> bytes:
        """The server's answer to the request, as it is sent to the client."""
        with socket.create_connection(self._upstream) as server:
            server.sendall(request.head)
            server.sendall(body)
            with HTTPResponse(server, method=request.method) as response:
                response.begin()
                content = response.read()
                if request.method in ("PUT", "POST", "DELETE") and response.status < 300:
                    self.carried_out.append((request.path, content))
                    self.carried_out_bodies.append((request.path, body))
                lines = [f"HTTP/1.1 {response.status} {response.reason}"]
                lines += [
                    f"{name}: {value}" for name, value in response.getheaders() if name.lower() not in _HOP_BY_HOP
                ]
                length = response.headers.get("Content-Length", "0") if request.method == "HEAD" else str(len(content))
        return "\r\n".join([*lines, f"Content-Length: {length}", "", ""]).encode("latin-1") + content


def _read_request(incoming: BinaryIO) -> Request | None:
    """The head of the next request; None if there is none."""
    lines = []
    while (line := incoming.readline()) not in (b"\r\n", b""):
        lines.append(line)
    if not lines:
        return None
    headers = {name.strip().lower(): value.strip() for name, _, value in (one.partition(b":") for one in lines[1:])}
    kept = [one for one in lines if not one.lower().startswith(b"expect:")]
    return Request(
        method=lines[0].split()[0].decode(),
        head=b"".join(kept) + b"\r\n",
        body_bytes=int(headers.get(b"content-length", b"0")),
        is_expecting=b"expect" in headers,
    )


def _read_body(request: Request, client: socket.socket, incoming: BinaryIO) -> bytes:
    if request.is_expecting:
        client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    body = incoming.read(request.body_bytes)
    if len(body) < request.body_bytes:
        raise OSError("the client has gone")
    return body


def _flipped(body: bytes) -> bytes:
    middle = len(body) // 2
    return body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :]


def _await_end(incoming: BinaryIO) -> None:
    """Read and ignore everything until the client closes its side."""
    while incoming.read(1 << 16):
        pass


def _reset(client: socket.socket) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
