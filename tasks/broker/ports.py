"""What the engine needs of a Kafka cluster: three ports, and the access that opens them.

The engine takes these protocols and never opens a connection itself. `kafka_access` implements them over the network;
the tests' simulated Kafka implements them in memory. Both pass the same contract suite (`tests/contract`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from threading import Event
from typing import Protocol

from tasks.broker.admin_values import (
    AclBinding,
    CommittedOffset,
    ConfigEntry,
    GroupDescription,
    GroupListing,
    NewTopicSpec,
    Place,
    TopicDescription,
)
from tasks.broker.log_values import Acknowledged, Fetched, OffsetAnswers, OutgoingBatch, ProducerIdentity, Which
from tasks.broker.translation import Action
from tasks.model.errors import KafkaBackupError
from tasks.model.partition import Partition


class PartitionFetcher(Protocol):
    """Fetches one partition at a time. The answer is received later, so that the broker reads ahead. Not thread-safe.

    A new request drops an answer that was not received.
    """

    def send(self, partition: Partition, position: int, last_epoch: int | None) -> None:
        """Request the batches from `position` on. `last_epoch` is the leader epoch of the batch before it, or None.

        Never raises for trouble with the broker: `receive` does, after it has tried again.
        """
        ...

    def receive(self) -> Fetched:
        """Return the answer to the last request: whole batches, the first of which may begin before `position`.

        Raises `TopicGoneError` (the topic id is unknown), `OffsetOutOfRangeError`, `UnsupportedBatchError`,
        `AccessError`, `BrokerUnavailableError` after the cluster's deadline, `BrokerError`, `InterruptedRunError`.
        """
        ...

    def abandon(self) -> None:
        """Drop a request whose answer nobody will receive."""
        ...


class LogReader(Protocol):
    """Reads the logs of one cluster, for one thread. Topics are known by id: a re-created topic is another topic."""

    @property
    def retry_deadline_ms(self) -> int:
        """How long trouble that may pass is waited out."""
        ...

    def list_offsets(self, partitions: Collection[Partition], which: Which) -> OffsetAnswers:
        """The offset of each partition, or why there is none. Trouble that may pass is waited out."""
        ...

    def partition_bytes(self, partitions: Collection[Partition]) -> dict[Partition, int] | None:
        """Bytes of each partition's largest replica; None when the brokers do not say. Only an estimate."""
        ...

    def fetcher(self, *, max_bytes: int) -> PartitionFetcher:
        """A fetcher over this reader's connections. `max_bytes` bounds one answer, except for a larger single batch."""
        ...


class LogWriter(Protocol):
    """Writes finished record batches to one cluster, for one thread."""

    def init_producer_id(self) -> ProducerIdentity:
        """A producer id of our own."""
        ...

    def list_offsets(self, partitions: Collection[Partition], which: Which) -> OffsetAnswers:
        """As `LogReader.list_offsets`."""
        ...

    def produce(
        self,
        sources: Mapping[Partition, Iterator[OutgoingBatch]],
        *,
        timeout_ms: int,
        on_acknowledged: Acknowledged,
    ) -> None:
        """Append all batches, each partition in its order, each exactly once, and return when all are acknowledged.

        After trouble that may pass, the log is read back and only the rest is sent. Raises `BrokerError` when a batch
        is refused or lands at another offset than expected, `AccessError`, `TopicGoneError`, `BrokerUnavailableError`
        after the deadline without progress, `InterruptedRunError`. What was acknowledged then stays written.
        """
        ...


class ClusterAdmin(Protocol):
    """Administers one cluster. Safe to use from several threads.

    Every method may raise `BrokerUnavailableError` (no usable answer before the deadline), `AccessError`, `ConfigError`
    when the connection's security does not fit the cluster, `BrokerError`, and `InterruptedRunError`.
    """

    @property
    def location(self) -> str:
        """The cluster, for messages."""
        ...

    def cluster_id(self) -> str:
        """The id that the cluster was formatted with."""
        ...

    def node_count(self) -> int:
        """How many brokers are alive."""
        ...

    def describe_topics(self, names: Sequence[str] | None = None) -> list[TopicDescription]:
        """These topics, or all with internal ones, by name. Names that do not exist are absent from the answer."""
        ...

    def topic_configs(self, names: Sequence[str]) -> dict[str, tuple[ConfigEntry, ...]]:
        """Every setting in force for each topic, the brokers' own included. `TopicGoneError`: one does not exist."""
        ...

    def known_topic_configs(self, names: Sequence[str]) -> dict[str, tuple[ConfigEntry, ...]]:
        """The same, where names that do not exist are absent from the answer."""
        ...

    def topic_defaults(self) -> dict[str, str]:
        """`retention.ms`, `retention.bytes` and `cleanup.policy` of topics without their own; empty if unreadable."""
        ...

    def create_topics(
        self, specs: Sequence[NewTopicSpec], *, validate_only: bool = False
    ) -> dict[str, KafkaBackupError | None]:
        """Create the topics, or only check that they could be created: per topic None or why not."""
        ...

    def delete_topics(self, names: Sequence[str]) -> dict[str, KafkaBackupError | None]:
        """Delete the topics with all their records: per topic None or why not."""
        ...

    def alter_topic_configs(
        self, name: str, to_set: Mapping[str, str], to_delete: Collection[str], *, validate_only: bool = False
    ) -> None:
        """Set settings on the topic itself and remove others, all or nothing. Returns when the brokers show it."""
        ...

    def delete_records(self, before_offsets: Mapping[Place, int]) -> dict[Place, int]:
        """Delete what lies below the offset given for each partition. Returns their log starts. May be repeated."""
        ...

    def list_groups(self) -> list[GroupListing]:
        """Every group of every kind that this user may see, by id. Raises unless all brokers answered."""
        ...

    def describe_groups(self, group_ids: Sequence[str]) -> list[GroupDescription]:
        """State and member count of each group, in the order given. Raises the first group's error."""
        ...

    def committed_offsets(self, group_ids: Sequence[str]) -> dict[str, list[CommittedOffset] | KafkaBackupError]:
        """All positions of each group, or why they could not be read. A group that does not exist has none."""
        ...

    def commit_offsets(self, group_id: str, offsets: Sequence[CommittedOffset]) -> dict[Place, KafkaBackupError | None]:
        """Write positions of an unused group; per partition None or why it was not written. Not atomic."""
        ...

    def read_acls(self) -> tuple[tuple[AclBinding, ...], str | None]:
        """All ACLs in a fixed order and None; or none and the reason why they could not be read."""
        ...

    def require_on_cluster(self, action: Action) -> None:
        """Raises `AccessError` when the user lacks one of the action's permissions on the cluster."""
        ...

    def require_on_topics(self, operations: Mapping[str, Sequence[str]], action: Action) -> None:
        """Raises `AccessError` that names each missing operation by topic. Topics that do not exist are passed over."""
        ...

    def require_on_groups(self, operations: Mapping[str, Sequence[str]], action: Action) -> None:
        """Raises `AccessError` that names each missing operation by group, which need not exist."""
        ...

    def await_that(self, is_so: Callable[[], bool], complaint: str) -> None:
        """Return when `is_so` returns true. Raises `BrokerUnavailableError(complaint)` after the deadline."""
        ...


class ClusterAccess(Protocol):
    """How to reach one cluster. Opening connects nothing yet; the ports connect when they are first used."""

    def reader(self, stop: Event) -> AbstractContextManager[LogReader]:
        """A reader for one thread. `stop` ends its waits with `InterruptedRunError`."""
        ...

    def writer(self, stop: Event) -> AbstractContextManager[LogWriter]:
        """A writer for one thread, likewise."""
        ...

    def admin(self, stop: Event) -> AbstractContextManager[ClusterAdmin]:
        """An administrative client, likewise."""
        ...
