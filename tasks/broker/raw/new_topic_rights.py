"""Finds out whether this user is allowed to write and read topics that do not exist yet.

Brokers report the allowed operations of existing topics only. But they check the permission before they look for the
topic. So if a Produce or Fetch request names a topic that does not exist, the error code in the answer shows whether
the permission is missing. The Produce request contains no record batch, so it writes nothing, even if the topic is
created in the meantime. These requests create no topic: Kafka creates topics automatically for Metadata requests only.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing

from tasks.broker.error_codes import ErrorCode
from tasks.broker.log_values import FetchPosition
from tasks.broker.messages.api_keys import ApiKey
from tasks.broker.messages.fetch_request import FIRST_BY_ID, fetch_request
from tasks.broker.messages.produce_request import PRODUCE_VERSION, encode_produce
from tasks.broker.messages.topic_ids import ZERO_UUID, topic_id_text
from tasks.broker.raw.broker_probe import bootstrap_connection
from tasks.broker.raw.connection import Connection, ConnectionOptions
from tasks.model.partition import Partition

_BY_NAME = FIRST_BY_ID - 1
_CLIENT_ID = "kafka-backup"
_TIMEOUT_MS = 1_000


def denied_on_new_topics(options: ConnectionOptions, names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """For each topic: which of the operations `Write` and `Read` this user is not allowed to do. Raises the
    connection's errors, and `UnsupportedError` if the broker does not support the Fetch request by name."""
    partitions = [Partition(name, topic_id_text(ZERO_UUID), 0) for name in names]
    with closing(bootstrap_connection(options)) as connection:
        unwritable = _unwritable(connection, partitions)
        unreadable = {one.topic for one in partitions if _is_unreadable(connection, one)}
    return {
        name: tuple(operation for operation, denied in (("Write", unwritable), ("Read", unreadable)) if name in denied)
        for name in names
    }


def _unwritable(connection: Connection, partitions: Sequence[Partition]) -> set[str]:
    connection.pick(ApiKey.PRODUCE, PRODUCE_VERSION, PRODUCE_VERSION)
    batches = [(partition, b"") for partition in partitions]

    def encode(correlation_id: int) -> list[bytes]:
        return encode_produce(batches, correlation_id=correlation_id, client_id=_CLIENT_ID, timeout_ms=_TIMEOUT_MS)

    connection.send_encoded(encode, ApiKey.PRODUCE, PRODUCE_VERSION)
    answer = connection.receive()
    return {one.topic for one in answer.partitions if one.error_code == ErrorCode.TOPIC_AUTHORIZATION_FAILED}


def _is_unreadable(connection: Connection, partition: Partition) -> bool:
    version = connection.pick(ApiKey.FETCH, _BY_NAME, _BY_NAME)
    position = FetchPosition(partition, 0, None, max_bytes=1)
    answer = connection.call(fetch_request([position], version=version, max_wait_ms=0))
    return any(one.error_code == ErrorCode.TOPIC_AUTHORIZATION_FAILED for one in answer.partitions)
