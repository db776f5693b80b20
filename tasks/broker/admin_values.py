"""Values that the administrative side of the Kafka ports takes and returns."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from tasks.model.quoting import quoted

POSITIONS_TOPIC: Final = "__consumer_offsets"
"""The internal topic that contains the positions of all groups."""

TopicPartition = tuple[str, int]
"""(topic name, partition number). `model.partition.Partition` also contains the topic id."""


class ConfigSource(IntEnum):
    """The origin of a setting in force: Kafka's numbers in answers to DescribeConfigs. Later Kafka versions can have
    more numbers."""

    UNKNOWN = 0
    DYNAMIC_TOPIC_CONFIG = 1
    DYNAMIC_BROKER_CONFIG = 2
    DYNAMIC_DEFAULT_BROKER_CONFIG = 3
    STATIC_BROKER_CONFIG = 4
    DEFAULT_CONFIG = 5
    DYNAMIC_BROKER_LOGGER_CONFIG = 6
    CLIENT_METRICS_CONFIG = 7
    GROUP_CONFIG = 8


DYNAMIC_TOPIC_CONFIG: Final = ConfigSource.DYNAMIC_TOPIC_CONFIG
"""`ConfigEntry.source` of a value that is set on the topic itself. Values with any other source come from the
brokers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionDescription:
    """One partition. `leader`, `replicas` and `isr` (in-sync replicas) are node ids of brokers. `leader` is None if the
    partition has no leader now."""

    partition: int
    leader: int | None
    replicas: tuple[int, ...]
    isr: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicDescription:
    """One incarnation of a topic. `partitions` are in the order of their numbers. `topic_id` is the id as Kafka prints
    it: 22 characters."""

    name: str
    topic_id: str
    is_internal: bool
    partitions: tuple[PartitionDescription, ...]

    @property
    def has_leaders(self) -> bool:
        """Whether every partition has a leader, so that it can be read and written."""
        return all(partition.leader is not None for partition in self.partitions)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigEntry:
    """One setting in force for a topic. `source` is a number of `ConfigSource`, or a number of a later Kafka version.
    If the setting is sensitive, `value` is None, because Kafka does not return it."""

    name: str
    value: str | None
    source: int
    is_sensitive: bool
    is_read_only: bool


DEFAULT_REPLICATION_FACTOR: Final = -1
"""`NewTopicSpec.replication_factor` of a topic that gets the brokers' `default.replication.factor`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTopicSpec:
    """A topic to create. `replication_factor` can be `DEFAULT_REPLICATION_FACTOR`. `configs` are the topic's own
    settings."""

    name: str
    partitions: int
    replication_factor: int
    configs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigChange:
    """A change of a topic's own settings: values to set, and names to remove. A name in both is an error when the
    change is made. Without values and names it is false."""

    to_set: Mapping[str, str] = field(default_factory=dict)
    to_delete: Collection[str] = ()

    def __bool__(self) -> bool:
        return bool(self.to_set or self.to_delete)


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupListing:
    """A group from the cluster's list. `group_type` is `classic`, `consumer` (KIP-848), `share`, `streams` or another
    type of a later Kafka. `state` is Kafka's word (`Stable`, `Empty`, …); it is empty if the broker is too old to
    report it."""

    group_id: str
    group_type: str
    state: str
    protocol_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupDescription:
    """A group's state and member count. A group that does not exist, or is a share group, has the state `Dead` and no
    members."""

    group_id: str
    group_type: str
    state: str
    members: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CommittedOffset:
    """A position: the offset of the next record that the group reads. `metadata` is free text; brokers accept 4,096
    characters by default.

    `is_unsettled`: an open transaction is about to replace this position. `offset` is the last committed one.
    """

    topic: str
    partition: int
    offset: int
    metadata: str = ""
    leader_epoch: int | None = None
    is_unsettled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class AclBinding:
    """One ACL, with Kafka's names (`TOPIC`, `LITERAL`, `READ`, `ALLOW`). A kind whose name this version does not know
    is a number."""

    resource_type: str
    resource_name: str
    pattern_type: str
    principal: str
    host: str
    operation: str
    permission: str


QuotaEntity = tuple[tuple[str, str | None], ...]
"""The clients to which a quota applies: pairs of a type (`user`, `client-id`, `ip`) and a name, in the order of the
types. The name None means the default of all clients that have no quota of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientQuota:
    """The quotas of one entity: values by Kafka's names (`producer_byte_rate`, `consumer_byte_rate`, …)."""

    entity: QuotaEntity
    values: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScramCredential:
    """One SCRAM credential of a user, without its secret, because Kafka does not return secrets. `mechanism` is
    Kafka's name (`SCRAM-SHA-256`, `SCRAM-SHA-512`), or a number that this version does not know."""

    mechanism: str
    iterations: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ScramUser:
    """A user with SCRAM credentials."""

    name: str
    credentials: tuple[ScramCredential, ...]


def quota_order(entity: QuotaEntity) -> tuple[tuple[str, bool, str], ...]:
    """The sort key of an entity. The default comes before the names of its type."""
    return tuple((kind, name is not None, name or "") for kind, name in entity)


def entity_text(entity: QuotaEntity) -> str:
    """The entity for messages: `user alice, client-id app`, `user <default>`."""
    return ", ".join(f"{kind} {'<default>' if name is None else quoted(name)}" for kind, name in entity)


def acl_text(acl: AclBinding) -> str:
    """The ACL for messages: `ALLOW READ on TOPIC orders (LITERAL) for User:alice from *`."""
    return (
        f"{acl.permission} {acl.operation} on {acl.resource_type} {quoted(acl.resource_name)} ({acl.pattern_type}) "
        f"for {quoted(acl.principal)} from {quoted(acl.host)}"
    )
