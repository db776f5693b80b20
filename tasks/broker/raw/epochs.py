"""OffsetForLeaderEpoch: where a leader epoch ends in the leader's log, with one request per leader."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tasks.broker.log_values import EpochAnswers, EpochEnd
from tasks.broker.messages.api_keys import ApiKey
from tasks.broker.messages.wire import OffsetForLeaderEpochRequest
from tasks.broker.raw.cluster import Cluster
from tasks.broker.raw.connection import Connection
from tasks.broker.raw.leader_requests import by_topic, request_leaders
from tasks.model.partition import Partition

_VERSIONS = (2, 4)
_CONSUMER = -1
_UNDEFINED = -1


def ends_of_epochs(cluster: Cluster, epochs: Mapping[Partition, int]) -> EpochAnswers:
    """Where the given leader epoch ends in the log of each partition. See `LogReader.ends_of_epochs`.

    Retries, and looks topics up by id, as `request_leaders` does.
    """
    answers = EpochAnswers()

    def request(connection: Connection, own: Sequence[Partition]) -> Iterator[tuple[Partition, int, EpochEnd | None]]:
        return _request_ends(connection, {partition: epochs[partition] for partition in own})

    request_leaders(cluster, epochs, request, "look up a leader epoch of", answers.ends, answers.failures)
    return answers


def _request_ends(
    connection: Connection, epochs: Mapping[Partition, int]
) -> Iterator[tuple[Partition, int, EpochEnd | None]]:
    """(partition, error code, end) of every partition, from one leader."""
    by_name = {(partition.topic, partition.partition): partition for partition in epochs}
    topic_class = OffsetForLeaderEpochRequest.OffsetForLeaderTopic
    topics = [
        topic_class(
            topic=name,
            partitions=[
                topic_class.OffsetForLeaderPartition(
                    partition=partition.partition, current_leader_epoch=-1, leader_epoch=epochs[partition]
                )
                for partition in own
            ],
        )
        for name, own in by_topic(list(epochs)).items()
    ]
    request = OffsetForLeaderEpochRequest(replica_id=_CONSUMER, topics=topics)
    request.API_VERSION = connection.pick(ApiKey.OFFSET_FOR_LEADER_EPOCH, *_VERSIONS)
    for topic in connection.call(request).topics:
        for part in topic.partitions:
            is_known = part.end_offset != _UNDEFINED and part.leader_epoch != _UNDEFINED
            end = EpochEnd(part.leader_epoch, part.end_offset) if is_known else None
            yield by_name[topic.topic, part.partition], part.error_code, end
