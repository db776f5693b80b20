"""Produce: finished record batches, pipelined, in order and exactly once.

Each request carries at most one batch of a partition (a broker refuses two), of several partitions of one leader. At
most five are in flight per connection: so many a broker remembers to tell a repeated batch from a new one.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from tasks.broker.messages.produce_answer import PartitionAnswer
from tasks.broker.messages.produce_request import PRODUCE_KEY, PRODUCE_VERSION, encode_produce
from tasks.broker.messages.wire import InitProducerIdRequest
from tasks.broker.raw.cluster import Cluster
from tasks.broker.raw.connection import Connection
from tasks.broker.raw.partition_queue import Lane, OutgoingBatch
from tasks.broker.raw.produce_recovery import count_stored
from tasks.broker.raw.retry import Patience
from tasks.broker.translation import Attempt, Permission, error_for_code
from tasks.model.errors import BrokerError, BrokerUnavailableError, InterruptedRunError, KafkaBackupError
from tasks.model.partition import Partition

__all__ = ["OutgoingBatch", "ProducerIdentity", "init_producer_id", "produce"]

REQUEST_BYTES = 4 << 20
_UNKNOWN_TOPIC = 3
_MOST_IN_FLIGHT = 5
_PRODUCER_ID = Attempt("obtain", "a producer id", (Permission("IdempotentWrite", "Cluster"),))


class ProducerIdentity(NamedTuple):
    """What makes a repeated batch recognizable to the brokers."""

    producer_id: int
    epoch: int


Acknowledged = Callable[[Partition, OutgoingBatch], None]


def init_producer_id(cluster: Cluster) -> ProducerIdentity:
    """A producer id of our own. A fresh cluster answers that it is still loading, with id -1: that means wait."""
    request = InitProducerIdRequest(
        transactional_id=None, transaction_timeout_ms=60_000, producer_id=-1, producer_epoch=-1
    )
    patience = Patience(cluster.options.retry_deadline_ms, cluster.stop)
    while True:
        try:
            connection = cluster.any_connection()
            request.API_VERSION = connection.pick(InitProducerIdRequest.API_KEY, 0, 4)
            response = connection.call(request)
            if response.error_code == 0:
                return ProducerIdentity(response.producer_id, response.producer_epoch)
            raise error_for_code(response.error_code, _PRODUCER_ID)
        except BrokerUnavailableError as error:
            patience.pause(error)


def produce(
    cluster: Cluster,
    sources: Mapping[Partition, Iterator[OutgoingBatch]],
    *,
    timeout_ms: int,
    stop: threading.Event,
    on_acknowledged: Acknowledged,
) -> None:
    """Send everything that the sources yield, each partition in its order, until all of it is acknowledged by all
    in-sync replicas.

    After passing trouble (leader changes, lost connections) a partition is drained and rewound to its first batch that
    is neither acknowledged nor found in the log; from there it is sent again, identical. Holds only unacknowledged
    batches. Raises `BrokerError` naming topic, partition and offset when a broker refuses a batch or stores it
    elsewhere than expected, `AccessError`, `TopicGoneError`, `BrokerUnavailableError` after the deadline without
    progress, and `InterruptedRunError`; the cluster's connections may then have answers in flight: close them.
    """
    _Production(cluster, sources, timeout_ms, stop, on_acknowledged).run()


class _Request(NamedTuple):
    connection: Connection
    lanes: tuple[Lane, ...]


class _Production:
    def __init__(
        self,
        cluster: Cluster,
        sources: Mapping[Partition, Iterator[OutgoingBatch]],
        timeout_ms: int,
        stop: threading.Event,
        on_acknowledged: Acknowledged,
    ) -> None:
        self._cluster = cluster
        self._lanes = [Lane(partition, source) for partition, source in sources.items()]
        self._timeout_ms = timeout_ms
        self._stop = stop
        self._on_acknowledged = on_acknowledged
        self._requests: deque[_Request] = deque()
        self._patience = self._new_patience()

    def run(self) -> None:
        while self._lanes:
            if self._stop.is_set():
                raise InterruptedRunError("Stopped on request.")
            self._send_all()
            if self._requests:
                self._receive(self._requests[0])
            self._recover()
            self._lanes = [lane for lane in self._lanes if lane.in_flight or not lane.is_done]

    def _send_all(self) -> None:
        """Fill every leader's pipeline, one batch of each of its partitions per request, in turns."""
        by_node: dict[int, list[Lane]] = {}
        for lane in self._lanes:
            if lane.trouble is None:
                try:
                    by_node.setdefault(self._node_of(lane), []).append(lane)
                except BrokerUnavailableError as error:
                    lane.trouble = error
        for node_id, lanes in by_node.items():
            try:
                connection = self._cluster.connection(node_id)
            except BrokerUnavailableError as error:
                for lane in lanes:
                    lane.trouble = error
                continue
            try:
                self._fill(connection, lanes)
            except BrokerUnavailableError as error:
                self._lose(connection, error)

    def _node_of(self, lane: Lane) -> int:
        """The leader. But until a partition's answers have all come it stays where they come from: on two connections
        its batches could overtake one another, and more be in flight than a broker remembers."""
        if not lane.in_flight:
            lane.node_id = self._cluster.leader(lane.partition).node_id
        return lane.node_id

    def _fill(self, connection: Connection, lanes: list[Lane]) -> None:
        connection.pick(PRODUCE_KEY, PRODUCE_VERSION, PRODUCE_VERSION)
        while connection.in_flight < _MOST_IN_FLIGHT and not connection.is_draining:
            chosen: list[tuple[Lane, OutgoingBatch]] = []
            size_bytes = 0
            for lane in lanes:
                batch = lane.next_batch() if lane.may_send else None
                if batch is None or (chosen and size_bytes + len(batch.data) > REQUEST_BYTES):
                    continue
                size_bytes += len(batch.data)
                chosen.append((lane, lane.take()))
            if not chosen:
                return
            # Whoever was left out for size comes first next time.
            lanes.sort(key=lambda lane: lane.in_flight)
            self._send(connection, chosen)

    def _send(self, connection: Connection, chosen: list[tuple[Lane, OutgoingBatch]]) -> None:
        self._requests.append(_Request(connection, tuple(lane for lane, _ in chosen)))

        def encode(correlation_id: int) -> list[bytes]:
            return encode_produce(
                [(lane.partition, batch.data) for lane, batch in chosen],
                correlation_id=correlation_id,
                client_id=self._cluster.options.client_id,
                timeout_ms=self._timeout_ms,
            )

        connection.send_encoded(encode, PRODUCE_KEY, PRODUCE_VERSION, patience_ms=self._timeout_ms)

    def _receive(self, request: _Request) -> None:
        try:
            response = request.connection.receive(self._stop)
        except BrokerUnavailableError as error:
            self._lose(request.connection, error)
            return
        self._requests.popleft()
        answers = {(part.topic, part.partition): part for part in response.partitions}
        for lane in request.lanes:
            lane.in_flight -= 1
            self._settle(lane, answers[lane.partition.topic, lane.partition.partition])
        if any(lane.trouble is None for lane in request.lanes):
            self._patience = self._new_patience()

    def _lose(self, connection: Connection, error: KafkaBackupError) -> None:
        """A connection is lost, and with it every answer in flight on it."""
        for request in self._requests:
            if request.connection is connection:
                for lane in request.lanes:
                    lane.in_flight -= 1
                    lane.trouble = lane.trouble or error
        self._requests = deque(request for request in self._requests if request.connection is not connection)

    def _settle(self, lane: Lane, part: PartitionAnswer) -> None:
        if lane.trouble is not None:
            return  # the partition is draining: what comes now is a consequence, and will be sent again
        if part.error_code:
            lane.trouble = self._trouble(lane, part.error_code, part)
            return
        batch = lane.acknowledge()
        if part.base_offset != batch.expected_offset:
            raise BrokerError(
                f"{_place(lane)}: the batch for offset {batch.expected_offset} was stored at {part.base_offset}: "
                "someone else writes to the topic."
            )
        self._on_acknowledged(lane.partition, batch)

    def _trouble(self, lane: Lane, code: int, part: PartitionAnswer) -> KafkaBackupError:
        """The passing trouble that the code stands for; anything else is raised."""
        offset = lane.sent[0].expected_offset if lane.sent else -1
        needs = (Permission("Write", "Topic", lane.partition.topic),)
        error = error_for_code(
            code, Attempt("produce to", f"{_place(lane)} at offset {offset}", needs), part.error_message
        )
        if code == _UNKNOWN_TOPIC:
            return BrokerUnavailableError(str(error), code=code)
        if not error.retryable:
            raise error
        return error

    def _recover(self) -> None:
        """Rewind the troubled partitions whose answers have all come, after a pause and with fresh leaders."""
        drained = [lane for lane in self._lanes if lane.trouble is not None and lane.in_flight == 0]
        if not drained:
            return
        assert drained[0].trouble is not None
        self._patience.pause(drained[0].trouble)
        self._cluster.forget([lane.partition for lane in drained])
        for lane in drained:
            lane.rewind()
        self._acknowledge_stored({lane.partition: lane for lane in drained if lane.again})

    def _acknowledge_stored(self, lanes: Mapping[Partition, Lane]) -> None:
        """Batches whose answer was lost may be in the log; they must not get there a second time."""
        if not lanes:
            return
        unacknowledged = {partition: tuple(lane.again) for partition, lane in lanes.items()}
        for partition, count in count_stored(self._cluster.options, unacknowledged, self._stop).items():
            for _ in range(count):
                self._on_acknowledged(partition, lanes[partition].again.popleft())
                self._patience = self._new_patience()

    def _new_patience(self) -> Patience:
        return Patience(self._cluster.options.retry_deadline_ms, self._stop)


def _place(lane: Lane) -> str:
    return f"topic {lane.partition.topic}, partition {lane.partition.partition}"
