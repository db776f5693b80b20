"""The Fetch request for one partition, and its versions: committed records only, without a fetch session."""

from __future__ import annotations

from typing import Any

from tasks.broker.messages.isolation import IsolationLevel
from tasks.broker.messages.topic_ids import ZERO_UUID, topic_uuid
from tasks.broker.messages.wire import FetchRequest
from tasks.model.partition import Partition

MIN_BYTES = 1
"""A broker answers as soon as it has this many bytes."""

FETCH_VERSIONS = (12, 17)
FIRST_BY_ID = 13
"""The first version that contains the topic id. In earlier versions, a request for a topic that was deleted and created
again returns records of the new topic."""

_NONE = -1
"""Kafka's value for "no epoch", "no offset" and "no replica". "No replica" means that a client sends the request."""


def fetch_request(
    partition: Partition,
    position: int,
    last_epoch: int | None,
    *,
    version: int,
    max_bytes: int,
    max_wait_ms: int,
    rack: str = "",
) -> Any:
    """The request, with its `API_VERSION` set. If the first batch is larger than `max_bytes`, the broker returns it
    whole. `max_wait_ms`: how long the broker waits for a record.

    `last_epoch` is the leader epoch of the batch before `position`, so that the leader reports whether its log diverges
    there; None if it is not known. With a `rack` the leader can answer with a replica of this rack instead of records.
    """
    topic_class = FetchRequest.FetchTopic
    part = topic_class.FetchPartition(
        partition=partition.partition,
        current_leader_epoch=_NONE,
        fetch_offset=position,
        last_fetched_epoch=_NONE if last_epoch is None else last_epoch,
        log_start_offset=_NONE,
        partition_max_bytes=max_bytes,
        replica_directory_id=ZERO_UUID,
    )
    topic = topic_class(
        topic=partition.topic if version < FIRST_BY_ID else "",
        topic_id=topic_uuid(partition.topic_id),
        partitions=[part],
    )
    request = FetchRequest(
        cluster_id=None,
        replica_id=_NONE,
        max_wait_ms=max_wait_ms,
        min_bytes=MIN_BYTES,
        max_bytes=max_bytes,
        isolation_level=IsolationLevel.READ_COMMITTED,
        session_id=0,
        session_epoch=_NONE,
        topics=[topic],
        forgotten_topics_data=[],
        rack_id=rack,
    )
    request.API_VERSION = version
    return request
