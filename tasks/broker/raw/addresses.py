"""The addresses of brokers: those of the configuration, and those that the brokers advertise in their metadata. Makes
the errors for advertised addresses that cannot be used."""

from __future__ import annotations

from collections.abc import Iterable

from tasks.broker.raw.connection import BrokerAddress
from tasks.model.addresses import parse_address
from tasks.model.errors import AccessError, BrokerUnavailableError, ConfigError, KafkaBackupError

_UNSPECIFIED = frozenset({"0.0.0.0", "::", ""})
"""Addresses on which a server can listen, but which do not name a machine. On Linux, a client that uses one connects to
its own machine, where another cluster can run."""


def bootstrap_addresses(servers: Iterable[str]) -> list[BrokerAddress]:
    """The addresses in texts such as `host:port` (see `parse_address`). Raises `ConfigError` that names the first
    invalid text."""
    found = []
    for server in servers:
        try:
            found.append(BrokerAddress(*parse_address(server)))
        except ConfigError as error:
            raise ConfigError(f"bootstrap_servers: {server!r} {error}.") from None
    return found


def check_advertised(node_id: int, address: BrokerAddress) -> None:
    """Raises `ConfigError` if no client can connect to the address that a broker advertises."""
    if address.host in _UNSPECIFIED or address.port <= 0:
        raise ConfigError(
            f"Broker {node_id} advertises the address {address}, to which no client can connect. "
            "Correct `advertised.listeners` of the broker."
        )


def advertised_error(node_id: int, address: BrokerAddress, error: KafkaBackupError) -> KafkaBackupError:
    """The error for a broker that was named by a bootstrap server, but does not work at the address that it advertises.

    It has the class of `error`: `BrokerUnavailableError`, `AccessError` or `ConfigError`. Its message gives the
    advertised address as the cause, because the bootstrap server accepted the same credentials and certificates.
    """
    message = f"Broker {node_id} advertises the address {address}, which does not work from this machine. {error} "
    if isinstance(error, AccessError):
        return AccessError(
            f"{message}If the address is wrong, correct `advertised.listeners` of the broker.", code=error.code
        )
    message += "Correct `advertised.listeners` of the broker"
    if isinstance(error, BrokerUnavailableError):
        reach = "or let this machine reach that address (DNS or a hosts entry)"
        return BrokerUnavailableError(f"{message}, {reach}.", code=error.code)
    return ConfigError(f"{message}.")
