"""A proxy in front of one Kafka broker that cuts and stalls connections, request by request.

It reads a whole request before it forwards anything, so that each fault happens at a known moment:

    cut-before   the connection is closed; the broker does not get the request
    cut-after    the broker executes the request, its answer is lost, the connection is closed
    silent       the broker executes the request; nothing is answered until the client gives up

Answers that contain the broker's address name the proxy's port instead, so that clients stay behind the proxy.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from dataclasses import dataclass
from io import BytesIO
from types import TracebackType
from typing import Any, BinaryIO, Literal, Self

from kafka.protocol.api_header import ResponseClassRegistry

from tasks.broker.messages.api_keys import ApiKey

KafkaFault = Literal["cut-before", "cut-after", "silent"]
KAFKA_FAULTS: tuple[KafkaFault, ...] = ("cut-before", "cut-after", "silent")

_WITH_ADDRESSES = (ApiKey.METADATA, ApiKey.FIND_COORDINATOR, ApiKey.DESCRIBE_CLUSTER)


@dataclass(slots=True)
class _Armed:
    api_key: int
    fault: KafkaFault
    times: int


class KafkaProxy:
    """Forwards requests until the end of the `with`. `struck` are the faults that happened, `seen` the requests that
    arrived, in order."""

    def __init__(self, upstream_port: int) -> None:
        self._upstream = ("127.0.0.1", upstream_port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self._armed: list[_Armed] = []
        self._clients: set[socket.socket] = set()
        self.struck: list[tuple[int, KafkaFault]] = []
        self.seen: list[int] = []

    @property
    def port(self) -> int:
        """The port for clients."""
        port: int = self._listener.getsockname()[1]
        return port

    def arm(self, api_key: int, fault: KafkaFault, *, times: int = 1) -> None:
        """Inject the fault into the next `times` requests of this kind."""
        with self._lock:
            self._armed.append(_Armed(api_key, fault, times))

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
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
        with contextlib.suppress(OSError), client, socket.create_connection(self._upstream) as server:
            incoming, answers = client.makefile("rb"), server.makefile("rb")
            while (request := _frame(incoming)) is not None:
                api_key, version = struct.unpack_from(">hh", request)
                fault = self._next_fault(api_key)
                if fault == "cut-before":
                    break
                server.sendall(struct.pack(">i", len(request)) + request)
                answer = _frame(answers)
                if answer is None or fault == "cut-after":
                    break
                if fault == "silent":
                    while incoming.read(1 << 16):
                        pass
                    break
                answer = self._readdressed(answer, api_key, version)
                client.sendall(struct.pack(">i", len(answer)) + answer)
        self._clients.discard(client)

    def _next_fault(self, api_key: int) -> KafkaFault | None:
        with self._lock:
            self.seen.append(api_key)
            for armed in self._armed:
                if armed.times and armed.api_key == api_key:
                    armed.times -= 1
                    self.struck.append((api_key, armed.fault))
                    return armed.fault
        return None

    def _readdressed(self, answer: bytes, api_key: int, version: int) -> bytes:
        if api_key not in _WITH_ADDRESSES:
            return answer
        response_class = ResponseClassRegistry._response_class_registry[api_key][version]
        head = BytesIO(answer)
        header = response_class.parse_header(head)
        response: Any = response_class.decode(answer[head.tell() :])
        for one in [
            response,
            *(getattr(response, "brokers", None) or ()),
            *(getattr(response, "coordinators", None) or ()),
        ]:
            if hasattr(one, "port"):
                one.host, one.port = "127.0.0.1", self.port
        response.with_header(correlation_id=header.correlation_id)
        encoded: bytes = response.encode(header=True)
        return encoded


def _frame(source: BinaryIO) -> bytes | None:
    head = source.read(4)
    if len(head) < 4:
        return None
    size = struct.unpack(">i", head)[0]
    data = source.read(size)
    return data if len(data) == size else None
