"""The Kafka ports: all that the engine does with a cluster, as protocols, and the access that opens them.

The engine takes these protocols and never opens a connection itself. `kafka_access` implements them over the network;
the tests' simulated Kafka implements them in memory. Both pass the same contract suite (`tests/contract`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from threading import Event
from typing import Protocol

from tasks.batches.record_columns import RecordColumns
from tasks.broker.admin_values import (
    AclBinding,
    ClientQuota,
    CommittedOffset,
    ConfigChange,
    ConfigEntry,
    GroupDescription,
    GroupListing,
    NewTopicSpec,
    QuotaEntity,
    ScramUser,
    TopicDescription,
    TopicPartition,
)
from tasks.broker.log_values import (
    Acknowledged,
    EpochAnswers,
    Fetched,
    FetchPosition,
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
    """Fetches record batches of one partition at a time: `send` requests them, `receive` returns them. Between the two
    calls the caller can work while the broker reads. Not thread-safe.

    `send` drops an earlier answer that was not received.
    """

    def send(self, partition: Partition, position: int, last_epoch: int | None) -> None:
        """Request the batches from `position` on. `last_epoch` is the leader epoch of the batch before `position`; with
        None the leader does not check whether its log diverges there.

        Raises no error of the broker or the connection, because `receive` retries and raises them. Looking up the
        leader can take until the deadline, and `stop` ends that wait with `InterruptedRunError`.
        """
        ...

    def receive(self) -> Fetched:
        """The answer to the last `send`. Its first batch can begin before `position`, and its last batch can be cut.

        Retries retryable errors until the cluster's deadline, and then raises `BrokerUnavailableError`. Raises
        `TopicGoneError` if the cluster does not know the topic id, `OffsetOutOfRangeError` if the log does not contain
        `position`, `UnsupportedBatchError` if the next batch is too large, `AccessError`, `ConfigError` for a wrong
        address, protocol or version, `BrokerError` for other permanent errors, and `InterruptedRunError`. Call it once
        for each `send`.
        """
        ...

    def abandon(self) -> None:
        """Drop the request whose answer will not be received, if there is one. May be called twice."""
        ...


class LogReader(Protocol):
    """Reads the logs of one cluster, for one thread. Topics are identified by topic id: a re-created topic is another
    topic."""

    @property
    def retry_deadline_ms(self) -> int:
        """How long an operation is retried after retryable errors, once the cluster has answered."""
        ...

    def list_offsets(self, partitions: Collection[Partition], which: Which) -> OffsetAnswers:
        """The offset of each partition, or the error because of which there is none. With `max_timestamp` the offset of
        a partition without records is -1.

        Retries retryable errors until the deadline; after it they are the partitions' errors. Raises `AccessError` or
        `ConfigError` if no connection can be used, `UnsupportedError` if a topic has no id or a broker lacks the
        request, and `InterruptedRunError`.
        """
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
        """An estimate: the bytes of each partition's largest replica. A partition that no broker reports is absent.

        None if no size is known. An error of a broker or a missing permission also gives None and is not raised.
        """
        ...

    def first_answers(self, positions: Sequence[FetchPosition]) -> dict[Partition, Fetched]:
        """Fetch many partitions with few requests: one for each leader. Each partition at most once.

        This only saves requests. A partition is absent if it has no whole batch in the answers, for any reason: an
        error, a topic that is gone, a diverging log, a limit, a broker that throttles or cannot be reached. Fetch it
        with a `fetcher` then, which raises the error or retries. A partition that is present has at least one whole
        batch, and `Fetched` is the same as that of a `fetcher`. It can be used at any later time: the log can have
        changed meanwhile, as it can after every answer.

        All answers together contain at most the sum of the positions' `max_bytes`, or for each leader one batch that is
        larger. Waits neither for records nor for a new leader. Raises only `InterruptedRunError`.
        """
        ...

    def fetcher(self, *, max_bytes: int) -> PartitionFetcher:
        """A fetcher over this reader's connections. An answer contains at most `max_bytes` of batches, or one batch
        that is larger."""
        ...


class RecordReader(Protocol):
    """Reads records with a library that has no code in common with the other ports. For one thread. Topics are
    identified by topic id: a re-created topic is another topic. No group is created, and nothing is committed.

    Every method can raise `BrokerUnavailableError` after the deadline without progress, `AccessError`, `ConfigError`,
    `TopicGoneError`, `BrokerError`, and `InterruptedRunError` soon after `stop` is set.
    """

    def bounds(self, partition: Partition) -> tuple[int, int]:
        """(the offset of the first record in the log, the offset before which all transactions have ended)."""
        ...

    def read(self, partition: Partition, first: int, end: int) -> Iterator[RecordColumns]:
        """The committed records with an offset in [first, end), in order, in parts that are not empty. Control records
        and aborted records are left out.

        The iteration ends when the position `end` is reached. It ends earlier only if the log or its committed part
        ends earlier. `first` and `end` are offsets in the bounds of the partition. An iteration that was not finished
        ends when the next one begins. Raises `OffsetOutOfRangeError` if the log does not contain `first`, and
        `UnsupportedError` for a header whose name the library cannot return.
        """
        ...


class LogWriter(Protocol):
    """Writes finished record batches to one cluster, for one thread. Leaders are looked up by topic id."""

    def init_producer_id(self) -> ProducerIdentity:
        """Obtain a new producer id. Each call returns another one.

        Raises `BrokerUnavailableError` after the deadline, `AccessError`, `ConfigError`, `BrokerError`, and
        `InterruptedRunError`.
        """
        ...

    def list_offsets(self, partitions: Collection[Partition], which: Which) -> OffsetAnswers:
        """See `LogReader.list_offsets`."""
        ...

    def produce(
        self,
        sources: Mapping[Partition, Iterator[OutgoingBatch]],
        *,
        timeout_ms: int,
        on_acknowledged: Acknowledged,
    ) -> None:
        """Append all batches, each exactly once and each partition in its order. Returns when all are acknowledged.

        `timeout_ms`: how long a broker waits for the in-sync replicas of one request. `on_acknowledged` is called in
        the calling thread, in the order of each partition. After a retryable error the log is read back, and only the
        missing batches are sent again.

        Raises `BrokerError` if a broker rejects a batch or stores it at another offset than expected, `AccessError`,
        `ConfigError`, `TopicGoneError`, `BrokerUnavailableError` after the deadline without progress, and
        `InterruptedRunError`. After an error the acknowledged batches stay in the log, others can be in it, and this
        writer cannot be used again.
        """
        ...


class ClusterAdmin(Protocol):
    """Administers one cluster. Safe to use from several threads.

    Retryable errors are retried until the deadline. Every method can raise `BrokerUnavailableError` (no usable answer
    before the deadline), `AccessError`, `ConfigError` (wrong address, protocol or setting, or a broker that lacks a
    request), `BrokerError`, and `InterruptedRunError` soon after `stop` is set.
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
        """The topics with these names, ordered by name. Names that do not exist are absent. Raises `AccessError` for a
        name that this user is not allowed to describe. Without `names`: all topics that this user is allowed to
        describe, also internal ones."""
        ...

    def topic_configs(self, names: Sequence[str]) -> dict[str, tuple[ConfigEntry, ...]]:
        """All settings in force for each topic, also those that come from the brokers. Raises `TopicGoneError` for an
        unknown name."""
        ...

    def known_topic_configs(self, names: Sequence[str]) -> dict[str, tuple[ConfigEntry, ...]]:
        """Same as `topic_configs`, but names that do not exist are absent from the result."""
        ...

    def topic_defaults(self) -> dict[str, str]:
        """The brokers' defaults for topics, by the name of the topic setting: `retention.ms`, `retention.bytes`,
        `cleanup.policy` and the settings that decide which batches brokers accept. A default is in force for each topic
        without a value of its own. A setting that the brokers do not have is absent. Empty if this user is not allowed
        to read the brokers' settings."""
        ...

    def create_topics(
        self, specs: Sequence[NewTopicSpec], *, validate_only: bool = False
    ) -> dict[str, KafkaBackupError | None]:
        """Create the topics; with `validate_only` the brokers only check that they can be created.

        Returns None or the error for each topic. A topic that exists is an error. A topic that this user is not allowed
        to describe gets its error before any topic is created; `validate_only` does not check this. On return the
        created topics have leaders. After `BrokerUnavailableError` topics can exist.
        """
        ...

    def delete_topics(self, names: Sequence[str]) -> dict[str, KafkaBackupError | None]:
        """Delete the topics with all their records. Returns None or the error for each topic. A name that does not
        exist is an error. On return the deleted topics are no longer described."""
        ...

    def delete_topics_by_id(self, topic_ids: Sequence[str]) -> dict[str, KafkaBackupError | None]:
        """Delete the topics that have these topic ids, with all their records. A topic that was re-created under the
        same name is another topic and stays.

        Returns None or the error for each id. An id that does not exist is a `TopicGoneError`. An id whose topic this
        user is not allowed to describe is an `AccessError` or a `TopicGoneError`. On return the deleted topics are no
        longer described. Brokers before Kafka 2.8 cannot delete by id: each id gets an `UnsupportedError`, and nothing
        is deleted.
        """
        ...

    def alter_topic_configs(
        self, name: str, to_set: Mapping[str, str], to_delete: Collection[str], *, validate_only: bool = False
    ) -> None:
        """Set values on the topic itself and remove others, all or nothing. Returns when the brokers show the change.
        With `validate_only` the brokers only check it.

        Raises `ConfigError` if Kafka rejects a setting: then nothing was changed. After `BrokerUnavailableError` the
        change can be in force. May be called again.
        """
        ...

    def alter_topics(
        self, changes: Mapping[str, ConfigChange], *, validate_only: bool = False
    ) -> dict[str, KafkaBackupError | None]:
        """Set values on topics themselves and remove others, all or nothing for each topic. With `validate_only` the
        brokers only check the changes.

        Returns None or the error for each topic, when the brokers show the changes. A topic whose settings this user is
        not allowed to read gets its error before anything is changed. After `BrokerUnavailableError` changes can be in
        force. May be called again.
        """
        ...

    def delete_records(self, before_offsets: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        """Delete the records below the given offset of each partition. Returns the new log starts. May be called again.

        Raises the first error if a partition failed; the records of others can be deleted then. Raises
        `OffsetOutOfRangeError` if an offset is beyond the end.
        """
        ...

    def list_groups(self) -> list[GroupListing]:
        """Every group of every type that this user is allowed to describe, ordered by id. Raises an error if one broker
        does not answer, because the list would be incomplete."""
        ...

    def describe_groups(self, group_ids: Sequence[str]) -> list[GroupDescription]:
        """State and member count of each group, in the given order. Raises the first error if a group cannot be
        described. A group that does not exist is described as `Dead`."""
        ...

    def committed_offsets(self, group_ids: Sequence[str]) -> dict[str, list[CommittedOffset] | KafkaBackupError]:
        """All positions of each group, or the error. A group that does not exist has no positions.

        Waits up to 10 s in total for the transactions that are about to replace positions. After that time the last
        committed positions are returned with `is_unsettled`. Positions on topics that this user is not allowed to
        describe are absent, because Kafka leaves them out without an error.
        """
        ...

    def commit_offsets(
        self, group_id: str, offsets: Sequence[CommittedOffset]
    ) -> dict[TopicPartition, KafkaBackupError | None]:
        """Write positions of a group without members. Returns None or the error for each partition. Not atomic: some
        positions can be written and others not. May be called again. A group that does not exist is created."""
        ...

    def delete_groups(self, group_ids: Sequence[str]) -> dict[str, KafkaBackupError | None]:
        """Delete groups without members, with all their positions. Returns None or the error for each group. A group
        that does not exist, and a group with members, is a `BrokerError`."""
        ...

    def read_acls(self) -> tuple[tuple[AclBinding, ...], str | None]:
        """(all ACLs of the cluster in a fixed order, None); or (no ACLs, the reason why they could not be read). The
        reason can be a missing permission, a cluster without authorizer, or brokers without this request."""
        ...

    def create_acls(self, bindings: Collection[AclBinding]) -> dict[AclBinding, KafkaBackupError | None]:
        """Add ACLs. Returns None or the error for each. An ACL that exists already is no error. On return the brokers
        show the added ones. May be called again."""
        ...

    def read_quotas(self) -> tuple[tuple[ClientQuota, ...], str | None]:
        """(all quotas of clients in a fixed order, None); or (no quotas, the reason why they could not be read). The
        reason can be a missing permission, or brokers without this request."""
        ...

    def set_quotas(self, quotas: Sequence[ClientQuota]) -> dict[QuotaEntity, KafkaBackupError | None]:
        """Set these values. Other values of the same entities, and other entities, stay. Returns None or the error for
        each entity. On return the brokers show the new values. May be called again."""
        ...

    def read_users(self) -> tuple[tuple[ScramUser, ...], str | None]:
        """(all users with SCRAM credentials in a fixed order, None); or (no users, the reason why they could not be
        read). The reason can be a missing permission, or brokers without this request. Kafka returns no secrets."""
        ...

    def require_on_cluster(self, action: Action) -> None:
        """Raises `AccessError` if a permission on the cluster that `action.needs` contains is missing."""
        ...

    def require_on_topics(self, operations: Mapping[str, Sequence[str]], action: Action) -> None:
        """Raises `AccessError` if an operation is not allowed. The message names each missing operation with its topic.
        `operations` are the operations as ACLs name them (`Read`), by topic.

        Topics that do not exist are ignored, because brokers do not report allowed operations for them. If the user is
        not allowed to describe a topic, all its operations are missing, also if the topic does not exist.
        """
        ...

    def require_on_groups(self, operations: Mapping[str, Sequence[str]], action: Action) -> None:
        """Raises `AccessError` if an operation is not allowed. The message names each missing operation with its group.
        `operations` are as in `require_on_topics`, by group. Groups that do not exist are checked too."""
        ...

    def await_that(self, condition: Callable[[], bool], message: str) -> None:
        """Call `condition` again and again, and return when it returns true. Raises `BrokerUnavailableError(message)`
        after the deadline, and every error of `condition`."""
        ...


class ClusterProbe(Protocol):
    """Connects to one cluster and reports its addresses, the requests that its brokers support, the lifetimes of
    credentials, and limits. A failed attempt is not repeated.

    Nothing on the cluster is changed. Every method can raise `InterruptedRunError`.
    """

    @property
    def location(self) -> str:
        """The cluster, for messages."""
        ...

    def describe_brokers(self) -> list[BrokerDescription]:
        """The bootstrap addresses in their order, then every broker that they named, by node id. Connects to each
        address once. If that fails, its description contains the error. Raises `ConfigError` for an invalid bootstrap
        address."""
        ...

    def credential_lifetimes(self) -> CredentialLifetimes:
        """When the credentials of the configuration end. Raises `ConfigError`, `AccessError` or
        `BrokerUnavailableError` if a token cannot be obtained, and `ConfigError` if the certificate file cannot be
        read."""
        ...

    def denied_on_new_topics(self, names: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """For each topic: which of the operations `Write` and `Read` this user is not allowed to do. The topics need
        not exist. Writes nothing and creates no topic. Raises `BrokerUnavailableError`, `AccessError` or `ConfigError`
        if no broker can be used."""
        ...

    def count_connections(self, wanted: int) -> int:
        """How many of `wanted` connections to one broker stay open at the same time: at least 1. Raises the error of
        the first connection if that one fails."""
        ...


class ClusterAccess(Protocol):
    """How to reach one cluster. A port connects when it is first used, and not when it is opened. The end of its
    context closes it."""

    def reader(self, stop: Event) -> AbstractContextManager[LogReader]:
        """A reader for one thread. Its waits end soon after `stop` is set, with `InterruptedRunError`."""
        ...

    def writer(self, stop: Event) -> AbstractContextManager[LogWriter]:
        """A writer for one thread. Its waits end soon after `stop` is set, with `InterruptedRunError`."""
        ...

    def record_reader(self, stop: Event) -> AbstractContextManager[RecordReader]:
        """A second reader of records for one thread. Its waits end soon after `stop` is set, with
        `InterruptedRunError`."""
        ...

    def admin(self, stop: Event) -> AbstractContextManager[ClusterAdmin]:
        """An administrative client for any number of threads. Its waits end soon after `stop` is set, with
        `InterruptedRunError`."""
        ...

    def probe(self, stop: Event) -> ClusterProbe:
        """The probe of the cluster. `stop` ends the wait of `describe_brokers` with `InterruptedRunError`; the other
        methods end at the latest after the timeouts of their connections."""
        ...
