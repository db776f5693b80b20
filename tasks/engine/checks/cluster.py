"""The rows about a cluster: its addresses, the requests that it offers, the lifetimes of credentials and when to renew
them, its limits of connections.

Everything but `cluster_items` is pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from tasks.broker.ports import ClusterProbe
from tasks.broker.probe_values import BrokerDescription, CredentialLifetimes
from tasks.engine.checks.clock import broker_clock_item
from tasks.engine.checks.items import CheckItem, error_item, missing, ok, optional, rows, unknown
from tasks.engine.checks.jobs import CheckJob
from tasks.engine.checks.requests import broker_name, request_items
from tasks.model.counting import counted
from tasks.model.errors import AccessError, BrokerUnavailableError, KafkaBackupError

RENEWAL_TIME_MS = 14 * 86_400_000
"""A credential that ends within this time is reported."""

REACHED = "reached"
"""The name of the row that states whether the cluster can be used at all."""


def cluster_items(probe: ClusterProbe, job: CheckJob, now_ms: int) -> list[CheckItem]:
    """All rows about the cluster. If no bootstrap address can be used, the rows about its brokers are left out.

    Raises `InterruptedRunError`.
    """
    found: list[BrokerDescription] = []

    def describe() -> Iterator[CheckItem]:
        found.extend(probe.describe_brokers())
        yield reached_item(probe.location, found)
        yield from address_items(found)

    items = rows(probe.location, REACHED, describe)
    usable = [one for one in found if one.failure is None]
    if not usable:
        return items
    brokers = [one for one in usable if one.node_id is not None] or usable
    lifetimes = rows("credentials", "lifetime", lambda: credential_items(probe.credential_lifetimes(), now_ms))
    wanted = job.workers + 1  # the administrative connection
    limit = rows(
        probe.location,
        "connections",
        lambda: [connections_item(probe.location, probe.count_connections(wanted), wanted)],
    )
    return [
        *items,
        *request_items(brokers, job),
        *certificate_items(usable, now_ms),
        *session_items(brokers),
        *lifetimes,
        *limit,
        broker_clock_item(),
    ]


def is_reached(items: Sequence[CheckItem]) -> bool:
    """Whether the cluster can be used, by the rows of `cluster_items`."""
    return any(item.name == REACHED and item.status == "ok" for item in items)


def reached_item(location: str, found: Sequence[BrokerDescription]) -> CheckItem:
    """The row that states whether a bootstrap address answers and accepts the credentials."""
    servers = [one for one in found if one.node_id is None]
    usable = [one for one in servers if one.failure is None]
    if usable:
        return ok(location, REACHED, f"{len(usable)} of {len(servers)} bootstrap servers answer and accept this user")
    failure = next(one.failure for one in servers if one.failure is not None)
    return missing(
        location,
        REACHED,
        "no bootstrap server can be used",
        "Correct the addresses and the credentials, as the next rows say.",
        type(failure),
    )


def address_items(found: Sequence[BrokerDescription]) -> Iterator[CheckItem]:
    """A row for each address. An unusable bootstrap address stops a job only if all are unusable."""
    is_any_usable = any(one.node_id is None and one.failure is None for one in found)
    for one in found:
        name = "listener" if one.node_id is None else "advertised address"
        if one.failure is None:
            yield ok(broker_name(one), name, f"{one.address} answers")
            continue
        item = missing(broker_name(one), name, str(one.failure), _address_advice(one, one.failure), type(one.failure))
        yield optional(item) if one.node_id is None and is_any_usable else item


def certificate_items(found: Sequence[BrokerDescription], now_ms: int) -> Iterator[CheckItem]:
    """A row for the certificate of the brokers that ends first. None without TLS."""
    ends = [(one.certificate_ends_ms, broker_name(one)) for one in found if one.certificate_ends_ms is not None]
    if ends:
        end_ms, name = min(ends)
        yield _lifetime_item(name, "certificate", end_ms, now_ms)


def session_items(found: Sequence[BrokerDescription]) -> Iterator[CheckItem]:
    """A row for the shortest lifetime of a SASL session. None if no broker limits it."""
    lifetimes = [(one.session_lifetime_ms, broker_name(one)) for one in found if one.session_lifetime_ms is not None]
    if lifetimes:
        shortest_ms, name = min(lifetimes)
        text = (
            f"the broker requires a new authentication every {shortest_ms / 1000:,.0f} s; connections renew it in time"
        )
        yield ok(name, "SASL session", text)


def credential_items(lifetimes: CredentialLifetimes, now_ms: int) -> Iterator[CheckItem]:
    """A row for each credential that ends."""
    if lifetimes.certificate_ends_ms is not None:
        yield _lifetime_item("client", "certificate", lifetimes.certificate_ends_ms, now_ms)
    if lifetimes.token_ends_ms is not None:
        minutes = (lifetimes.token_ends_ms - now_ms) / 60_000
        text = f"the token ends at {_time(lifetimes.token_ends_ms)}, in {minutes:,.0f} min"
        advice = "A token file has to be renewed before that. A token endpoint is asked again automatically."
        yield ok("client", "token", text, advice)


def connections_item(location: str, opened: int, wanted: int) -> CheckItem:
    """The row about how many connections a broker allows this machine."""
    if opened >= wanted:
        return optional(ok(location, "connections", f"one broker keeps {wanted} connections open at the same time"))
    advice = (
        "Raise max.connections.per.ip or max.connections of the brokers, or lower max_concurrent_partitions "
        f"to {max(1, opened - 1)}."
    )
    text = f"one broker keeps only {opened} of {wanted} connections open at the same time"
    return optional(missing(location, "connections", text, advice, BrokerUnavailableError))


def _address_advice(broker: BrokerDescription, failure: KafkaBackupError) -> str:
    if broker.node_id is None:
        return error_item("", "", failure).advice
    if isinstance(failure, BrokerUnavailableError):
        return (
            f"The broker advertises {broker.address}: correct its advertised.listeners, or let this machine resolve "
            "and reach that address."
        )
    return f"The broker advertises {broker.address}. {error_item('', '', failure).advice}"


def _lifetime_item(subject: str, name: str, ends_ms: int, now_ms: int) -> CheckItem:
    days = (ends_ms - now_ms) // 86_400_000
    if ends_ms <= now_ms:
        return missing(subject, name, f"ended at {_time(ends_ms)}", "Renew it.", AccessError)
    text = f"ends at {_time(ends_ms)}, in {counted(days, 'day')}"
    if ends_ms - now_ms > RENEWAL_TIME_MS:
        return ok(subject, name, text)
    return optional(missing(subject, name, text, "Renew it before that.", AccessError))


def _time(milliseconds: int) -> str:
    return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%dT%H:%MZ}"


def unreached_item(subject: str) -> CheckItem:
    """The row in place of everything that needs the cluster, if it cannot be reached."""
    return unknown(subject, "not checked", "the cluster cannot be used", "Correct the rows about the cluster first.")
