"""The port of object stores: fourteen methods and their promises. `tests/contract` tests them for every adapter.

Keys are relative to the store's prefix and contain only `[A-Za-z0-9._/-]`. Parts between slashes are not empty and do
not begin with a dot. Every method raises `ConfigError` for another key. A key cannot be a folder of another key (`a/b`
beside `a/b/c`), because a file system cannot contain both.

Every method can raise `AccessError` (credentials or permission), `NotFoundError` and `ConfigError` (no such bucket, or
settings that cannot be used), `StoreUnavailableError` (retryable, nothing was changed) and `StoreError` (permanent).
Every write can raise `OutcomeUnknownError` (retryable, its response was lost) and `StoreFullError`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

Body = Sequence[bytes | memoryview]
"""The bytes of an object as buffers in their order. Adapters do not join them, because objects are large."""


def body_size(body: Body) -> int:
    """The number of bytes in all buffers."""
    return sum(len(part) for part in body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checksum:
    """A checksum of the whole object that the store itself computed or verified. `kind` is the algorithm, for example
    `sha256`; `value` is in hex."""

    kind: str
    value: str


ArchiveState = Literal["archived", "returning", "readable", "unknown"]
"""Whether an object in an archive can be read: not before the store was asked for it, not yet, or until a time. Unknown
if the response does not tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveInfo:
    """The archive that contains an object. `readable_until_ms` is the end of the time in which the object can be read,
    in Unix milliseconds; only with the state `readable`. `stays_readable`: once it is back, it is in the archive no
    more."""

    storage_class: str
    state: ArchiveState
    readable_until_ms: int | None = None
    stays_readable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectInfo:
    """An object's metadata. `version` is an opaque text, and the same in every response about one write.

    Two writes of a key have different versions unless their bytes are equal, because an S3 ETag is a digest. So every
    swap has to write other bytes. `modified_ms` is from the store's clock in Unix milliseconds. It can be rounded down
    to seconds, and after a write it can be the time of the response. `head` returns the same checksum as the write;
    other methods can leave it out. `archive` is None for an object that can be read at once, and after a write or a
    read. `list` can leave its state unknown. `is_archive_hidden`: the object was listed without an archive, but can be
    in one, which only `head` shows.
    """

    key: str
    size_bytes: int
    modified_ms: int
    version: str
    checksum: Checksum | None = None
    archive: ArchiveInfo | None = None
    is_archive_hidden: bool = False

    @property
    def is_readable(self) -> bool:
        """Whether the object can be read now. False if that is not known."""
        return self.archive is None or self.archive.state == "readable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfinished:
    """The rest of a write or of a trial that did not end. It is not an object: no listing of objects contains it.
    `name` is only for `delete_unfinished` and for messages. `modified_ms` is from the store's clock."""

    name: str
    size_bytes: int
    modified_ms: int


IsImmutable = Callable[[str], bool]
"""Tells whether the object of a key is written once, never overwritten and never deleted before its set allows it. Such
an object can be locked. Stores do not know the meaning of keys, so the caller that opens a store gives it this."""


def nothing_is_immutable(key: str) -> bool:
    """No object is locked."""
    return False


IsData = Callable[[str], bool]
"""Tells whether the object of a key contains records. A store can keep such objects in a cheaper storage class."""


def nothing_is_data(key: str) -> bool:
    """All objects have the standard storage class."""
    return False


OnNote = Callable[[str], None]
"""Receives a sentence about the store that an operator should know, but that is not an error."""


class ObjectStore(Protocol):
    """One storage prefix. Several threads can use it at the same time. The errors that every method can raise are in
    this module's docstring."""

    @property
    def location(self) -> str:
        """The store as a URL without secrets, for messages. Sends no request."""
        ...

    @property
    def is_single_writer(self) -> bool:
        """Whether the settings or the repository state that only one machine writes to the store at a time. Then
        `put_if_absent` and `compare_and_swap` read the object before they write it, and keep their promises about
        concurrent callers only if that statement is true. Sends no request."""
        ...

    def write_alone(self) -> None:
        """The repository states that only one machine writes to it. A store that can lack write conditions has
        `is_single_writer` from now on; other stores ignore the call. Sends no request. May be called twice."""
        ...

    def put_if_absent(self, key: str, body: Body, *, sha256: str) -> ObjectInfo:
        """Create the object, or nothing. The object is durable on return. A reader never sees a part of it. If the
        settings of the store ask for it, the same write locks an immutable object.

        `sha256` is the hex digest of the body. A store that can verify it raises `StoreError` for wrong bytes, and
        stores nothing then. Raises `ObjectExistsError` if the key exists, also with the same bytes: of several
        concurrent callers exactly one returns.
        """
        ...

    def put(self, key: str, body: Body) -> ObjectInfo:
        """Create or overwrite the object, atomically and durably. May be called again. Only for hints, and for keys
        that only one writer uses."""
        ...

    def compare_and_swap(self, key: str, body: Body, *, expected: str | None) -> ObjectInfo:
        """Write the object if its current `version` is `expected` (None: if there is no object), atomically and
        durably.

        Otherwise raises `ObjectChangedError` and writes nothing. Of several concurrent callers with the same `expected`
        exactly one returns. With a `RetryingStore` it is at most one: if the response of a successful swap was lost,
        another swap can replace the object before `RetryingStore` reads it back.
        """
        ...

    def get(self, key: str) -> tuple[bytes, ObjectInfo]:
        """The whole object as it was last written, and its metadata. Raises `ObjectNotFoundError` if the key does not
        exist, and `ObjectArchivedError` if it has to be brought back from an archive first."""
        ...

    def get_range(self, key: str, start: int, length: int) -> bytes:
        """Exactly `length` bytes from `start` on. Raises what `get` raises, and `DamagedError` if the range ends beyond
        the end of the object."""
        ...

    def head(self, key: str) -> ObjectInfo:
        """The object's metadata. Raises `ObjectNotFoundError` if the key does not exist."""
        ...

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Every object whose key begins with `prefix`, in the order of the keys as strings. `prefix` can end within a
        name.

        The listing can be older than the last writes. So a missing key does not prove that the object is lost. An error
        can be raised at any item.
        """
        ...

    def list_folders(self, folder: str) -> tuple[str, ...]:
        """The names of the folders directly inside `folder`, in order. Objects inside them do not increase the cost.

        `folder` is empty or ends with a slash; otherwise raises `ConfigError`. The names have no slash: `a` means that
        keys that begin with `{folder}a/` exist, or existed and were deleted.
        """
        ...

    def check_lock(self) -> None:
        """If the settings of the store ask for a lock of its immutable objects, find out whether it can lock objects.
        Raises `ConfigError` if it cannot. Sends no request if the settings do not ask for a lock."""
        ...

    def delete(self, keys: Iterable[str]) -> int:
        """Delete the objects, and return the number of those that the store only hides and keeps as older versions. A
        missing key is not an error. May be called again with the same keys.

        An immutable object whose lock has not ended stays as it is, also where the store would hide it. Raises
        `UndeletedError` if there are such objects, or if the store refused to delete some: then all others were
        deleted. After another error some can be deleted and others not. `StoreError.deleted` names those of which the
        store knows that they are."""
        ...

    def unfinished(self) -> Iterator[Unfinished]:
        """What writes and trials have left that did not end, also in folders without objects, and what running ones are
        writing now. So only an old one is a left-over. Empty if the store keeps nothing of a write that fails."""
        ...

    def delete_unfinished(self, names: Iterable[str]) -> None:
        """Delete what `unfinished` has returned. A missing one is not an error. Raises `ConfigError` for another name.
        May be called again."""
        ...

    def close(self) -> None:
        """Release the connections. May be called twice. No other method can be called after it."""
        ...
