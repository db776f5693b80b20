"""The Fetch request for one or many partitions, and its versions: committed records only, without a fetch session."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from tasks.broker.log_values import FetchPosition
from tasks.broker.messages.isolation import IsolationLevel
from tasks.broker.messages.topic_ids import ZERO_UUID, topic_uuid
from tasks.broker.messages.wire import FetchRequest
from tasks.model.partition import Incarnation

MIN_BYTES = 1
"""A broker answers as soon as it has this many bytes."""

FETCH_VERSIONS = (12, 17)
FIRST_BY_ID = 13
"""The first version that contains the topic id. In earlier versions, a request for a topic that was deleted and created
again returns records of the new topic."""

_NONE = -1
"""Kafka's value for "no epoch", "no offset" and "no replica". "No replica" means that a client sends the request."""


def fetch_request(positions: Sequence[FetchPosition], *, version: int, max_wait_ms: int, rack: str = "") -> Any:
    """The request, with its `API_VERSION` set. The answer has at most the sum of the positions' `max_bytes`; if the
    first batch that the broker finds is larger than its limit, the broker returns it whole.

    `max_wait_ms`: how long the broker waits for a record. With a `rack` the leader can answer with a replica of this
    rack instead of records.
    """
    by_topic: dict[Incarnation, list[FetchPosition]] = defaultdict(list)
    for position in positions:
        by_topic[position.partition.incarnation].append(position)
    request = FetchRequest(
        cluster_id=None,
        replica_id=_NONE,
        max_wait_ms=max_wait_ms,
        min_bytes=MIN_BYTES,
        max_bytes=sum(position.max_bytes for position in positions),
        isolation_level=IsolationLevel.READ_COMMITTED,
        session_id=0,
        session_epoch=_NONE,
        topics=[_topic(incarnation, own, version) for incarnation, own in by_topic.items()],
        forgotten_topics_data=[],
        rack_id=rack,
    )
    request.API_VERSION = version
    return request


def _topic(incarnation: Incarnation, positions: Sequence[FetchPosition], version: int) -> Any:
    return FetchRequest.FetchTopic(
        topic=incarnation.topic if version < FIRST_BY_ID else "",
        topic_id=topic_uuid(incarnation.topic_id),
        partitions=[_partition(position) for position in positions],
    )


def _partition(position: FetchPosition) -> Any:
    return FetchRequest.FetchTopic.FetchPartition(
        partition=position.partition.partition,
        current_leader_epoch=_NONE,
        fetch_offset=position.position,
        last_fetched_epoch=_NONE if position.last_epoch is None else position.last_epoch,
        log_start_offset=_NONE,
        partition_max_bytes=position.max_bytes,
        replica_directory_id=ZERO_UUID,
    )
