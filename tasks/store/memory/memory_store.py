"""Objects in this process's memory: for `backend: memory` and for tests."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256 as sha256_of

from tasks.model.errors import (
    ConfigError,
    DamagedError,
    ObjectChangedError,
    ObjectExistsError,
    ObjectNotFoundError,
    StoreError,
    UndeletedError,
)
from tasks.store.keys import check_folder, check_key, check_prefix
from tasks.store.protocol import Body, Checksum, IsImmutable, ObjectInfo, Unfinished, nothing_is_immutable

_shared: dict[str, MemoryStore] = {}
_shared_lock = threading.Lock()


def shared_memory_store(name: str) -> MemoryStore:
    """The store with this name. Every call with the same name in one process returns the same store."""
    with _shared_lock:
        return _shared.setdefault(name, MemoryStore(name))


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


class MemoryStore:
    """Objects in a dict, protected by one lock. `version` is the number of the write. `now_ms` is the store's clock, in
    Unix milliseconds. `close` keeps the objects.

    For tests it simulates a store with locks: with `lock_ms`, `put_if_absent` locks immutable objects for so long. The
    objects of keys in `legal_holds` are under a legal hold, and deletions of keys in `undeletable` are refused.
    `is_single_writer` is only the value of the property: this store always tests conditions and writes in one step.
    """

    def __init__(
        self,
        name: str = "unnamed",
        *,
        now_ms: Callable[[], int] = _now_ms,
        is_immutable: IsImmutable = nothing_is_immutable,
        lock_ms: int | None = None,
        is_single_writer: bool = False,
    ) -> None:
        self._name = name
        self._now_ms = now_ms
        self._is_immutable = is_immutable
        self._lock_ms = lock_ms
        self._is_single_writer = is_single_writer
        self._locked_until: dict[str, int] = {}
        self.legal_holds: set[str] = set()
        self.undeletable: set[str] = set()
        self._lock = threading.Lock()
        self._objects: dict[str, tuple[bytes, ObjectInfo]] = {}
        self._writes = 0

    @property
    def location(self) -> str:
        return f"memory://{self._name}"

    @property
    def is_single_writer(self) -> bool:
        return self._is_single_writer

    def write_alone(self) -> None:
        """See the protocol. Does nothing: this store always tests conditions itself."""

    def put_if_absent(self, key: str, body: Body, *, sha256: str) -> ObjectInfo:
        """See the protocol. Raises `StoreError` if the body does not have the digest `sha256`."""
        data = b"".join(body)
        if sha256_of(data).hexdigest() != sha256:
            raise StoreError(f"{key} was not stored: its bytes do not have the digest that was sent", key=key)
        with self._lock:
            if key in self._objects:
                raise ObjectExistsError(f"{key} already exists in {self.location}", key=key)
            if self._lock_ms is not None and self._is_immutable(key):
                self._locked_until[key] = self._now_ms() + self._lock_ms
            return self._write(key, data)

    def put(self, key: str, body: Body) -> ObjectInfo:
        data = b"".join(body)
        with self._lock:
            return self._write(key, data)

    def compare_and_swap(self, key: str, body: Body, *, expected: str | None) -> ObjectInfo:
        data = b"".join(body)
        with self._lock:
            current = self._objects.get(key)
            if (current[1].version if current else None) != expected:
                raise ObjectChangedError(f"{key} is not at the expected version in {self.location}", key=key)
            return self._write(key, data)

    def get(self, key: str) -> tuple[bytes, ObjectInfo]:
        check_key(key)
        with self._lock:
            if key not in self._objects:
                raise ObjectNotFoundError(f"{key} is not in {self.location}", key=key)
            return self._objects[key]

    def get_range(self, key: str, start: int, length: int) -> bytes:
        data, _ = self.get(key)
        if start + length > len(data):
            raise DamagedError(f"{key} is incomplete: it ends before byte {start + length}", key=key)
        return data[start : start + length]

    def head(self, key: str) -> ObjectInfo:
        return self.get(key)[1]

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        check_prefix(prefix)
        with self._lock:
            found = [info for key, (_, info) in self._objects.items() if key.startswith(prefix)]
        yield from sorted(found, key=lambda info: info.key)

    def list_folders(self, folder: str) -> tuple[str, ...]:
        check_folder(folder)
        with self._lock:
            inside = [key.removeprefix(folder) for key in self._objects if key.startswith(folder)]
        return tuple(sorted({key.partition("/")[0] for key in inside if "/" in key}))

    def check_lock(self) -> None:
        """Does nothing: this store can lock objects."""

    def delete(self, keys: Iterable[str]) -> int:
        doomed = [check_key(key) for key in keys]
        with self._lock:
            existing = [key for key in doomed if key in self._objects]
            locked: dict[str, int | None] = {
                key: until_ms
                for key in existing
                if self._is_immutable(key) and (until_ms := self._locked_until.get(key, 0)) > self._now_ms()
            }
            locked |= {key: None for key in existing if key in self.legal_holds}
            denied = {key: "access denied" for key in existing if key in self.undeletable and key not in locked}
            for key in set(existing) - locked.keys() - denied.keys():
                del self._objects[key]
        if locked or denied:
            raise UndeletedError(denied=denied, locked=locked, hidden=0)
        return 0

    def unfinished(self) -> Iterator[Unfinished]:
        """Nothing: a write in memory ends or does nothing."""
        yield from ()

    def delete_unfinished(self, names: Iterable[str]) -> None:
        """See the protocol."""
        for name in names:
            raise ConfigError(f"{name!r} is not the rest of a write in {self.location}.")

    def close(self) -> None:
        """Does nothing: there is nothing to release."""

    def _write(self, key: str, data: bytes) -> ObjectInfo:
        check_key(key)
        self._writes += 1
        info = ObjectInfo(
            key=key,
            size_bytes=len(data),
            modified_ms=self._now_ms(),
            version=str(self._writes),
            checksum=Checksum(kind="sha256", value=sha256_of(data).hexdigest()),
        )
        self._objects[key] = (data, info)
        return info
