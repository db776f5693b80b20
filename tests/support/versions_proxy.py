"""A proxy before a real broker that changes which requests the broker announces (ApiVersions)."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from kafka.protocol.metadata import ApiVersionsResponse

from tasks.broker.messages.api_keys import ApiKey

Versions = dict[int, tuple[int, int]]


class VersionsProxy:
    """Listens on `port` until the end of the `with`, and forwards to `upstream_port` on 127.0.0.1.

    `change` gets the versions that the broker announces and returns those that clients see. Tests can replace it. The
    broker has to advertise the proxy's address, because clients go where the metadata says.
    """

    def __init__(self, port: int, upstream_port: int, change: Callable[[Versions], Versions] = dict) -> None:
        self.change = change
        self._upstream = ("127.0.0.1", upstream_port)
        self._listener = socket.create_server(("127.0.0.1", port))
        self._open: list[socket.socket] = []

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in self._open:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
                broker = socket.create_connection(self._upstream)
            except OSError:
                return
            self._open += [client, broker]
            asked: dict[int, int] = {}
            for source, target, answers in ((client, broker, None), (broker, client, asked)):
                threading.Thread(target=self._forward, args=(source, target, asked, answers), daemon=True).start()

    def _forward(
        self, source: socket.socket, target: socket.socket, asked: dict[int, int], answers: dict[int, int] | None
    ) -> None:
        """`asked` has the version of each ApiVersions request by its correlation id; `answers` is None for requests."""
        with contextlib.suppress(OSError), source.makefile("rb") as incoming:
            while len(head := incoming.read(4)) == 4:
                data = incoming.read(struct.unpack(">i", head)[0])
                if answers is None:
                    api_key, version, correlation_id = struct.unpack_from(">hhi", data)
                    if api_key == ApiKey.API_VERSIONS:
                        asked[correlation_id] = version
                else:
                    data = self._changed(data, asked)
                target.sendall(struct.pack(">i", len(data)) + data)
        for sock in (source, target):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def _changed(self, data: bytes, asked: dict[int, int]) -> bytes:
        [correlation_id] = struct.unpack_from(">i", data)
        version = asked.pop(correlation_id, None)
        if version is None:
            return data
        received: Any = ApiVersionsResponse.decode(data[4:], version=version)
        if received.error_code:
            return data
        announced = {one.api_key: (one.min_version, one.max_version) for one in received.api_keys}
        key = ApiVersionsResponse.ApiVersion
        keys = [
            key(api_key=api_key, min_version=low, max_version=high)
            for api_key, (low, high) in self.change(announced).items()
        ]
        answer: Any = ApiVersionsResponse(error_code=0, api_keys=keys, throttle_time_ms=0)
        answer.API_VERSION = version
        answer.with_header(correlation_id=correlation_id)
        encoded: bytes = answer.encode(header=True)
        return encoded
