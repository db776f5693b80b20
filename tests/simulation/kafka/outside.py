"""What the cluster shows to those who look at it from outside: addresses, requests, lifetimes, limits."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tasks.broker.probe_values import BrokerDescription, CredentialLifetimes, VersionRange
from tasks.broker.translation import Permission
from tasks.model.errors import BrokerUnavailableError, InterruptedRunError, KafkaBackupError

if TYPE_CHECKING:
    from tests.simulation.kafka.cluster import SimulatedKafka

BOOTSTRAP = "bootstrap.simulated:9092"
OFFERED: Mapping[str, VersionRange] = {
    "Produce": VersionRange(0, 12),
    "Fetch": VersionRange(4, 17),
    "ListOffsets": VersionRange(1, 10),
    "Metadata": VersionRange(0, 13),
    "OffsetForLeaderEpoch": VersionRange(2, 4),
    "OffsetCommit": VersionRange(2, 9),
    "OffsetFetch": VersionRange(1, 9),
    "FindCoordinator": VersionRange(0, 6),
    "DescribeGroups": VersionRange(0, 6),
    "ListGroups": VersionRange(0, 5),
    "CreateTopics": VersionRange(2, 7),
    "DeleteRecords": VersionRange(0, 2),
    "InitProducerId": VersionRange(0, 5),
    "DescribeAcls": VersionRange(1, 3),
    "CreateAcls": VersionRange(1, 3),
    "DescribeClientQuotas": VersionRange(0, 1),
    "AlterClientQuotas": VersionRange(0, 1),
    "DescribeUserScramCredentials": VersionRange(0, 0),
    "DescribeConfigs": VersionRange(1, 4),
    "DescribeLogDirs": VersionRange(1, 4),
    "DescribeProducers": VersionRange(0, 0),
    "IncrementalAlterConfigs": VersionRange(0, 1),
}
"""As Kafka 4.3 offers them."""


@dataclass(slots=True)
class Outside:
    """What tests change: the requests, addresses that fail (by node id; None: the bootstrap address), lifetimes, and
    how many connections a broker keeps open."""

    requests: Mapping[str, VersionRange] = field(default_factory=lambda: dict(OFFERED))
    failures: dict[int | None, KafkaBackupError] = field(default_factory=dict)
    certificate_ends_ms: int | None = None
    session_lifetime_ms: int | None = None
    credentials: CredentialLifetimes = field(default_factory=CredentialLifetimes)
    most_connections: int = 1_000


@dataclass(frozen=True, slots=True)
class SimulatedProbe:
    """The `ClusterProbe` of a simulated cluster."""

    kafka: SimulatedKafka
    user: str
    stop: threading.Event

    @property
    def location(self) -> str:
        """See `ClusterProbe.location`."""
        return f"the simulated cluster {self.kafka.cluster_id}"

    def describe_brokers(self) -> list[BrokerDescription]:
        """See `ClusterProbe.describe_brokers`."""
        if self.stop.is_set():
            raise InterruptedRunError("Stopped on request.")
        bootstrap = self._described(None, BOOTSTRAP)
        if bootstrap.failure is not None:
            return [bootstrap]
        nodes = self.kafka.brokers.alive
        return [bootstrap, *(self._described(node, f"broker-{node}.simulated:9092") for node in nodes)]

    def credential_lifetimes(self) -> CredentialLifetimes:
        """See `ClusterProbe.credential_lifetimes`."""
        return self.kafka.outside.credentials

    def denied_on_new_topics(self, names: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """See `ClusterProbe.denied_on_new_topics`."""

        def is_denied(operation: str, name: str) -> bool:
            return not self.kafka.permissions.allows(self.user, Permission(operation, "Topic", name))

        return {name: tuple(one for one in ("Write", "Read") if is_denied(one, name)) for name in names}

    def count_connections(self, wanted: int) -> int:
        """See `ClusterProbe.count_connections`."""
        return min(wanted, self.kafka.outside.most_connections)

    def _described(self, node: int | None, address: str) -> BrokerDescription:
        outside = self.kafka.outside
        failure = outside.failures.get(node)
        if node is None and failure is None and not self.kafka.brokers.alive:
            failure = BrokerUnavailableError("No broker can be reached.")
        if failure is not None:
            return BrokerDescription(node_id=node, address=address, failure=failure)
        return BrokerDescription(
            node_id=node,
            address=address,
            requests=outside.requests,
            certificate_ends_ms=outside.certificate_ends_ms,
            session_lifetime_ms=outside.session_lifetime_ms,
        )
