"""The Kafka ports over the network: opens readers, writers, the administrative client and the probe. The connections
are this program's own (`raw`), not those of a Kafka library."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.broker.admin import acls, broker_defaults, groups, permissions, positions, users
from tasks.broker.admin import quotas as client_quotas
from tasks.broker.admin.admin import Admin
from tasks.broker.admin_values import (
    AclBinding,
    ClientQuota,
    CommittedOffset,
    GroupDescription,
    GroupListing,
    QuotaEntity,
    ScramUser,
    TopicPartition,
)
from tasks.broker.auth.lifetimes import credential_lifetimes
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
from tasks.broker.raw import broker_probe
from tasks.broker.raw.cluster import Cluster
from tasks.broker.raw.connection import ConnectionOptions
from tasks.broker.raw.epochs import ends_of_epochs
from tasks.broker.raw.fetch import Fetcher
from tasks.broker.raw.log_dirs import partition_bytes
from tasks.broker.raw.new_topic_rights import denied_on_new_topics
from tasks.broker.raw.offsets import list_offsets
from tasks.broker.raw.produce import init_producer_id, produce
from tasks.broker.raw.producers import open_transactions
from tasks.broker.raw.shared_fetch import first_answers
from tasks.broker.translation import Action
from tasks.model.errors import KafkaBackupError
from tasks.model.partition import Partition

if TYPE_CHECKING:
    from tasks.broker.second_reader.record_reader import KafkaRecordReader


@dataclass(frozen=True, slots=True)
class KafkaAccess:
    """The `ClusterAccess` of real brokers: opens ports over the network."""

    options: ConnectionOptions

    def check_reachable(self, stop: threading.Event, *, is_writing: bool) -> None:
        """Connect to a broker at the address that it advertises. A run calls this before it changes anything.

        Raises `BrokerUnavailableError` after the deadline, `ConfigError` for a wrong address, protocol or version,
        `AccessError` for wrong credentials, and `InterruptedRunError` soon after `stop` is set. `is_writing`: whether
        the run writes records to the cluster.
        """
        with Cluster(self.options, stop=stop) as cluster:
            cluster.check_reachable(is_writing=is_writing)

    @contextmanager
    def reader(self, stop: threading.Event) -> Iterator[KafkaLogReader]:
        """See `ClusterAccess.reader`."""
        with Cluster(self.options, stop=stop) as cluster:
            yield KafkaLogReader(cluster)

    @contextmanager
    def writer(self, stop: threading.Event) -> Iterator[KafkaLogWriter]:
        """See `ClusterAccess.writer`."""
        with Cluster(self.options, stop=stop) as cluster:
            yield KafkaLogWriter(cluster)

    @contextmanager
    def record_reader(self, stop: threading.Event) -> Iterator[KafkaRecordReader]:
        """See `ClusterAccess.record_reader`."""
        # Imported here because most runs do not need librdkafka.
        from tasks.broker.second_reader.record_reader import KafkaRecordReader

        with KafkaRecordReader(self.options, stop) as reader:
            yield reader

    @contextmanager
    def admin(self, stop: threading.Event) -> Iterator[KafkaAdmin]:
        """See `ClusterAccess.admin`."""
        with KafkaAdmin(self.options, stop=stop) as admin:
            yield admin

    def probe(self, stop: threading.Event) -> KafkaProbe:
        """See `ClusterAccess.probe`."""
        return KafkaProbe(self.options, stop)


@dataclass(frozen=True, slots=True)
class KafkaProbe:
    """The `ClusterProbe` of real brokers. Each method opens its own connections."""

    options: ConnectionOptions
    stop: threading.Event

    @property
    def location(self) -> str:
        """See `ClusterProbe.location`."""
        return f"the cluster at {','.join(self.options.bootstrap_servers)}"

    def describe_brokers(self) -> list[BrokerDescription]:
        """See `ClusterProbe.describe_brokers`."""
        return broker_probe.describe_brokers(self.options, self.stop)

    def credential_lifetimes(self) -> CredentialLifetimes:
        """See `ClusterProbe.credential_lifetimes`."""
        return credential_lifetimes(self.options.security)

    def denied_on_new_topics(self, names: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """See `ClusterProbe.denied_on_new_topics`."""
        return denied_on_new_topics(self.options, names)

    def count_connections(self, wanted: int) -> int:
        """See `ClusterProbe.count_connections`."""
        return broker_probe.count_connections(self.options, wanted)


@dataclass(frozen=True, slots=True)
class KafkaLogReader:
    """The `LogReader` over the connections of one thread."""

    cluster: Cluster

    @property
    def retry_deadline_ms(self) -> int:
        """See `LogReader.retry_deadline_ms`."""
        return self.cluster.options.retry_deadline_ms

    def list_offsets(self, partitions: Collection[Partition], which: Which) -> OffsetAnswers:
        """See `LogReader.list_offsets`."""
        return list_offsets(self.cluster, partitions, which)

    def ends_of_epochs(self, epochs: Mapping[Partition, int]) -> EpochAnswers:
        """See `LogReader.ends_of_epochs`."""
        return ends_of_epochs(self.cluster, epochs)

    def open_transactions(self, partitions: Collection[Partition]) -> dict[Partition, OpenTransaction]:
        """See `LogReader.open_transactions`."""
        return open_transactions(self.cluster, partitions)

    def partition_bytes(self, partitions: Collection[Partition]) -> dict[Partition, int] | None:
        """See `LogReader.partition_bytes`."""
        return partition_bytes(self.cluster, partitions)

    def first_answers(self, positions: Sequence[FetchPosition]) -> dict[Partition, Fetched]:
        """See `LogReader.first_answers`."""
        return first_answers(self.cluster, positions)

    def fetcher(self, *, max_bytes: int) -> Fetcher:
        """See `LogReader.fetcher`."""
        return Fetcher(self.cluster, stop=self.cluster.stop, max_bytes=max_bytes, rack=self.cluster.options.rack)


@dataclass(frozen=True, slots=True)
class KafkaLogWriter:
    """The `LogWriter` over the connections of one thread."""

    cluster: Cluster

    def init_producer_id(self) -> ProducerIdentity:
        """See `LogWriter.init_producer_id`."""
        return init_producer_id(self.cluster)

    def list_offsets(self, partitions: Collection[Partition], which: Which) -> OffsetAnswers:
        """See `LogWriter.list_offsets`."""
        return list_offsets(self.cluster, partitions, which)

    def produce(
        self,
        sources: Mapping[Partition, Iterator[OutgoingBatch]],
        *,
        timeout_ms: int,
        on_acknowledged: Acknowledged,
    ) -> None:
        """See `LogWriter.produce`."""
        produce(self.cluster, sources, timeout_ms=timeout_ms, stop=self.cluster.stop, on_acknowledged=on_acknowledged)


class KafkaAdmin(Admin):
    """The `ClusterAdmin` of real brokers. `Admin` has the methods for the cluster, topics and settings; the others call
    functions of the other modules of `admin`."""

    def topic_defaults(self) -> dict[str, str]:
        """See `ClusterAdmin.topic_defaults`."""
        return broker_defaults.topic_defaults(self)

    def list_groups(self) -> list[GroupListing]:
        """See `ClusterAdmin.list_groups`."""
        return groups.list_groups(self)

    def describe_groups(self, group_ids: Sequence[str]) -> list[GroupDescription]:
        """See `ClusterAdmin.describe_groups`."""
        return groups.describe_groups(self, group_ids)

    def committed_offsets(self, group_ids: Sequence[str]) -> dict[str, list[CommittedOffset] | KafkaBackupError]:
        """See `ClusterAdmin.committed_offsets`."""
        return positions.committed_offsets(self, group_ids)

    def commit_offsets(
        self, group_id: str, offsets: Sequence[CommittedOffset]
    ) -> dict[TopicPartition, KafkaBackupError | None]:
        """See `ClusterAdmin.commit_offsets`."""
        return positions.commit_offsets(self, group_id, offsets)

    def delete_groups(self, group_ids: Sequence[str]) -> dict[str, KafkaBackupError | None]:
        """See `ClusterAdmin.delete_groups`."""
        return groups.delete_groups(self, group_ids)

    def read_acls(self) -> tuple[tuple[AclBinding, ...], str | None]:
        """See `ClusterAdmin.read_acls`."""
        return acls.read_acls(self)

    def create_acls(self, bindings: Collection[AclBinding]) -> dict[AclBinding, KafkaBackupError | None]:
        """See `ClusterAdmin.create_acls`."""
        return acls.create_acls(self, bindings)

    def read_quotas(self) -> tuple[tuple[ClientQuota, ...], str | None]:
        """See `ClusterAdmin.read_quotas`."""
        return client_quotas.read_quotas(self)

    def set_quotas(self, quotas: Sequence[ClientQuota]) -> dict[QuotaEntity, KafkaBackupError | None]:
        """See `ClusterAdmin.set_quotas`."""
        return client_quotas.set_quotas(self, quotas)

    def read_users(self) -> tuple[tuple[ScramUser, ...], str | None]:
        """See `ClusterAdmin.read_users`."""
        return users.read_users(self)

    def require_on_cluster(self, action: Action) -> None:
        """See `ClusterAdmin.require_on_cluster`."""
        permissions.require_on_cluster(self, action)

    def require_on_topics(self, operations: Mapping[str, Sequence[str]], action: Action) -> None:
        """See `ClusterAdmin.require_on_topics`."""
        permissions.require_on_topics(self, operations, action)

    def require_on_groups(self, operations: Mapping[str, Sequence[str]], action: Action) -> None:
        """See `ClusterAdmin.require_on_groups`."""
        permissions.require_on_groups(self, operations, action)
