"""Broker quotas for this program's clients, so that a backup or restore still runs when a test injects a fault.

A quota applies to all clients with this program's client id. The librdkafka clients of the tests have another one. The
broker limits the mean over ten seconds, so the bytes of the first ten seconds pass at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tasks.broker.error_codes import ErrorCode
from tasks.broker.raw.cluster import Cluster
from tasks.broker.raw.connection import ConnectionOptions


@contextmanager
def fetch_quota(connection: ConnectionOptions, bytes_per_second: int) -> Iterator[None]:
    """Limit what clients fetch while the body runs."""
    with _quota(connection, "consumer_byte_rate", bytes_per_second):
        yield


@contextmanager
def produce_quota(connection: ConnectionOptions, bytes_per_second: int) -> Iterator[None]:
    """Limit what clients produce while the body runs."""
    with _quota(connection, "producer_byte_rate", bytes_per_second):
        yield


@contextmanager
def mutation_quota(connection: ConnectionOptions, per_second: int) -> Iterator[None]:
    """Limit how many partitions clients create and delete while the body runs."""
    with _quota(connection, "controller_mutation_rate", per_second):
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
    assert ErrorCode.NONE == answer.error_code
