"""The beds of a running Kafka."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from tasks.broker.kafka_access import KafkaAccess
from tasks.broker.ports import ClusterAccess
from tasks.broker.raw.connection import ConnectionOptions
from tests.contract.kafkas import DEADLINE_MS, T
from tests.support import positions, producing, quotas
from tests.support.kafka import KafkaCluster
from tests.support.producing import OutRecord, Transaction

_PATIENCE_S = 30
GUARDED = {
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "allow.everyone.if.no.acl.found": "true",
}
"""Broker properties of a cluster for a `RealGuardedBed`."""


@dataclass(frozen=True, slots=True)
class RealBed:
    """A running cluster, with a client id of this bed's own."""

    cluster: KafkaCluster
    client_id: str

    @property
    def connection(self) -> ConnectionOptions:
        """How the ports reach it. The first request about groups may be lost while the brokers make their topic."""
        return replace(
            self.cluster.connection,
            client_id=self.client_id,
            request_timeout_ms=5_000,
            retry_deadline_ms=DEADLINE_MS,
        )

    @property
    def access(self) -> ClusterAccess:
        """See `KafkaBed.access`."""
        return KafkaAccess(self.connection)

    @property
    def version(self) -> str:
        """See `KafkaBed.version`."""
        return self.cluster.version

    def now_ms(self) -> int:
        """See `KafkaBed.now_ms`."""
        return time.time_ns() // 1_000_000

    def produce(
        self,
        topic: str,
        records: Sequence[OutRecord],
        *,
        partition: int = 0,
        records_per_batch: int = 1000,
        codec: str = "none",
        is_idempotent: bool = True,
    ) -> None:
        """See `KafkaBed.produce`."""
        producing.produce(
            self.cluster.bootstrap,
            topic,
            records,
            partition=partition,
            compression=codec,
            records_per_batch=records_per_batch,
            settings={"enable.idempotence": is_idempotent},
        )

    def run_transactions(self, topic: str, transactions: Sequence[Transaction]) -> None:
        """See `KafkaBed.run_transactions`."""
        producing.produce_transactions(self.cluster.bootstrap, topic, transactions)

    def open_transaction(
        self, topic: str, records: Sequence[OutRecord], *, is_committed: bool = False
    ) -> AbstractContextManager[None]:
        """See `KafkaBed.open_transaction`."""
        return producing.open_transaction(self.cluster.bootstrap, topic, records, is_committed=is_committed)

    def clean(self, topic: str, end: int) -> None:
        """See `KafkaBed.clean`."""
        producing.await_cleaner(self.cluster.log_dir(), topic, end)

    def apply_retention(self, is_done: Callable[[], bool]) -> None:
        """See `KafkaBed.apply_retention`."""
        _await(is_done, "retention did nothing")

    @contextmanager
    def group_member(self, group: str, topic: str, *, kind: str) -> Iterator[None]:
        """See `KafkaBed.group_member`."""
        bootstrap = self.cluster.bootstrap
        if kind == "share":
            with positions.share_group_member(bootstrap, group, topic):
                _await(lambda: self._is_stable(group), "the share group has no member")
                yield
        else:
            with positions.group_member(bootstrap, group, topic, protocol=kind):
                yield

    def _is_stable(self, group: str) -> bool:
        with self.access.admin(threading.Event()) as admin:
            return (group, "Stable") in {(one.group_id, one.state) for one in admin.list_groups()}

    def commit(self, group: str, topic: str, offsets: Mapping[int, int], *, kind: str = "classic") -> None:
        """See `KafkaBed.commit`."""
        positions.commit_positions(self.cluster.bootstrap, group, topic, offsets, protocol=kind)

    def while_commit_is_pending(self, group: str, topic: str, offset: int, act: Callable[[], T]) -> T:
        """See `KafkaBed.while_commit_is_pending`."""
        producer = Producer({"bootstrap.servers": self.cluster.bootstrap, "transactional.id": group, "log_level": 0})
        member = Consumer({"bootstrap.servers": self.cluster.bootstrap, "group.id": group, "log_level": 0})
        producer.init_transactions(_PATIENCE_S)
        producer.begin_transaction()
        place = TopicPartition(topic, 0, offset)
        producer.send_offsets_to_transaction([place], member.consumer_group_metadata(), _PATIENCE_S)
        end = threading.Timer(0.5, lambda: producer.commit_transaction(_PATIENCE_S))
        end.start()
        try:
            return act()
        finally:
            end.join()
            member.close()

    def pending_commits(self, groups: Sequence[str], topic: str, offset: int) -> AbstractContextManager[None]:
        """See `KafkaBed.pending_commits`."""
        return positions.pending_commits(self.cluster.bootstrap, groups, topic, offset)

    def limit_fetching(self, bytes_per_second: int) -> AbstractContextManager[None]:
        """See `KafkaBed.limit_fetching`."""
        return quotas.fetch_quota(self.connection, bytes_per_second)


@dataclass(frozen=True, slots=True)
class RealGuardedBed(RealBed):
    """A cluster of its own with an authorizer; every client is the user ANONYMOUS there."""

    @contextmanager
    def deny(self, kind: str, name: str, *operations: str) -> Iterator[None]:
        """See `GuardedKafkaBed.deny`."""
        client = AdminClient({"bootstrap.servers": self.cluster.bootstrap, "log_level": 0})
        rules = [_rule(kind, name, "All", is_allowed=True)]
        rules += [_rule(kind, name, operation, is_allowed=False) for operation in operations]
        for future in client.create_acls(rules).values():
            future.result(_PATIENCE_S)
        try:
            _await(lambda: self._has_rules(kind, name), "the rules do not show")
            yield
        finally:
            for future in client.delete_acls([_rules_of(kind, name)]).values():
                future.result(_PATIENCE_S)
            _await(lambda: not self._has_rules(kind, name), "the rules stay")

    def _has_rules(self, kind: str, name: str) -> bool:
        """A rule against looking at rules shows by its effect, so deny `Describe` on the cluster last of all."""
        with self.access.admin(threading.Event()) as admin:
            rules, reason = admin.read_acls()
        return reason is not None or any(
            (kind.upper(), name) == (one.resource_type, one.resource_name) for one in rules
        )

    def restart(self) -> None:
        """See `GuardedKafkaBed.restart`."""
        self.cluster.stop()
        self.cluster.start()


def _rule(kind: str, name: str, operation: str, *, is_allowed: bool) -> AclBinding:
    word = "".join(f"_{letter}" if letter.isupper() else letter for letter in operation).lstrip("_").upper()
    permission = AclPermissionType.ALLOW if is_allowed else AclPermissionType.DENY
    user = "User:ANONYMOUS"
    return AclBinding(_resource(kind), name, ResourcePatternType.LITERAL, user, "*", AclOperation[word], permission)


def _rules_of(kind: str, name: str) -> AclBindingFilter:
    anyone: Any = None  # the library's types allow only text
    literal, any_one = ResourcePatternType.LITERAL, (AclOperation.ANY, AclPermissionType.ANY)
    return AclBindingFilter(_resource(kind), name, literal, anyone, anyone, *any_one)


def _resource(kind: str) -> ResourceType:
    """librdkafka calls the cluster a broker."""
    return ResourceType["BROKER" if kind == "Cluster" else kind.upper()]


def _await(is_so: Callable[[], bool], complaint: str) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not is_so():
        if time.monotonic() > deadline:
            raise TimeoutError(complaint)
        time.sleep(0.02)  # brokers announce none of this
