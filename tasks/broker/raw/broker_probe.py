"""Connects once to every address of a cluster: to the bootstrap addresses, and to the address that each broker
advertises. Counts how many connections one address allows.

Nothing is retried here: the first failure of an address is its result.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import TypeVar

from tasks.broker.messages.api_keys import ApiKey
from tasks.broker.messages.request_names import request_name
from tasks.broker.messages.wire import MetadataRequest
from tasks.broker.probe_values import BrokerDescription, VersionRange
from tasks.broker.raw.addresses import bootstrap_addresses
from tasks.broker.raw.connection import BrokerAddress, Connection, ConnectionOptions
from tasks.model.errors import BrokerUnavailableError, InterruptedRunError, KafkaBackupError

T = TypeVar("T")

_THREADS = 16
_STOP_CHECK_S = 0.5
_METADATA_VERSIONS = (1, 12)
"""The first version in which an empty list of topics means no topic, and the newest version that this program knows."""


@dataclass(frozen=True, slots=True)
class _Reached:
    """The result for one address, and the brokers in its answer: node id and advertised address."""

    description: BrokerDescription
    brokers: tuple[tuple[int, BrokerAddress], ...] = ()


def describe_brokers(options: ConnectionOptions, stop: threading.Event) -> list[BrokerDescription]:
    """The bootstrap addresses in their order, then every broker that they named, by node id.

    Connects once to each address, and to several at the same time. An address that cannot be used has a `failure`.
    Raises `ConfigError` for an invalid bootstrap address, and `InterruptedRunError` soon after `stop` is set.
    """
    servers = [(None, address) for address in bootstrap_addresses(options.bootstrap_servers)]
    reached = _in_threads(lambda one: _reach(*one, options), servers, stop)
    named = {node_id: address for one in reversed(reached) for node_id, address in one.brokers}
    brokers = _in_threads(lambda one: _reach(*one, options), sorted(named.items()), stop)
    return [one.description for one in (*reached, *brokers)]


def count_connections(options: ConnectionOptions, wanted: int) -> int:
    """How many of `wanted` connections to the first bootstrap address that answers stay open at the same time. They are
    closed again.

    Each connection authenticates and sends a request, as the connections of a run do. Raises the error of the first
    connection if that one fails.
    """
    with ExitStack() as stack:
        first = stack.enter_context(closing(bootstrap_connection(options)))
        first.call(_metadata_request(first))
        for number in range(1, wanted):
            try:
                another = stack.enter_context(closing(Connection(first.address, options)))
                another.call(_metadata_request(another))
            except KafkaBackupError:
                return number
    return wanted


def _reach(node_id: int | None, address: BrokerAddress, options: ConnectionOptions) -> _Reached:
    try:
        with closing(Connection(address, options)) as connection:
            answer = connection.call(_metadata_request(connection))
            description = BrokerDescription(
                node_id=node_id,
                address=str(address),
                requests={request_name(key): VersionRange(*one) for key, one in sorted(connection.versions.items())},
                certificate_ends_ms=connection.certificate_ends_ms,
                session_lifetime_ms=connection.session_lifetime_ms,
            )
    except KafkaBackupError as error:
        return _Reached(BrokerDescription(node_id=node_id, address=str(address), failure=error))
    brokers = tuple((broker.node_id, BrokerAddress(broker.host, broker.port)) for broker in answer.brokers)
    return _Reached(description, brokers)


def _metadata_request(connection: Connection) -> MetadataRequest:
    """The request for the brokers without any topic. Every user is allowed to send it."""
    request = MetadataRequest(topics=[], allow_auto_topic_creation=False)
    request.API_VERSION = connection.pick(ApiKey.METADATA, *_METADATA_VERSIONS)
    return request


def bootstrap_connection(options: ConnectionOptions) -> Connection:
    """A connection to the first bootstrap address that answers. Raises the first `BrokerUnavailableError` if none does;
    other errors, such as wrong credentials, are raised at once."""
    failure: BrokerUnavailableError | None = None
    for address in bootstrap_addresses(options.bootstrap_servers):
        try:
            return Connection(address, options)
        except BrokerUnavailableError as error:
            failure = failure or error
    raise failure or BrokerUnavailableError("No broker can be reached.")


def _in_threads(reach: Callable[[T], _Reached], items: Sequence[T], stop: threading.Event) -> list[_Reached]:
    """The results in the order of the items. Raises `InterruptedRunError` soon after `stop` is set."""
    executor = ThreadPoolExecutor(_THREADS, thread_name_prefix="broker-probe")
    try:
        futures = [executor.submit(reach, one) for one in items]
        _await(futures, stop)
        return [future.result() for future in futures]
    finally:
        executor.shutdown(wait=False, cancel_futures=True)


def _await(futures: Iterable[Future[_Reached]], stop: threading.Event) -> None:
    pending = set(futures)
    while pending:
        if stop.is_set():
            raise InterruptedRunError("Stopped on request.")
        pending = wait(pending, timeout=_STOP_CHECK_S).not_done
