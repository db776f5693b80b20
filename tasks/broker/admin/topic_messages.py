"""The requests about the cluster, topics, settings and records, and the values of their answers.

Each function sends one request. For every topic, partition or broker of the answer it returns a value, or the error
code and message (`Failed`). It raises the connection's errors.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from enum import IntEnum
from typing import Any, Final, NamedTuple

from tasks.broker.admin.admin_requests import Attempt
from tasks.broker.admin_values import (
    ConfigChange,
    ConfigEntry,
    NewTopicSpec,
    PartitionDescription,
    TopicDescription,
    TopicPartition,
)
from tasks.broker.error_codes import ErrorCode
from tasks.broker.messages.topic_ids import ZERO_UUID, topic_id_text, topic_uuid
from tasks.broker.messages.wire import (
    CreatePartitionsRequest,
    CreateTopicsRequest,
    DeleteRecordsRequest,
    DeleteTopicsRequest,
    DescribeClusterRequest,
    DescribeConfigsRequest,
    IncrementalAlterConfigsRequest,
    MetadataRequest,
)
from tasks.broker.raw.connection import Connection

_METADATA = (10, 12)
_DESCRIBE_CLUSTER = (0, 1)
_DESCRIBE_CONFIGS = (1, 4)
_CREATE_TOPICS = (2, 7)
_CREATE_PARTITIONS = (0, 3)
_DELETE_TOPICS = (1, 5)
_DELETE_TOPICS_BY_ID = (6, 6)
_DELETE_RECORDS = (0, 2)
_INCREMENTAL_ALTER_CONFIGS = (0, 1)


class ResourceType(IntEnum):
    """The kind of resource that has a setting (`org.apache.kafka.common.config.ConfigResource.Type`)."""

    TOPIC = 2
    BROKER = 4


class _AlterOperation(IntEnum):
    SET = 0
    DELETE = 1


class Failed(NamedTuple):
    """An error code that is not 0, and the broker's message if it sends one."""

    code: int
    message: str | None = None


class ClusterDescription(NamedTuple):
    """A cluster: its id, the brokers that are alive, and the codes of the operations that this user is allowed to do on
    it (empty if they were not requested)."""

    cluster_id: str
    node_ids: tuple[int, ...]
    operations: frozenset[int]


NO_OPERATIONS: Final[frozenset[int]] = frozenset()


def request_cluster(attempt: Attempt, *, with_operations: bool = False) -> ClusterDescription | Failed:
    """DescribeCluster, from any broker: the cluster, or the error."""
    request = DescribeClusterRequest(
        include_cluster_authorized_operations=with_operations, endpoint_type=1, include_fenced_brokers=False
    )
    answer = attempt.call(attempt.any_broker(), request, *_DESCRIBE_CLUSTER)
    if answer.error_code:
        return Failed(answer.error_code, answer.error_message)
    return ClusterDescription(
        cluster_id=answer.cluster_id,
        node_ids=tuple(sorted(broker.broker_id for broker in answer.brokers)),
        operations=frozenset(answer.authorized_operations or ()),
    )


class MetadataTopic(NamedTuple):
    """A topic of a Metadata answer, with the codes of the operations that this user is allowed to do (empty if they
    were not requested)."""

    topic: TopicDescription
    operations: frozenset[int]


def request_topics(
    attempt: Attempt, names: Sequence[str] | None, *, with_operations: bool = False
) -> dict[str, MetadataTopic | Failed]:
    """Metadata of these topics; with None, of all topics that this user is allowed to describe. Never creates a
    topic."""
    topic_class = MetadataRequest.MetadataRequestTopic
    wanted = None if names is None else [topic_class(topic_id=ZERO_UUID, name=name) for name in names]
    request = MetadataRequest(
        topics=wanted,
        allow_auto_topic_creation=False,
        include_cluster_authorized_operations=False,
        include_topic_authorized_operations=with_operations,
    )
    answer = attempt.call(attempt.any_broker(), request, *_METADATA)
    return {topic.name: _metadata_topic(topic) for topic in answer.topics}


def _metadata_topic(topic: Any) -> MetadataTopic | Failed:
    if topic.error_code:
        return Failed(topic.error_code)
    partitions = sorted((_partition(one) for one in topic.partitions), key=lambda one: one.partition)
    described = TopicDescription(
        name=topic.name,
        topic_id=topic_id_text(topic.topic_id),
        is_internal=topic.is_internal,
        partitions=tuple(partitions),
    )
    return MetadataTopic(described, frozenset(topic.authorized_operations or ()))


def _partition(one: Any) -> PartitionDescription:
    return PartitionDescription(
        partition=one.partition_index,
        leader=one.leader_id if one.leader_id >= 0 else None,
        replicas=tuple(one.replica_nodes),
        isr=tuple(one.isr_nodes),
    )


def request_configs(
    attempt: Attempt, connection: Connection, kind: ResourceType, names: Sequence[str]
) -> dict[str, tuple[ConfigEntry, ...] | Failed]:
    """DescribeConfigs: every setting in force, ordered by name. Settings of a broker have to be requested from that
    broker, because the others do not know all of them."""
    resource_class = DescribeConfigsRequest.DescribeConfigsResource
    resources = [resource_class(resource_type=kind, resource_name=name, configuration_keys=None) for name in names]
    request = DescribeConfigsRequest(resources=resources, include_synonyms=False, include_documentation=False)
    answer = attempt.call(connection, request, *_DESCRIBE_CONFIGS)
    return {
        one.resource_name: Failed(one.error_code, one.error_message) if one.error_code else _entries(one.configs)
        for one in answer.results
    }


def _entries(configs: Collection[Any]) -> tuple[ConfigEntry, ...]:
    return tuple(
        ConfigEntry(
            name=entry.name,
            value=None if entry.is_sensitive else entry.value,
            source=entry.config_source,
            is_sensitive=entry.is_sensitive,
            is_read_only=entry.read_only,
        )
        for entry in sorted(configs, key=lambda one: str(one.name))
    )


def request_creation(
    attempt: Attempt, specs: Collection[NewTopicSpec], *, validate_only: bool, timeout_ms: int
) -> dict[str, Failed | None]:
    """CreateTopics, at the controller: for each topic None or its error."""
    topic_class = CreateTopicsRequest.CreatableTopic
    topics = [
        topic_class(
            name=spec.name,
            num_partitions=spec.partitions,
            replication_factor=spec.replication_factor,
            assignments=[],
            configs=[topic_class.CreatableTopicConfig(name=name, value=value) for name, value in spec.configs.items()],
        )
        for spec in specs
    ]
    request = CreateTopicsRequest(topics=topics, timeout_ms=timeout_ms, validate_only=validate_only)
    answer = attempt.call(attempt.controller(), request, *_CREATE_TOPICS)
    return {one.name: _failed(one) for one in answer.topics}


def request_partitions(attempt: Attempt, counts: Mapping[str, int], *, timeout_ms: int) -> dict[str, Failed | None]:
    """CreatePartitions, at the controller: increase each topic to this total number of partitions. For each topic None
    or its error."""
    topic_class = CreatePartitionsRequest.CreatePartitionsTopic
    topics = [topic_class(name=name, count=count, assignments=None) for name, count in counts.items()]
    request = CreatePartitionsRequest(topics=topics, timeout_ms=timeout_ms, validate_only=False)
    answer = attempt.call(attempt.controller(), request, *_CREATE_PARTITIONS)
    return {one.name: _failed(one) for one in answer.results}


def request_deletion(attempt: Attempt, names: Sequence[str], *, timeout_ms: int) -> dict[str, Failed | None]:
    """DeleteTopics, at the controller: for each topic None or its error."""
    request = DeleteTopicsRequest(topic_names=list(names), timeout_ms=timeout_ms)
    answer = attempt.call(attempt.controller(), request, *_DELETE_TOPICS)
    return {one.name: _failed(one) for one in answer.responses}


class DeletedTopic(NamedTuple):
    """The answer to the deletion of a topic by its id: its name (None if the broker did not send it), and its error
    (None if it was deleted)."""

    name: str | None
    failed: Failed | None


def request_deletion_by_id(attempt: Attempt, topic_ids: Sequence[str], *, timeout_ms: int) -> dict[str, DeletedTopic]:
    """DeleteTopics by topic ids (KIP-516), at the controller. Raises `UnsupportedError` if it does not support that."""
    topics = [DeleteTopicsRequest.DeleteTopicState(name=None, topic_id=topic_uuid(one)) for one in topic_ids]
    request = DeleteTopicsRequest(topics=topics, timeout_ms=timeout_ms)
    answer = attempt.call(attempt.controller(), request, *_DELETE_TOPICS_BY_ID)
    return {topic_id_text(one.topic_id): DeletedTopic(one.name, _failed(one)) for one in answer.responses}


def request_changes(
    attempt: Attempt, changes: Mapping[str, ConfigChange], *, validate_only: bool
) -> dict[str, Failed | None]:
    """IncrementalAlterConfigs of topics, from any broker. Each topic's change is made completely or not at all. For
    each topic None or its error."""
    resource_class = IncrementalAlterConfigsRequest.AlterConfigsResource
    entry = resource_class.AlterableConfig
    resources = [
        resource_class(
            resource_type=ResourceType.TOPIC,
            resource_name=topic,
            configs=[
                *(
                    entry(name=name, config_operation=_AlterOperation.SET, value=value)
                    for name, value in change.to_set.items()
                ),
                *(
                    entry(name=name, config_operation=_AlterOperation.DELETE, value=None)
                    for name in sorted(change.to_delete)
                ),
            ],
        )
        for topic, change in changes.items()
    ]
    request = IncrementalAlterConfigsRequest(resources=resources, validate_only=validate_only)
    answer = attempt.call(attempt.any_broker(), request, *_INCREMENTAL_ALTER_CONFIGS)
    return {one.resource_name: _failed(one) for one in answer.responses}


def request_record_deletion(
    attempt: Attempt, connection: Connection, before_offsets: Mapping[TopicPartition, int], *, timeout_ms: int
) -> dict[TopicPartition, int | Failed]:
    """DeleteRecords, at the leader of these partitions: for each partition the new log start, or its error."""
    topic_class = DeleteRecordsRequest.DeleteRecordsTopic
    by_topic: dict[str, list[Any]] = defaultdict(list)
    for (topic, partition), offset in before_offsets.items():
        by_topic[topic].append(topic_class.DeleteRecordsPartition(partition_index=partition, offset=offset))
    request = DeleteRecordsRequest(
        topics=[topic_class(name=name, partitions=parts) for name, parts in by_topic.items()], timeout_ms=timeout_ms
    )
    answer = attempt.call(connection, request, *_DELETE_RECORDS)
    return {
        (topic.name, part.partition_index): Failed(part.error_code) if part.error_code else part.low_watermark
        for topic in answer.topics
        for part in topic.partitions
    }


def _failed(answer: Any) -> Failed | None:
    """The error of one topic of an answer; None if it succeeded. Early versions of some answers have no message."""
    if answer.error_code == ErrorCode.NONE:
        return None
    return Failed(answer.error_code, getattr(answer, "error_message", None))
