"""Values that the administrative side of the Kafka ports takes and returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Place = tuple[str, int]
"""Topic and partition."""

DYNAMIC_TOPIC_CONFIG = 1
"""`ConfigEntry.source` of what is set on the topic itself; every other source is the broker's value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionDescription:
    """One partition; nodes by their ids. `leader` is None while there is none."""

    partition: int
    leader: int | None
    replicas: tuple[int, ...]
    isr: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicDescription:
    """One incarnation of a topic, its partitions in order. `topic_id` as Kafka prints it."""

    name: str
    topic_id: str
    is_internal: bool
    partitions: tuple[PartitionDescription, ...]

    @property
    def has_leaders(self) -> bool:
        """Every partition can be read and written."""
        return all(partition.leader is not None for partition in self.partitions)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigEntry:
    """One setting that is in force for a topic. `source` is Kafka's number (DescribeConfigs). The value of a sensitive
    entry is None: Kafka does not give it out."""

    name: str
    value: str | None
    source: int
    is_sensitive: bool
    is_read_only: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTopicSpec:
    """A topic to be created. `replication_factor` −1 means the broker's default."""

    name: str
    partitions: int
    replication_factor: int
    configs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupListing:
    """A group that some broker coordinates. `group_type` is `classic`, `consumer` (KIP-848), `share`, `streams`, …;
    `state` Kafka's word for it (`Stable`, `Empty`, …), empty if the broker is too old to say."""

    group_id: str
    group_type: str
    state: str
    protocol_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupDescription:
    """A group's use. A group that does not exist, or is a share group, has the state `Dead` and no members."""

    group_id: str
    group_type: str
    state: str
    members: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CommittedOffset:
    """A position: the offset of the next record the group will read. `metadata` is free text, at most 4,096 bytes."""

    topic: str
    partition: int
    offset: int
    metadata: str = ""
    leader_epoch: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class AclBinding:
    """One rule, in the words of `kafka-acls`. A kind that this version has no word for is its number."""

    resource_type: str
    resource_name: str
    pattern_type: str
    principal: str
    host: str
    operation: str
    permission: str
