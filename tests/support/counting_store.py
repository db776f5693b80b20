"""A store that counts the requests that an object store would get."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from tasks.store.protocol import Body, ObjectInfo, ObjectStore, Unfinished

PAGE_OBJECTS = 1000
"""Object stores list at most this many objects with one request."""


class Request(NamedTuple):
    """One request: its operation, and the key or prefix."""

    operation: str
    key: str


class CountingStore:
    """Wraps a store and keeps the whole contract. `requests` are all requests so far; a listing is one request for each
    page that was read."""

    def __init__(self, inner: ObjectStore) -> None:
        self._inner = inner
        self._lock = threading.Lock()
        self.requests: list[Request] = []

    def count(self, operation: str = "", prefix: str = "") -> int:
        """The requests of an operation (all, if empty) on keys that begin with a prefix."""
        return sum(one.key.startswith(prefix) and operation in ("", one.operation) for one in self.requests)

    @property
    def location(self) -> str:
        return self._inner.location

    @property
    def is_single_writer(self) -> bool:
        return self._inner.is_single_writer

    def write_alone(self) -> None:
        self._inner.write_alone()

    def put_if_absent(self, key: str, body: Body, *, sha256: str) -> ObjectInfo:
        self._note("put_if_absent", key)
        return self._inner.put_if_absent(key, body, sha256=sha256)

    def put(self, key: str, body: Body) -> ObjectInfo:
        self._note("put", key)
        return self._inner.put(key, body)

    def compare_and_swap(self, key: str, body: Body, *, expected: str | None) -> ObjectInfo:
        self._note("compare_and_swap", key)
        return self._inner.compare_and_swap(key, body, expected=expected)

    def get(self, key: str) -> tuple[bytes, ObjectInfo]:
        self._note("get", key)
        return self._inner.get(key)

    def get_range(self, key: str, start: int, length: int) -> bytes:
        self._note("get_range", key)
        return self._inner.get_range(key, start, length)

    def head(self, key: str) -> ObjectInfo:
        self._note("head", key)
        return self._inner.head(key)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        self._note("list", prefix)
        for number, info in enumerate(self._inner.list(prefix)):
            if number and number % PAGE_OBJECTS == 0:
                self._note("list", prefix)
            yield info

    def list_folders(self, folder: str) -> tuple[str, ...]:
        names = self._inner.list_folders(folder)
        for _ in range(0, max(len(names), 1), PAGE_OBJECTS):
            self._note("list_folders", folder)
        return names

    def check_lock(self) -> None:
        self._inner.check_lock()

    def delete(self, keys: Iterable[str]) -> int:
        doomed = tuple(keys)
        for key in doomed:
            self._note("delete", key)
        return self._inner.delete(doomed)

    def unfinished(self) -> Iterator[Unfinished]:
        return self._inner.unfinished()

    def delete_unfinished(self, names: Iterable[str]) -> None:
        self._inner.delete_unfinished(names)

    def close(self) -> None:
        self._inner.close()

    def _note(self, operation: str, key: str) -> None:
        with self._lock:
            self.requests.append(Request(operation, key))
