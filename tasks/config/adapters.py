"""Makes connections and stores from the sections of a file: which keys become which options and deadlines."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from tasks.config.models import ClusterSection, StorageSection
from tasks.model.waiting import Contact, OnWaiting
from tasks.repository.names import is_data, is_immutable
from tasks.store.protocol import ObjectStore, OnNote
from tasks.store.registry import open_store, settings_from_url
from tasks.store.retrying import RetryingStore

if TYPE_CHECKING:  # commands that reach no cluster do not import Kafka's codecs
    from tasks.broker.kafka_access import KafkaAccess
    from tasks.broker.raw.connection import ConnectionOptions


def connection_options(section: ClusterSection, on_waiting: OnWaiting | None = None) -> ConnectionOptions:
    """The options to connect to the cluster. Connects nothing. `on_waiting` gets reports of waits.

    Raises `ConfigError` for an invalid address, for a certificate, key or token file that cannot be read, and for a
    certificate or key file with wrong content.
    """
    from tasks.broker.auth.tls import check_files
    from tasks.broker.raw.addresses import bootstrap_addresses
    from tasks.broker.raw.connection import ConnectionOptions

    bootstrap_addresses(section.bootstrap_servers)
    check_files(section.security)
    return ConnectionOptions(
        bootstrap_servers=section.bootstrap_servers,
        security=section.security,
        connect_timeout_ms=section.connection.connect_timeout_ms,
        rack=section.rack,
        contact=Contact(on_waiting),
    )


def cluster_access(section: ClusterSection, on_waiting: OnWaiting | None = None) -> KafkaAccess:
    """The cluster of a `source` or `target` section. Connects nothing. Raises the errors of `connection_options`."""
    from tasks.broker.kafka_access import KafkaAccess

    return KafkaAccess(connection_options(section, on_waiting))


def store_of(
    section: StorageSection,
    *,
    create: bool = False,
    stop: threading.Event | None = None,
    on_waiting: OnWaiting | None = None,
    on_note: OnNote | None = None,
) -> ObjectStore:
    """The store of a storage section. With `create` a missing folder is made. Failed calls are retried until a
    deadline, or until `stop` is set: see `RetryingStore`. `on_waiting` gets reports of waits, and `on_note` gets notes
    about the store for an operator.

    Raises the errors of `open_store`, for example `NotFoundError` if the folder is missing.
    """
    store = open_store(section, create=create, on_note=on_note, is_immutable=is_immutable, is_data=is_data)
    return RetryingStore(
        store,
        connect_timeout_ms=section.first_answer_ms,
        contact=Contact(on_waiting),
        subject=section.address,
        stop=stop,
    )


def store_at(url: str, *, stop: threading.Event | None = None, on_waiting: OnWaiting | None = None) -> ObjectStore:
    """The store of a `--storage` URL. It is not created. Retries and errors are those of `store_of` and
    `settings_from_url`."""
    return store_of(settings_from_url(url), stop=stop, on_waiting=on_waiting)
