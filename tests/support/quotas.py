"""Slows down what our own clients read, by a quota of the broker, so that a backup surely runs while a test strikes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tasks.broker.cluster import Cluster
from tasks.broker.connection import ConnectionOptions


@contextmanager
def fetch_quota(connection: ConnectionOptions, bytes_per_second: int) -> Iterator[None]:
    """For all clients of the program's client id; librdkafka's, which the tests read with, are not slowed down.

    The broker looks at the mean over ten seconds, so that the first ten seconds' worth comes at once.
    """
    _set(connection, bytes_per_second)
    try:
        yield
    finally:
        _set(connection, None)


def _set(connection: ConnectionOptions, bytes_per_second: int | None) -> None:
    from kafka.protocol.admin.client_quotas import AlterClientQuotasRequest

    entry = AlterClientQuotasRequest.EntryData
    rate = float(bytes_per_second or 0)
    request = AlterClientQuotasRequest(
        entries=[
            entry(
                entity=[entry.EntityData(entity_type="client-id", entity_name=connection.client_id)],
                ops=[entry.OpData(key="consumer_byte_rate", value=rate, remove=bytes_per_second is None)],
            )
        ],
        validate_only=False,
    )
    request.API_VERSION = 1
    with Cluster(connection) as cluster:
        [answer] = cluster.any_connection().call(request).entries
    assert 0 == answer.error_code
