"""A scripted broker that is a controller: it creates, grows, changes and deletes topics, with Kafka's limits.

A request that would make more than 10,000 records is refused whole with POLICY_VIOLATION, as KRaft controllers do. With
`mutations` the broker has a quota on changes of topics.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from kafka.protocol.admin import (
    CreatePartitionsRequest,
    CreatePartitionsResponse,
    CreateTopicsRequest,
    CreateTopicsResponse,
    DeleteTopicsRequest,
    DeleteTopicsResponse,
    DescribeConfigsRequest,
    DescribeConfigsResponse,
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
)
from kafka.protocol.metadata import MetadataRequest, MetadataResponse

from tasks.broker.admin_values import DYNAMIC_TOPIC_CONFIG
from tasks.broker.error_codes import ErrorCode
from tasks.broker.messages.api_keys import ApiKey
from tasks.broker.messages.topic_ids import topic_uuid
from tests.unit.broker.scripted_broker import ReceivedRequest, ScriptedBroker, versions

LIMIT = 10_000
TOO_LARGE = "Unable to perform excessively large batch operation."
TOPIC_ID = "kM2jV_iUQ4y9-0gQx3S7vA"


@dataclass
class ScriptedTopic:
    """A topic with its number of partitions and its own settings. The next `leaderless` answers show no leaders."""

    partitions: int
    settings: dict[str, str] = field(default_factory=dict)
    leaderless: int = 0


class ScriptedController:
    """The only broker of a cluster. `topics` are those that exist, `weights` the records of each request for changes.

    `mutations`: so many partitions can be created or deleted before the quota is used up; each answer that says so
    gives `refill` more. `leaderless`: so many answers show a new topic without leaders. `waiting` has the number of
    topics without leaders at each creation.
    """

    def __init__(
        self, *, mutations: int | None = None, refill: int = 5, throttle_time_ms: int = 20, leaderless: int = 0
    ) -> None:
        self.topics: dict[str, ScriptedTopic] = {}
        self.weights: list[int] = []
        self.requests: list[int] = []
        self.waiting: list[int] = []
        self.mutations = mutations
        self._leaderless = leaderless
        self._refill = refill
        self._throttle_time_ms = throttle_time_ms
        supported: dict[int, tuple[int, int]] = {
            ApiKey.CREATE_TOPICS: (2, 7),
            ApiKey.CREATE_PARTITIONS: (0, 3),
            ApiKey.DELETE_TOPICS: (1, 6),
            ApiKey.DESCRIBE_CONFIGS: (1, 4),
            ApiKey.INCREMENTAL_ALTER_CONFIGS: (0, 1),
        }
        self.broker = ScriptedBroker(
            {
                ApiKey.API_VERSIONS: versions(supported),
                ApiKey.METADATA: self._metadata,
                ApiKey.CREATE_TOPICS: self._create,
                ApiKey.CREATE_PARTITIONS: self._grow,
                ApiKey.DELETE_TOPICS: self._delete,
                ApiKey.DESCRIBE_CONFIGS: self._configs,
                ApiKey.INCREMENTAL_ALTER_CONFIGS: self._alter,
            }
        )

    def _is_within(self, weight: int) -> bool:
        self.weights.append(weight)
        return weight <= LIMIT

    def _takes(self, partitions: int) -> bool:
        """Whether the quota allows it. Like Kafka, it allows anything until it is used up."""
        if self.mutations is None:
            return True
        if self.mutations <= 0:
            return False
        self.mutations -= partitions
        return True

    def _throttled(self, codes: Iterable[int]) -> int:
        if ErrorCode.THROTTLING_QUOTA_EXCEEDED not in codes:
            return 0
        assert self.mutations is not None
        self.mutations += self._refill
        return self._throttle_time_ms

    def _metadata(self, received: ReceivedRequest) -> Any:
        request = received.decoded(MetadataRequest)
        topic_class = MetadataResponse.MetadataResponseTopic
        part = topic_class.MetadataResponsePartition
        names = [*self.topics] if request.topics is None else [one.name for one in request.topics]
        topics = []
        for name in names:
            found = self.topics.get(name)
            leader = -1 if found and found.leaderless else 1
            if found and found.leaderless:
                found.leaderless -= 1
            topics.append(
                topic_class(
                    error_code=0 if found else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
                    name=name,
                    topic_id=topic_uuid(TOPIC_ID),
                    partitions=[
                        part(error_code=0, partition_index=number, leader_id=leader, replica_nodes=[1], isr_nodes=[1])
                        for number in range(found.partitions if found else 0)
                    ],
                )
            )
        node = MetadataResponse.MetadataResponseBroker(node_id=1, host="127.0.0.1", port=self.broker.port)
        return MetadataResponse(throttle_time_ms=0, brokers=[node], cluster_id="c", controller_id=1, topics=topics)

    def _create(self, received: ReceivedRequest) -> Any:
        request = received.decoded(CreateTopicsRequest)
        weight = sum(1 + one.num_partitions + len(one.configs) for one in request.topics)
        is_within = self._is_within(weight)
        self.waiting.append(sum(topic.leaderless > 0 for topic in self.topics.values()))
        codes = {one.name: self._created(one, is_within, request.validate_only) for one in request.topics}
        result = CreateTopicsResponse.CreatableTopicResult
        message = None if is_within else TOO_LARGE
        return CreateTopicsResponse(
            throttle_time_ms=self._throttled(codes.values()),
            topics=[result(name=name, error_code=code, error_message=message) for name, code in codes.items()],
        )

    def _created(self, topic: Any, is_within: bool, validate_only: bool) -> int:
        if not is_within:
            return ErrorCode.POLICY_VIOLATION
        if topic.name in self.topics:
            return ErrorCode.TOPIC_ALREADY_EXISTS
        if not self._takes(topic.num_partitions):
            return ErrorCode.THROTTLING_QUOTA_EXCEEDED
        if not validate_only:
            settings = {one.name: one.value for one in topic.configs}
            self.topics[topic.name] = ScriptedTopic(topic.num_partitions, settings, self._leaderless)
        return ErrorCode.NONE

    def _grow(self, received: ReceivedRequest) -> Any:
        request = received.decoded(CreatePartitionsRequest)
        result = CreatePartitionsResponse.CreatePartitionsTopicResult
        weight = sum(one.count - self.topics[one.name].partitions for one in request.topics)
        is_within = self._is_within(weight)
        codes = {one.name: self._grown(one, is_within) for one in request.topics}
        return CreatePartitionsResponse(
            throttle_time_ms=self._throttled(codes.values()),
            results=[result(name=name, error_code=code) for name, code in codes.items()],
        )

    def _grown(self, topic: Any, is_within: bool) -> int:
        if not is_within:
            return ErrorCode.POLICY_VIOLATION
        present = self.topics[topic.name]
        if topic.count <= present.partitions:
            return ErrorCode.INVALID_PARTITIONS
        if not self._takes(topic.count - present.partitions):
            return ErrorCode.THROTTLING_QUOTA_EXCEEDED
        present.partitions = topic.count
        return ErrorCode.NONE

    def _delete(self, received: ReceivedRequest) -> Any:
        names = received.decoded(DeleteTopicsRequest).topic_names
        result = DeleteTopicsResponse.DeletableTopicResult
        codes = {
            name: ErrorCode.NONE if self.topics.pop(name, None) else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
            for name in names
        }
        return DeleteTopicsResponse(
            throttle_time_ms=0, responses=[result(name=name, error_code=code) for name, code in codes.items()]
        )

    def _configs(self, received: ReceivedRequest) -> Any:
        result = DescribeConfigsResponse.DescribeConfigsResult
        entry = result.DescribeConfigsResourceResult
        results = []
        for one in received.decoded(DescribeConfigsRequest).resources:
            found = self.topics.get(one.resource_name)
            results.append(
                result(
                    error_code=0 if found else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
                    resource_type=one.resource_type,
                    resource_name=one.resource_name,
                    configs=[
                        entry(name=name, value=value, config_source=DYNAMIC_TOPIC_CONFIG, synonyms=[])
                        for name, value in (found.settings.items() if found else ())
                    ],
                )
            )
        return DescribeConfigsResponse(throttle_time_ms=0, results=results)

    def _alter(self, received: ReceivedRequest) -> Any:
        request = received.decoded(IncrementalAlterConfigsRequest)
        is_within = self._is_within(sum(len(one.configs) for one in request.resources))
        result = IncrementalAlterConfigsResponse.AlterConfigsResourceResponse
        for one in request.resources if is_within and not request.validate_only else ():
            own = self.topics[one.resource_name].settings
            for entry in one.configs:
                if entry.config_operation:
                    own.pop(entry.name, None)
                else:
                    own[entry.name] = entry.value
        return IncrementalAlterConfigsResponse(
            throttle_time_ms=0,
            responses=[
                result(
                    error_code=0 if is_within else ErrorCode.POLICY_VIOLATION,
                    resource_type=one.resource_type,
                    resource_name=one.resource_name,
                )
                for one in request.resources
            ],
        )
