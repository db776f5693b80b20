"""The Fetch request for one partition: committed data only, from the leader, without a fetch session."""

from __future__ import annotations

import uuid
from typing import Any

from tasks.broker.messages.topic_ids import topic_uuid
from tasks.broker.messages.wire import FetchRequest
from tasks.model.partition import Partition

FETCH_KEY: int = FetchRequest.API_KEY
FETCH_VERSIONS = (12, 17)
BY_ID = 13
"""The first version that names a topic by its id; before it, a topic created again answers for the old one."""

_READ_COMMITTED = 1


def fetch_request(
    partition: Partition, position: int, last_epoch: int | None, *, version: int, max_bytes: int, max_wait_ms: int
) -> Any:
    """The message, its version set. A first batch larger than `max_bytes` comes whole nevertheless.

    With `last_epoch`, the leader epoch of the batch before `position`, the leader says whether its log diverges there.
    """
    topic_class = FetchRequest.FetchTopic
    part = topic_class.FetchPartition(
        partition=partition.partition,
        current_leader_epoch=-1,
        fetch_offset=position,
        last_fetched_epoch=-1 if last_epoch is None else last_epoch,
        log_start_offset=-1,
        partition_max_bytes=max_bytes,
        replica_directory_id=uuid.UUID(int=0),
    )
    topic = topic_class(
        topic=partition.topic if version < BY_ID else "", topic_id=topic_uuid(partition.topic_id), partitions=[part]
    )
    request = FetchRequest(
        cluster_id=None,
        replica_id=-1,
        max_wait_ms=max_wait_ms,
        min_bytes=1,
        max_bytes=max_bytes,
        isolation_level=_READ_COMMITTED,
        session_id=0,
        session_epoch=-1,
        topics=[topic],
        forgotten_topics_data=[],
        rack_id="",
    )
    request.API_VERSION = version
    return request
