"""ListOffsets: the log start, the end or another offset of many partitions, with one request for each leader."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from enum import IntEnum

from tasks.broker.log_values import OffsetAnswers, Which
from tasks.broker.messages.api_keys import ApiKey
from tasks.broker.messages.isolation import IsolationLevel
from tasks.broker.messages.wire import ListOffsetsRequest
from tasks.broker.raw.cluster import Cluster
from tasks.broker.raw.connection import Connection
from tasks.broker.raw.leader_requests import by_topic, request_leaders
from tasks.broker.raw.required_versions import LIST_OFFSETS_VERSIONS
from tasks.model.partition import Partition

_FIRST_WITH_MAX_TIMESTAMP = 7


class _Timestamp(IntEnum):
    """Special timestamps of ListOffsets (`ListOffsetsRequest` of Kafka)."""

    LATEST = -1
    EARLIEST = -2
    MAX_TIMESTAMP = -3


_TIMESTAMPS: dict[Which, _Timestamp] = {
    "earliest": _Timestamp.EARLIEST,
    "latest": _Timestamp.LATEST,
    "last_stable": _Timestamp.LATEST,
    "max_timestamp": _Timestamp.MAX_TIMESTAMP,
}


def list_offsets(cluster: Cluster, partitions: Collection[Partition], which: Which) -> OffsetAnswers:
    """See `LogReader.list_offsets`.

    Retries, and looks topics up by id, as `request_leaders` does. A partition that is given twice is asked for once,
    because brokers refuse a request that contains it twice.
    """
    answers = OffsetAnswers()
    values: dict[Partition, tuple[int, int]] = {}

    def request(connection: Connection, own: Sequence[Partition]) -> Iterator[tuple[Partition, int, tuple[int, int]]]:
        return _request_offsets(connection, own, which)

    request_leaders(cluster, list(dict.fromkeys(partitions)), request, "list offsets of", values, answers.failures)
    for partition, (offset, epoch) in values.items():
        answers.offsets[partition] = offset
        if epoch >= 0:
            answers.leader_epochs[partition] = epoch
    return answers


def _request_offsets(
    connection: Connection, partitions: Sequence[Partition], which: Which
) -> Iterator[tuple[Partition, int, tuple[int, int]]]:
    """(partition, error code, (offset, leader epoch or -1)) of every partition, from one leader."""
    by_name = {(partition.topic, partition.partition): partition for partition in partitions}
    topic_class = ListOffsetsRequest.ListOffsetsTopic
    topics = [
        topic_class(
            name=name,
            partitions=[
                topic_class.ListOffsetsPartition(
                    partition_index=partition.partition, current_leader_epoch=-1, timestamp=_TIMESTAMPS[which]
                )
                for partition in own
            ],
        )
        for name, own in by_topic(partitions).items()
    ]
    lowest, highest = LIST_OFFSETS_VERSIONS
    request = ListOffsetsRequest(
        replica_id=-1,
        isolation_level=(IsolationLevel.READ_COMMITTED if which == "last_stable" else IsolationLevel.READ_UNCOMMITTED),
        topics=topics,
    )
    request.API_VERSION = connection.pick(
        ApiKey.LIST_OFFSETS, _FIRST_WITH_MAX_TIMESTAMP if which == "max_timestamp" else lowest, highest
    )
    for topic in connection.call(request).topics:
        for part in topic.partitions:
            yield by_name[topic.name, part.partition_index], part.error_code, (part.offset, part.leader_epoch)
