"""Values that the probe of the Kafka ports returns: brokers, and the lifetimes of credentials."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from tasks.model.errors import KafkaBackupError


class VersionRange(NamedTuple):
    """The lowest and the highest version of a request. Both belong to the range."""

    lowest: int
    highest: int

    def __str__(self) -> str:
        return str(self.lowest) if self.lowest == self.highest else f"{self.lowest} to {self.highest}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerDescription:
    """One address of the cluster, and the result of a new connection to it.

    `node_id` is None for a bootstrap address. Otherwise the address is the one that broker `node_id` advertises. If
    `failure` is not None, the address cannot be used and the fields after `failure` are empty. `requests` are the
    requests that the broker supports, by Kafka's names (`ListOffsets`). `certificate_ends_ms` is the end of the
    broker's certificate in Unix milliseconds; None without TLS. `session_lifetime_ms` is the time after which the
    broker requires a new authentication; None if it requires none.
    """

    node_id: int | None
    address: str
    failure: KafkaBackupError | None = None
    requests: Mapping[str, VersionRange] = field(default_factory=dict)
    certificate_ends_ms: int | None = None
    session_lifetime_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialLifetimes:
    """When the client certificate and the OAuth token of the configuration end, in Unix milliseconds. None if the
    configuration has no such credential."""

    certificate_ends_ms: int | None = None
    token_ends_ms: int | None = None
