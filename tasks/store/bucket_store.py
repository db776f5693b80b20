"""What the stores of buckets and containers share, whatever their protocol. Each of their writes is one request, of
which the server keeps all or nothing."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

from tasks.model.errors import (
    ConfigError,
    DamagedError,
    ObjectChangedError,
    ObjectExistsError,
    ObjectNotFoundError,
    StoreError,
    StoreUnavailableError,
)
from tasks.store.protocol import ObjectInfo, Unfinished
from tasks.store.settings import StoreSettings

_FAILED_CONDITIONS: Mapping[type[StoreError], str] = {
    ObjectExistsError: "already exists",
    ObjectChangedError: "is not at the expected version",
}


class _Closable(Protocol):
    def close(self) -> None: ...


class BucketStore(ABC):
    """The base of these stores. `is_single_writer` is False, because a server tests conditions itself, except for one
    that overrides it."""

    _settings: StoreSettings
    _requests: _Closable

    @property
    def location(self) -> str:
        return self._settings.location

    @property
    def is_single_writer(self) -> bool:
        return False

    def write_alone(self) -> None:  # noqa: B027 (only one of the stores does something here)
        """See the protocol. Does nothing: this store always tests conditions itself."""

    @abstractmethod
    def head(self, key: str) -> ObjectInfo:
        """See the protocol."""

    def unfinished(self) -> Iterator[Unfinished]:
        """Nothing: each write is one request, of which the store keeps all or nothing."""
        yield from ()

    def delete_unfinished(self, names: Iterable[str]) -> None:
        """See the protocol."""
        for name in names:
            raise ConfigError(f"{name!r} is not the rest of a write in {self.location}.")

    def close(self) -> None:
        self._requests.close()

    @contextmanager
    def _resolving_conflicts(self, key: str, expected: str | None, error: type[StoreError]) -> Iterator[None]:
        """A context whose body writes under the condition that the object's version is `expected`. After a conflict
        with another request the object is read: `error` is raised if the condition fails now."""
        try:
            yield
        except StoreUnavailableError as conflict:
            if conflict.is_conflict and self._version(key) != expected:
                raise error(f"{key} {_FAILED_CONDITIONS[error]} in {self.location}", key=key) from None
            raise

    def _version(self, key: str) -> str | None:
        """The object's current version. None if there is no object."""
        try:
            return self.head(key).version
        except ObjectNotFoundError:
            return None

    def _empty_range(self, key: str, start: int) -> bytes:
        """The result of reading no bytes. HTTP has no empty ranges."""
        if start > self.head(key).size_bytes:
            raise cut_error(key, start)
        return b""


def cut_error(key: str, end: int) -> DamagedError:
    """The error for an object that ends before the byte `end`."""
    return DamagedError(f"{key} is incomplete: it ends before byte {end}", key=key)
