"""From a location, or its URL, to an open store."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, assert_never
from urllib.parse import unquote, urlsplit

from tasks.model.errors import ConfigError, UnsupportedError
from tasks.store.keys import check_key
from tasks.store.protocol import ObjectStore
from tasks.store.s3.location import S3Location, s3_location

if TYPE_CHECKING:
    from tasks.store.memory.memory_store import MemoryStore

_NOT_YET = frozenset({"gs", "gcs", "az", "azure", "abfs", "abfss", "wasb", "wasbs", "http", "https"})

_memory_stores: dict[str, MemoryStore] = {}
_memory_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class LocalLocation:
    """The folder `prefix` (empty: itself) of the folder `path`."""

    path: Path
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class MemoryLocation:
    """A memory store that everything in this process shares by its name."""

    name: str


StoreLocation = LocalLocation | MemoryLocation | S3Location


def location_from_url(url: str) -> StoreLocation:
    """`file:///absolute/path`, `s3://bucket/prefix` or `memory://name`.

    Raises `UnsupportedError` for the schemes of stores that are not here yet, `ConfigError` for anything else. Messages
    name the scheme only, since a URL may hold a secret.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ConfigError("The storage URL cannot be read; write file:///absolute/path.") from None
    if parts.scheme in _NOT_YET:
        raise UnsupportedError(f"Storage at {parts.scheme}:// is not available yet; use s3:// or file://.")
    if parts.scheme == "s3":
        return s3_location(parts)
    if parts.scheme not in ("file", "memory"):
        raise ConfigError("The storage URL must begin with file://, s3:// or memory://, as in file:///absolute/path.")
    if parts.query or parts.fragment:
        raise ConfigError("The storage URL must not contain ? or #; write them as %3F and %23.")
    if parts.scheme == "memory":
        return _memory_location(parts.netloc, parts.path)
    if parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
        raise ConfigError("A file URL needs three slashes and an absolute path: file:///absolute/path.")
    return LocalLocation(Path(unquote(parts.path)))


def _memory_location(name: str, path: str) -> MemoryLocation:
    if not name or path not in ("", "/"):
        raise ConfigError("A memory URL is memory:// and one name, as in memory://demo.")
    return MemoryLocation(name)


def open_store(location: StoreLocation, *, create: bool = False) -> ObjectStore:
    """The store at the location; `create` makes a missing folder. It does not retry: see `RetryingStore`.

    Raises `NotFoundError` when the folder is missing, `ConfigError` when the prefix is no key. A bucket is first asked
    for when the store is used. Each backend is imported only when it is asked for.
    """
    match location:
        case LocalLocation(path, prefix):
            from tasks.store.local.local_store import LocalStore

            inner = prefix.strip("/")
            return LocalStore(path / check_key(inner) if inner else path, create=create)
        case MemoryLocation(name):
            return _shared_memory(name)
        case S3Location():
            from tasks.store.s3.s3_store import S3Store

            return S3Store(location)
        case _:
            assert_never(location)


def _shared_memory(name: str) -> MemoryStore:
    from tasks.store.memory.memory_store import MemoryStore

    with _memory_lock:
        return _memory_stores.setdefault(name, MemoryStore(name))
