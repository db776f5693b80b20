"""From the sections of a file to a connection and a store."""

from __future__ import annotations

import threading

from tasks.broker.auth.tls import check_files
from tasks.broker.kafka_access import KafkaAccess
from tasks.broker.raw.addresses import bootstrap_addresses
from tasks.broker.raw.connection import ConnectionOptions
from tasks.config.models import ClusterSection, StorageSection
from tasks.model.waiting import Contact, OnWaiting
from tasks.store.protocol import ObjectStore, OnNote
from tasks.store.registry import open_store, settings_from_url
from tasks.store.retrying import RetryingStore


def connection_options(section: ClusterSection, on_waiting: OnWaiting | None = None) -> ConnectionOptions:
    """The options to connect to the cluster. `on_waiting` gets reports of waits.

    Raises `ConfigError` for an invalid address, and for a certificate, key or token file that cannot be read or has
    other content.
    """
    bootstrap_addresses(section.bootstrap_servers)
    check_files(section.security)
    return ConnectionOptions(
        bootstrap_servers=section.bootstrap_servers,
        security=section.security,
        connect_timeout_ms=section.connection.connect_timeout_ms,
        contact=Contact(on_waiting),
    )


def cluster_access(section: ClusterSection, on_waiting: OnWaiting | None = None) -> KafkaAccess:
    """The cluster of a `source` or `target` section. Raises as `connection_options`; nothing is connected yet."""
    return KafkaAccess(connection_options(section, on_waiting))


def store_of(
    section: StorageSection,
    *,
    create: bool = False,
    stop: threading.Event | None = None,
    on_waiting: OnWaiting | None = None,
    on_note: OnNote | None = None,
) -> ObjectStore:
    """The store of a storage section; `create` makes a missing folder. Failed calls are retried until `stop` is set.
    `on_waiting` receives reports of waits, `on_note` what an operator should know about the store.

    Raises `NotFoundError` when the folder is missing, `ConfigError` when the section cannot be used.
    """
    store = open_store(section, create=create, on_note=on_note)
    return RetryingStore(
        store,
        connect_timeout_ms=section.first_answer_ms,
        contact=Contact(on_waiting),
        subject=section.address,
        stop=stop,
    )


def store_at(url: str, *, stop: threading.Event | None = None, on_waiting: OnWaiting | None = None) -> ObjectStore:
    """The store of a `--storage` URL, which must exist. Retries and errors are those of `store_of`."""
    return store_of(settings_from_url(url), stop=stop, on_waiting=on_waiting)
