"""DescribeLogDirs: the bytes that the brokers store for each partition."""

from __future__ import annotations

from collections.abc import Collection

from tasks.broker.messages.api_keys import ApiKey
from tasks.broker.messages.wire import DescribeLogDirsRequest
from tasks.broker.raw.cluster import Cluster
from tasks.broker.translation import Action, Permission, error_for_code
from tasks.model.errors import AccessError, BrokerError, UnsupportedError
from tasks.model.partition import Partition

_VERSIONS = (1, 4)
_ACTION = Action("describe", "the log directories", (Permission("Describe", "Cluster"),))


def partition_bytes(cluster: Cluster, partitions: Collection[Partition]) -> dict[Partition, int] | None:
    """An estimate: the bytes of each partition's largest replica. A partition that no broker reports is absent.

    None if no size is known. An error of a broker, or the missing permission Describe on the cluster, also gives None
    and is not raised, because the sizes are used only to balance work and to show progress.
    """
    by_name = {(partition.topic, partition.partition): partition for partition in partitions}
    sizes: dict[Partition, int] = {}
    try:
        for node_id in cluster.node_ids():
            for topic, number, size_bytes in _request_sizes(cluster, node_id):
                partition = by_name.get((topic, number))
                if partition is not None:
                    sizes[partition] = max(size_bytes, sizes.get(partition, 0))
    except (BrokerError, AccessError, UnsupportedError):
        return None
    return sizes or None


def _request_sizes(cluster: Cluster, node_id: int) -> list[tuple[str, int, int]]:
    """(topic, partition, bytes) of every replica on one broker."""
    connection = cluster.connection(node_id)
    request = DescribeLogDirsRequest(topics=None)
    request.API_VERSION = connection.pick(ApiKey.DESCRIBE_LOG_DIRS, *_VERSIONS)
    response = connection.call(request)
    if response.error_code:  # before version 3, a missing permission gives an empty list and no error
        raise error_for_code(response.error_code, _ACTION)
    return [
        (topic.name, part.partition_index, part.partition_size)
        for folder in response.results
        if not folder.error_code
        for topic in folder.topics
        for part in topic.partitions
    ]
