"""From the files to what the engine works with."""

from __future__ import annotations

import threading
from pathlib import Path

from tasks.broker.auth.tls import check_files
from tasks.broker.kafka_access import KafkaAccess
from tasks.broker.raw.cluster import bootstrap_addresses
from tasks.broker.raw.connection import ConnectionOptions
from tasks.config.models import ClusterSection, StorageSection
from tasks.store.factory import LocalLocation, MemoryLocation, StoreLocation, location_from_url, open_store
from tasks.store.protocol import ObjectStore
from tasks.store.retrying import RetryingStore
from tasks.store.s3.location import S3Credentials, S3Location


def connection_options(section: ClusterSection) -> ConnectionOptions:
    """How to reach the cluster. Raises `ConfigError` for an address that is none, and for a file of its security that
    cannot be read or is not what it should be."""
    bootstrap_addresses(section.bootstrap_servers)
    check_files(section.security)
    return ConnectionOptions(bootstrap_servers=section.bootstrap_servers, security=section.security)


def cluster_access(section: ClusterSection) -> KafkaAccess:
    """The cluster of a `source` or `target` section. Raises as `connection_options`; nothing is connected yet."""
    return KafkaAccess(connection_options(section))


def store_of(section: StorageSection, *, create: bool = False, stop: threading.Event | None = None) -> ObjectStore:
    """The store of a storage section, with retries around it that end once `stop` is set."""
    return _opened(_location(section), create=create, stop=stop)


def store_at(url: str, *, stop: threading.Event | None = None) -> ObjectStore:
    """The store that a `--storage` URL names, likewise."""
    return _opened(location_from_url(url), create=False, stop=stop)


def _location(section: StorageSection) -> StoreLocation:
    if section.backend == "memory":
        return MemoryLocation(section.path or "memory")
    if section.backend == "s3":
        return S3Location(
            bucket=section.bucket or "",
            prefix=section.prefix,
            region=section.region,
            endpoint=section.endpoint,
            path_style=section.path_style,
            allow_http=section.allow_http,
            credentials=_s3_credentials(section),
        )
    return LocalLocation(Path(section.path or ""), section.prefix)


def _s3_credentials(section: StorageSection) -> S3Credentials | None:
    """None: what the environment, a profile or a role has."""
    if section.access_key is None or section.secret_key is None:
        return None
    token = section.session_token
    return S3Credentials(
        access_key=section.access_key,
        secret_key=section.secret_key.get_secret_value(),
        session_token=token.get_secret_value() if token else None,
    )


def _opened(location: StoreLocation, *, create: bool, stop: threading.Event | None) -> ObjectStore:
    return RetryingStore(open_store(location, create=create), stop=stop)
