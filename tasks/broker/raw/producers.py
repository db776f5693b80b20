"""DescribeProducers: the oldest open transaction of partitions, with one request per leader."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from tasks.broker.log_values import OpenTransaction
from tasks.broker.messages.api_keys import ApiKey
from tasks.broker.messages.wire import DescribeProducersRequest
from tasks.broker.raw.cluster import Cluster
from tasks.broker.raw.connection import Connection
from tasks.broker.raw.leader_requests import by_topic, request_leaders
from tasks.model.errors import KafkaBackupError, UnsupportedError
from tasks.model.partition import Partition

_VERSION = 0


def open_transactions(cluster: Cluster, partitions: Collection[Partition]) -> dict[Partition, OpenTransaction]:
    """The oldest open transaction of each partition. See `LogReader.open_transactions`."""
    values: dict[Partition, OpenTransaction | None] = {}
    failures: dict[Partition, KafkaBackupError] = {}
    try:
        request_leaders(cluster, partitions, _request_open, "describe the producers of", values, failures)
    except UnsupportedError:
        return {}  # before Kafka 2.8
    return {partition: one for partition, one in values.items() if one is not None}


def _request_open(
    connection: Connection, partitions: Sequence[Partition]
) -> Iterator[tuple[Partition, int, OpenTransaction | None]]:
    """(partition, error code, oldest open transaction) of every partition, from one leader."""
    by_name = {(partition.topic, partition.partition): partition for partition in partitions}
    topic_class = DescribeProducersRequest.TopicRequest
    topics = [
        topic_class(name=name, partition_indexes=[partition.partition for partition in own])
        for name, own in by_topic(partitions).items()
    ]
    request = DescribeProducersRequest(topics=topics)
    request.API_VERSION = connection.pick(ApiKey.DESCRIBE_PRODUCERS, _VERSION, _VERSION)
    for topic in connection.call(request).topics:
        for part in topic.partitions:
            opened = [
                OpenTransaction(one.producer_id, one.current_txn_start_offset, one.last_timestamp)
                for one in part.active_producers
                if one.current_txn_start_offset >= 0
            ]
            oldest = min(opened, key=lambda one: one.first, default=None)
            yield by_name[topic.name, part.partition_index], part.error_code, oldest
