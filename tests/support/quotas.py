"""Slows our own clients down by quotas of the broker, so that a backup or a restore surely runs while a test strikes.

Quotas are for all clients of the program's client id; librdkafka's, which the tests use, are not slowed down. The
broker looks at the mean over ten seconds, so that the first ten seconds' worth goes through at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tasks.broker.raw.cluster import Cluster
from tasks.broker.raw.connection import ConnectionOptions


@contextmanager
def fetch_quota(connection: ConnectionOptions, bytes_per_second: int) -> Iterator[None]:
    """On what is read, while the body runs."""
    with _quota(connection, "consumer_byte_rate", bytes_per_second):
        yield


@contextmanager
def produce_quota(connection: ConnectionOptions, bytes_per_second: int) -> Iterator[None]:
    """On what is written, while the body runs."""
    with _quota(connection, "producer_byte_rate", bytes_per_second):
        yield


@contextmanager
def _quota(connection: ConnectionOptions, key: str, bytes_per_second: int) -> Iterator[None]:
    _set(connection, key, bytes_per_second)
    try:
        yield
    finally:
        _set(connection, key, None)


def _set(connection: ConnectionOptions, key: str, bytes_per_second: int | None) -> None:
    from kafka.protocol.admin.client_quotas import AlterClientQuotasRequest

    entry = AlterClientQuotasRequest.EntryData
    rate = float(bytes_per_second or 0)
    request = AlterClientQuotasRequest(
        entries=[
            entry(
                entity=[entry.EntityData(entity_type="client-id", entity_name=connection.client_id)],
                ops=[entry.OpData(key=key, value=rate, remove=bytes_per_second is None)],
            )
        ],
        validate_only=False,
    )
    request.API_VERSION = 1
    with Cluster(connection) as cluster:
        [answer] = cluster.any_connection().call(request).entries
    assert 0 == answer.error_code
