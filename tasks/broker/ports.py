"""The Kafka ports: what the engine needs of a cluster, as three protocols, and the access that opens them.

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
    ConfigChange,
    ConfigEntry,
    GroupDescription,
    GroupListing,
    NewTopicSpec,
    TopicDescription,
    TopicPartition,
)
from tasks.broker.log_values import (
    Acknowledged,
    EpochAnswers,
    Fetched,
    OffsetAnswers,
    OpenTransaction,
    OutgoingBatch,
    ProducerIdentity,
    Which,
)
from tasks.broker.probe_values import BrokerDescription, CredentialLifetimes
from tasks.broker.translation import Action
from tasks.model.errors import KafkaBackupError
from tasks.model.partition import Partition


class PartitionFetcher(Protocol):
    """Fetches one partition at a time. The answer is received later, so that the broker reads ahead. Not thread-safe.

    A new request drops an answer that was not received.
    """

    def send(self, partition: Partition, position: int, last_epoch: int | None) -> None:
        """Request the batches from `position` on. `last_epoch` is the leader epoch of the batch before it, or None.

        Never raises for errors of the broker or the connection: `receive` retries and raises them.
        """
        ...

    def receive(self) -> Fetched:
        """Return the answer to the last request: whole batches, the first of which can begin before `position`.

        Raises `TopicGoneError` (the topic id is unknown), `OffsetOutOfRangeError`, `UnsupportedBatchError`,
        `AccessError`, `BrokerUnavailableError` after the cluster's deadline, `BrokerError`, `InterruptedRunError`.
        """
        ...

    def abandon(self) -> None:
        """Drop a request whose answer will not be received."""
        ...


class LogReader(Protocol):
    """Reads the logs of one cluster, for one thread. Topics are identified by topic id: a re-created topic is another
    topic."""

    @property
    def retry_deadline_ms(self) -> int:
        """How long an operation is retried after retryable errors."""
        ...

    def list_offsets(self, partitions: Collection[Partition], which: Which) -> OffsetAnswers:
        """The offset of each partition, or the reason why there is none. Retries until the deadline."""
        ...

    def ends_of_epochs(self, epochs: Mapping[Partition, int]) -> EpochAnswers:
        """Where the given leader epoch ends in each partition's log (OffsetForLeaderEpoch).

        The answer is the largest epoch of the leader's log that is not larger than the given one, and the offset after
        its last record: the log end if it is the newest epoch. If it is the given epoch, the leader's log and any log
        with a record of that epoch are equal below the smaller of the two ends. Retries until the deadline.
        """
        ...

    def open_transactions(self, partitions: Collection[Partition]) -> dict[Partition, OpenTransaction]:
        """The oldest open transaction of each partition (DescribeProducers). A partition is absent if it has none, and
        if the leader does not report it: the version is too old, or `Read` on the topic is missing."""
        ...

    def partition_bytes(self, partitions: Collection[Partition]) -> dict[Partition, int] | None:
        """An estimate: the bytes of each partition's largest replica. None when the brokers do not report sizes."""
        ...

    def fetcher(self, *, max_bytes: int) -> PartitionFetcher:
        """A fetcher over this reader's connections. An answer has at most `max_bytes`, or one larger batch."""
        ...


class LogWriter(Protocol):
    """Writes finished record batches to one cluster, for one thread."""

    def init_producer_id(self) -> ProducerIdentity:
        """Obtain a new producer id."""
        ...

    def list_offsets(self, partitions: Collection[Partition], which: Which) -> OffsetAnswers:
        """Same as `LogReader.list_offsets`."""
        ...

    def produce(
        self,
        sources: Mapping[Partition, Iterator[OutgoingBatch]],
        *,
        timeout_ms: int,
        on_acknowledged: Acknowledged,
    ) -> None:
        """Append all batches, each partition in its order, each exactly once, and return when all are acknowledged.

        After a retryable error the log is read back and only the missing batches are sent again. Raises `BrokerError`
        when a batch is rejected or stored at another offset than expected, `AccessError`, `TopicGoneError`,
        `BrokerUnavailableError` after the deadline without progress, `InterruptedRunError`. Acknowledged batches stay
        in the log.
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
        """The id with which the cluster was formatted."""
        ...

    def node_count(self) -> int:
        """The number of brokers that are alive."""
        ...

    def describe_topics(self, names: Sequence[str] | None = None) -> list[TopicDescription]:
        """These topics, or all topics with internal ones, ordered by name. Names that do not exist are absent."""
        ...

    def topic_configs(self, names: Sequence[str]) -> dict[str, tuple[ConfigEntry, ...]]:
        """All settings in force for each topic, the brokers' included. Raises `TopicGoneError` for an unknown name."""
        ...

    def known_topic_configs(self, names: Sequence[str]) -> dict[str, tuple[ConfigEntry, ...]]:
        """Same as `topic_configs`, but names that do not exist are absent from the result."""
        ...

    def topic_defaults(self) -> dict[str, str]:
        """The values of topics that do not set them: `retention.ms`, `retention.bytes`, `cleanup.policy`, and the other
        settings that decide what brokers accept, as far as the brokers have them. Empty if this user is not allowed to
        read the brokers' settings."""
        ...

    def create_topics(
        self, specs: Sequence[NewTopicSpec], *, validate_only: bool = False
    ) -> dict[str, KafkaBackupError | None]:
        """Create the topics, or only check that they can be created. Returns None or the error for each topic. A topic
        that this user is not allowed to describe is refused before anything is made."""
        ...

    def delete_topics(self, names: Sequence[str]) -> dict[str, KafkaBackupError | None]:
        """Delete the topics with all their records. Returns None or the error for each topic."""
        ...

    def alter_topic_configs(
        self, name: str, to_set: Mapping[str, str], to_delete: Collection[str], *, validate_only: bool = False
    ) -> None:
        """Same as `alter_topics` for one topic. Raises its error."""
        ...

    def alter_topics(
        self, changes: Mapping[str, ConfigChange], *, validate_only: bool = False
    ) -> dict[str, KafkaBackupError | None]:
        """Set values on topics themselves and remove others, all or nothing for each topic. Returns None or the error
        for each topic, when the brokers show the changes. A topic whose settings this user is not allowed to read is
        refused before anything is changed."""
        ...

    def delete_records(self, before_offsets: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        """Delete the records below the given offset of each partition. Returns the new log starts. Repeatable."""
        ...

    def list_groups(self) -> list[GroupListing]:
        """Every group of every type that this user is allowed to see, by id. Raises unless all brokers answered."""
        ...

    def describe_groups(self, group_ids: Sequence[str]) -> list[GroupDescription]:
        """State and member count of each group, in the given order. Raises the first group's error."""
        ...

    def committed_offsets(self, group_ids: Sequence[str]) -> dict[str, list[CommittedOffset] | KafkaBackupError]:
        """All positions of each group, or the error. A group that does not exist has no positions.

        Positions that open transactions are about to replace are waited for, all groups together for a short time;
        after it they are `is_unsettled`. Positions on topics that this user is not allowed to describe are absent,
        because Kafka leaves them out and does not say so.
        """
        ...

    def commit_offsets(
        self, group_id: str, offsets: Sequence[CommittedOffset]
    ) -> dict[TopicPartition, KafkaBackupError | None]:
        """Write positions of a group without members. Returns None or the error for each partition. Not atomic."""
        ...

    def read_acls(self) -> tuple[tuple[AclBinding, ...], str | None]:
        """All ACLs in a fixed order and None; or no ACLs and the reason why they could not be read."""
        ...

    def require_on_cluster(self, action: Action) -> None:
        """Raises `AccessError` when the user lacks a permission on the cluster that the action needs."""
        ...

    def require_on_topics(self, operations: Mapping[str, Sequence[str]], action: Action) -> None:
        """Raises `AccessError` that names each missing operation by topic. Topics that do not exist are ignored."""
        ...

    def require_on_groups(self, operations: Mapping[str, Sequence[str]], action: Action) -> None:
        """Raises `AccessError` that names each missing operation by group. The groups need not exist."""
        ...

    def await_that(self, condition: Callable[[], bool], message: str) -> None:
        """Return when `condition` returns true. Raises `BrokerUnavailableError(message)` after the deadline."""
        ...


class ClusterProbe(Protocol):
    """Looks at one cluster from outside: addresses, offered requests, lifetimes, limits. Retries nothing.

    Nothing on the cluster is changed. Every method may raise `InterruptedRunError`.
    """

    @property
    def location(self) -> str:
        """The cluster, for messages."""
        ...

    def describe_brokers(self) -> list[BrokerDescription]:
        """The bootstrap addresses in their order, then every broker that they named, by node id. Each is connected to
        once; the reason why that failed is in its description."""
        ...

    def credential_lifetimes(self) -> CredentialLifetimes:
        """When the credentials of the configuration end. Raises `ConfigError`, `AccessError` or
        `BrokerUnavailableError` if a token or a certificate cannot be obtained."""
        ...

    def denied_on_new_topics(self, names: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """For each topic, which need not exist, those of `Write` and `Read` that this user is not allowed. Writes
        nothing and creates no topic. Raises errors of the connection."""
        ...

    def count_connections(self, wanted: int) -> int:
        """How many of `wanted` connections to one broker stay open at the same time. Raises the error of the first
        connection."""
        ...


class ClusterAccess(Protocol):
    """How to reach one cluster. Opening a port connects nothing; the ports connect when they are first used."""

    def reader(self, stop: Event) -> AbstractContextManager[LogReader]:
        """A reader for one thread. `stop` ends its waits with `InterruptedRunError`."""
        ...

    def writer(self, stop: Event) -> AbstractContextManager[LogWriter]:
        """A writer for one thread. `stop` ends its waits with `InterruptedRunError`."""
        ...

    def admin(self, stop: Event) -> AbstractContextManager[ClusterAdmin]:
        """An administrative client. `stop` ends its waits with `InterruptedRunError`."""
        ...

    def probe(self, stop: Event) -> ClusterProbe:
        """What looks at the cluster. `stop` ends its waits with `InterruptedRunError`."""
        ...
