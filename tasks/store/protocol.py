"""The port of object stores: ten methods and their promises. `tests/contract` tests them for every adapter.

Keys are relative to the store's prefix and contain only `[A-Za-z0-9._/-]`; no part between slashes is empty or begins
with a dot (`ConfigError`). No key may be a folder of another (`a/b` beside `a/b/c`): a file system cannot hold both.
Every method can raise `AccessError` (credentials or permission), `StoreUnavailableError` (retryable, nothing was
changed) and `OutcomeUnknownError` (retryable, the response of a write was lost).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

Body = Sequence[bytes | memoryview]
"""An object's bytes as buffers in order. They are never joined, because objects are large."""


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
    """An object's metadata. `version` is opaque, and the same in every response about one write.

    Two writes of a key have different versions unless their bytes are equal, because an S3 ETag is a digest; so every
    swap must write different bytes. `modified_ms` is from the store's clock, which may count whole seconds; after a
    write it may be the time of the response. `head` returns the same checksum as the write; other methods may omit
    it.
    """

    key: str
    size_bytes: int
    modified_ms: int
    version: str
    checksum: Checksum | None = None


OnNote = Callable[[str], None]
"""Receives a sentence about the store that an operator should know and that is no error."""


class ObjectStore(Protocol):
    """One storage prefix. Several threads can use it at once."""

    @property
    def location(self) -> str:
        """The store as a URL without secrets, for messages."""
        ...

    def put_if_absent(self, key: str, body: Body, *, sha256: str) -> ObjectInfo:
        """Creates the whole object or nothing; the object is durable on return.

        `sha256` is the hex digest of the body. A store that can verify it does, and raises `StoreError` without storing
        anything. Raises `ObjectExistsError` when the key exists, whatever its bytes are: of several concurrent callers
        exactly one returns. A reader never sees a part of the object.
        """
        ...

    def put(self, key: str, body: Body) -> ObjectInfo:
        """Creates or overwrites, atomically and durably. Only for hints, and for keys that one writer owns."""
        ...

    def compare_and_swap(self, key: str, body: Body, *, expected: str | None) -> ObjectInfo:
        """Writes if the object's current `version` is `expected` (None: if there is no object).

        Raises `ObjectChangedError` otherwise. Of several concurrent callers with the same `expected` exactly one
        returns; behind `RetryingStore` at most one, because another swap can replace a swap whose response was lost
        before it is settled.
        """
        ...

    def get(self, key: str) -> tuple[bytes, ObjectInfo]:
        """The whole object as last written, and its metadata. Raises `ObjectNotFoundError`."""
        ...

    def get_range(self, key: str, start: int, length: int) -> bytes:
        """Exactly `length` bytes from `start`. Raises `ObjectNotFoundError`, and `DamagedError` for a range that ends
        beyond the end of the object; the result is never shorter."""
        ...

    def head(self, key: str) -> ObjectInfo:
        """The object's metadata. Raises `ObjectNotFoundError`."""
        ...

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Every object whose key starts with `prefix`, in the order of keys as strings. `prefix` can end within a name.

        The listing can be older than the last writes, so a missing key does not prove a lost object. Any item can raise
        an error.
        """
        ...

    def list_folders(self, folder: str) -> tuple[str, ...]:
        """The names of the folders directly inside `folder`, in order. The cost does not depend on what they contain.

        `folder` is empty or ends with a slash (`ConfigError`). A name without slash: `a` stands for all keys that begin
        with `{folder}a/`. A folder whose objects were deleted can still be named.
        """
        ...

    def delete(self, keys: Iterable[str]) -> None:
        """Deletes the objects. A missing key is no error. Can be called again with the same keys."""
        ...

    def close(self) -> None:
        """Releases connections. Can be called twice; no other method can be called after it."""
        ...
