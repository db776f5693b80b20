"""From the files to what the engine works with."""

from __future__ import annotations

from pathlib import Path

from tasks.broker.cluster import bootstrap_addresses
from tasks.broker.connection import ConnectionOptions
from tasks.config.models import ClusterSection, StorageSection
from tasks.store.factory import LocalLocation, MemoryLocation, StoreLocation, location_from_url, open_store
from tasks.store.protocol import ObjectStore
from tasks.store.retrying import RetryingStore


def connection_options(section: ClusterSection) -> ConnectionOptions:
    """How to reach the cluster. Raises `ConfigError` for an address that is none."""
    bootstrap_addresses(section.bootstrap_servers)
    return ConnectionOptions(bootstrap_servers=section.bootstrap_servers)


def store_of(section: StorageSection, *, create: bool = False) -> ObjectStore:
    """The store of a storage section, with retries around it."""
    return _opened(_location(section), create=create)


def store_at(url: str) -> ObjectStore:
    """The store that a `--storage` URL names, with retries around it."""
    return _opened(location_from_url(url), create=False)


def _location(section: StorageSection) -> StoreLocation:
    if section.backend == "memory":
        return MemoryLocation(section.path or "memory")
    return LocalLocation(Path(section.path or ""), section.prefix)


def _opened(location: StoreLocation, *, create: bool) -> ObjectStore:
    return RetryingStore(open_store(location, create=create))
