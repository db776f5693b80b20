"""Fetch: the first answers of many partitions, with one request for each leader. It only saves requests: whatever is
not in these answers is fetched by a `Fetcher`, which alone classifies errors, retries them and enlarges its limit.

Nothing starves. A broker fills an answer in the order of the request and can leave later partitions empty, for example
after a batch that is larger than its partition's limit. They are not requested again here, where they would wait behind
the same partitions, but each alone by a `Fetcher`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tasks.batches.header import first_batch_bytes
from tasks.broker.log_values import Fetched, FetchPosition
from tasks.broker.messages.api_keys import ApiKey
from tasks.broker.messages.fetch_answer import FetchAnswer
from tasks.broker.messages.fetch_request import FETCH_VERSIONS, FIRST_BY_ID, fetch_request
from tasks.broker.messages.topic_ids import topic_uuid
from tasks.broker.raw.cluster import Cluster
from tasks.broker.raw.connection import Connection
from tasks.model.errors import AccessError, BrokerError, ConfigError
from tasks.model.partition import Partition

_NO_WAIT_MS = 0
"""A partition without records must not delay the others; the `Fetcher` waits for its records."""


class _Sent(NamedTuple):
    """A request whose answer is not received yet."""

    connection: Connection
    positions: Sequence[FetchPosition]


def first_answers(cluster: Cluster, positions: Sequence[FetchPosition]) -> dict[Partition, Fetched]:
    """See `LogReader.first_answers`. Every request is sent before the first answer is received, so that the leaders
    read at the same time."""
    sent: list[_Sent] = []
    answers: dict[Partition, Fetched] = {}
    try:
        for node_id, own in _by_leader(cluster, positions).items():
            sent += _send(cluster, node_id, own)
        for request in sent:
            answers.update(_receive(cluster, request))
    finally:
        for request in sent:
            if request.connection.in_flight:
                request.connection.close()
    return answers


def _by_leader(cluster: Cluster, positions: Sequence[FetchPosition]) -> dict[int, list[FetchPosition]]:
    """The positions by the node id of their leader. Those without a known leader are left out."""
    found: dict[int, list[FetchPosition]] = defaultdict(list)
    try:
        cluster.look_up_once([position.partition for position in positions])
    except (BrokerError, AccessError, ConfigError):
        return {}
    for position in positions:
        leader = cluster.known_leader(position.partition)
        if leader is not None:
            found[leader.node_id].append(position)
    return found


def _send(cluster: Cluster, node_id: int, positions: Sequence[FetchPosition]) -> list[_Sent]:
    """The request that was sent. None is sent if the leader cannot be reached, and to brokers that know no topic ids:
    after an answer by name each topic has to be looked up again."""
    options = cluster.options
    rack = options.rack if options.near_replicas.are_usable else ""
    try:
        connection = cluster.idle_connection(node_id)
        version = connection.pick(ApiKey.FETCH, *FETCH_VERSIONS)
        if version < FIRST_BY_ID:
            return []
        connection.send(fetch_request(positions, version=version, max_wait_ms=_NO_WAIT_MS, rack=rack))
    except (BrokerError, AccessError, ConfigError):
        _forget_leaders(cluster, positions)
        return []
    return [_Sent(connection, positions)]


def _receive(cluster: Cluster, request: _Sent) -> dict[Partition, Fetched]:
    try:
        return dict(_usable(request.positions, request.connection.receive(cluster.stop)))
    except (BrokerError, AccessError, ConfigError):
        _forget_leaders(cluster, request.positions)
        return {}


def _forget_leaders(cluster: Cluster, positions: Sequence[FetchPosition]) -> None:
    """The leader failed, so another broker can lead these partitions now."""
    cluster.forget(position.partition for position in positions)


def _usable(positions: Sequence[FetchPosition], answer: FetchAnswer) -> Iterator[tuple[Partition, Fetched]]:
    """The partitions of the answer that have a whole batch. Their positions are found by topic id and number, because
    a broker does not have to answer in the order of the request."""
    requested = {_key(position.partition): position for position in positions}
    for part in answer.partitions:
        position = requested.get((part.topic_id, part.partition))
        if position is None or part.error_code or part.diverging is not None:
            continue
        size = first_batch_bytes(part.records)
        if size is not None and size <= len(part.records):
            yield position.partition, part.as_fetched(position.partition, position.position, answer.throttle_time_ms)


def _key(partition: Partition) -> tuple[bytes, int]:
    return topic_uuid(partition.topic_id).bytes, partition.partition
