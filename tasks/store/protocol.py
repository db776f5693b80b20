"""The object-store port: nine methods, and what they promise. `tests/contract` holds every adapter to it.

Keys are relative to the store's prefix and contain only `[A-Za-z0-9._/-]`; no part between slashes is empty or begins
with a dot (`ConfigError`). No key may be a folder of another (`a/b` beside `a/b/c`): a file system cannot hold both.
Every method may raise `AccessError` (credentials or permission), `StoreUnavailableError` (retryable, nothing
changed) and `OutcomeUnknownError` (retryable, a write whose response was lost).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

Body = Sequence[bytes | memoryview]
"""An object's bytes as buffers in order. They are handed on, never joined, because objects are large."""


def body_size(body: Body) -> int:
    """Bytes in all buffers."""
    return sum(len(part) for part in body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checksum:
    """A checksum that the store itself computed or verified. `kind` is e.g. `sha256`, `crc32c`, `md5`."""

    kind: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectInfo:
    """What the store says of an object. `version` is opaque and the same in every answer about one write.

    Two writes of a key have different versions, unless their bytes are equal: an S3 ETag is a digest. What is swapped
    must therefore differ each time. `modified_ms` is the store's clock, which may count whole seconds; in the answer to
    a write it may be the time of that answer. `head` tells the same checksum as the write did; other answers may leave
    it out.
    """

    key: str
    size_bytes: int
    modified_ms: int
    version: str
    checksum: Checksum | None = None


class ObjectStore(Protocol):
    """One storage prefix. Safe to use from several threads at once."""

    @property
    def location(self) -> str:
        """Where this is, for messages: a URL without any secret."""
        ...

    def put_if_absent(self, key: str, body: Body, *, sha256: str) -> ObjectInfo:
        """Create the object whole or not at all, durable on return.

        `sha256` is the hex digest of the body; a store that can verify it does (`StoreError`, nothing stored). Raises
        `ObjectExistsError` when the key exists, whatever it holds: of several concurrent callers exactly one returns.
        A reader never sees part of it.
        """
        ...

    def put(self, key: str, body: Body) -> ObjectInfo:
        """Create or overwrite, atomically and durably. Only for keys that are hints or owned by one writer."""
        ...

    def compare_and_swap(self, key: str, body: Body, *, expected: str | None) -> ObjectInfo:
        """Write iff the object's current `version` is `expected` (None: iff there is no object).

        Raises `ObjectChangedError` otherwise; of several concurrent callers with one expectation exactly one returns.
        (Behind `RetryingStore` at most one: a swap whose response was lost may be swapped over before it is settled.)
        """
        ...

    def get(self, key: str) -> tuple[bytes, ObjectInfo]:
        """The whole object as last written, with the version to swap against. Raises `ObjectNotFoundError`."""
        ...

    def get_range(self, key: str, start: int, length: int) -> bytes:
        """Exactly `length` bytes from `start`. Raises `ObjectNotFoundError`; a range that reaches beyond the end is a
        `DamagedError`, never a short answer."""
        ...

    def head(self, key: str) -> ObjectInfo:
        """What the store knows of the object, without its bytes. Raises `ObjectNotFoundError`."""
        ...

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Every object whose key starts with `prefix` (which may end within a name), in the plain order of keys.

        May lag behind writes: never decide loss from it. Errors may come at any item.
        """
        ...

    def delete(self, keys: Iterable[str]) -> None:
        """Delete the objects; a key that does not exist is no error. May be called again."""
        ...

    def close(self) -> None:
        """Release connections. May be called twice; no other method afterwards."""
        ...
