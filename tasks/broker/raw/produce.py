"""Produce: finished record batches, pipelined, in order and exactly once.

Each request carries at most one batch of a partition (a broker refuses two), of several partitions of one leader. At
most five are in flight per connection: so many a broker remembers to tell a repeated batch from a new one.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from tasks.broker.error_codes import ErrorCode
from tasks.broker.log_values import Acknowledged, OutgoingBatch, ProducerIdentity
from tasks.broker.messages.produce_answer import PartitionAnswer
from tasks.broker.messages.produce_request import PRODUCE_KEY, PRODUCE_VERSION, encode_produce
from tasks.broker.messages.wire import InitProducerIdRequest
from tasks.broker.raw.cluster import Cluster
from tasks.broker.raw.connection import Connection
from tasks.broker.raw.partition_queue import PartitionQueue
from tasks.broker.raw.produce_recovery import count_stored
from tasks.broker.retry import RetryDeadline
from tasks.broker.translation import Action, Permission, error_for_code
from tasks.model.errors import BrokerError, BrokerUnavailableError, InterruptedRunError, KafkaBackupError
from tasks.model.partition import Partition

__all__ = ["OutgoingBatch", "ProducerIdentity", "init_producer_id", "produce"]

REQUEST_BYTES = 4 << 20
_MOST_IN_FLIGHT = 5
_PRODUCER_ID = Action("obtain", "a producer id", (Permission("IdempotentWrite", "Cluster"),))


def init_producer_id(cluster: Cluster) -> ProducerIdentity:
    """A producer id of our own. A fresh cluster answers that it is still loading, with id -1: that means wait."""
    request = InitProducerIdRequest(
        transactional_id=None, transaction_timeout_ms=60_000, producer_id=-1, producer_epoch=-1
    )
    deadline = RetryDeadline(cluster.options.retry_deadline_ms, cluster.stop)
    while True:
        try:
            connection = cluster.any_connection()
            request.API_VERSION = connection.pick(InitProducerIdRequest.API_KEY, 0, 4)
            response = connection.call(request)
            if response.error_code == ErrorCode.NONE:
                return ProducerIdentity(response.producer_id, response.producer_epoch)
            raise error_for_code(response.error_code, _PRODUCER_ID)
        except BrokerUnavailableError as error:
            deadline.pause(error)


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
    queues: tuple[PartitionQueue, ...]


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
        self._queues = [PartitionQueue(partition, source) for partition, source in sources.items()]
        self._timeout_ms = timeout_ms
        self._stop = stop
        self._on_acknowledged = on_acknowledged
        self._requests: deque[_Request] = deque()
        self._deadline = self._new_deadline()

    def run(self) -> None:
        while self._queues:
            if self._stop.is_set():
                raise InterruptedRunError("Stopped on request.")
            self._send_all()
            if self._requests:
                self._receive(self._requests[0])
            self._recover()
            self._queues = [queue for queue in self._queues if queue.in_flight or not queue.is_done]

    def _send_all(self) -> None:
        """Fill every leader's pipeline, one batch of each of its partitions per request, in turns."""
        by_node: dict[int, list[PartitionQueue]] = {}
        for queue in self._queues:
            if queue.trouble is None:
                try:
                    by_node.setdefault(self._node_of(queue), []).append(queue)
                except BrokerUnavailableError as error:
                    queue.trouble = error
        for node_id, queues in by_node.items():
            try:
                connection = self._cluster.connection(node_id)
            except BrokerUnavailableError as error:
                for queue in queues:
                    queue.trouble = error
                continue
            try:
                self._fill(connection, queues)
            except BrokerUnavailableError as error:
                self._lose(connection, error)

    def _node_of(self, queue: PartitionQueue) -> int:
        """The leader. But until a partition's answers have all come it stays where they come from: on two connections
        its batches could overtake one another, and more be in flight than a broker remembers."""
        if not queue.in_flight:
            queue.node_id = self._cluster.leader(queue.partition).node_id
        return queue.node_id

    def _fill(self, connection: Connection, queues: list[PartitionQueue]) -> None:
        connection.pick(PRODUCE_KEY, PRODUCE_VERSION, PRODUCE_VERSION)
        while connection.in_flight < _MOST_IN_FLIGHT and not connection.is_draining:
            chosen: list[tuple[PartitionQueue, OutgoingBatch]] = []
            size_bytes = 0
            for queue in queues:
                batch = queue.next_batch() if queue.may_send else None
                if batch is None or (chosen and size_bytes + len(batch.data) > REQUEST_BYTES):
                    continue
                size_bytes += len(batch.data)
                chosen.append((queue, queue.take()))
            if not chosen:
                return
            # Whoever was left out for size comes first next time.
            queues.sort(key=lambda queue: queue.in_flight)
            self._send(connection, chosen)

    def _send(self, connection: Connection, chosen: list[tuple[PartitionQueue, OutgoingBatch]]) -> None:
        self._requests.append(_Request(connection, tuple(queue for queue, _ in chosen)))

        def encode(correlation_id: int) -> list[bytes]:
            return encode_produce(
                [(queue.partition, batch.data) for queue, batch in chosen],
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
        for queue in request.queues:
            queue.in_flight -= 1
            self._settle(queue, answers[queue.partition.topic, queue.partition.partition])
        if any(queue.trouble is None for queue in request.queues):
            self._deadline = self._new_deadline()

    def _lose(self, connection: Connection, error: KafkaBackupError) -> None:
        """A connection is lost, and with it every answer in flight on it."""
        for request in self._requests:
            if request.connection is connection:
                for queue in request.queues:
                    queue.in_flight -= 1
                    queue.trouble = queue.trouble or error
        self._requests = deque(request for request in self._requests if request.connection is not connection)

    def _settle(self, queue: PartitionQueue, part: PartitionAnswer) -> None:
        if queue.trouble is not None:
            return  # the partition is draining: what comes now is a consequence, and will be sent again
        if part.error_code:
            queue.trouble = self._trouble(queue, part.error_code, part)
            return
        batch = queue.acknowledge()
        if part.base_offset != batch.expected_offset:
            raise BrokerError(
                f"{_place(queue)}: the batch for offset {batch.expected_offset} was stored at {part.base_offset}: "
                "someone else writes to the topic."
            )
        self._on_acknowledged(queue.partition, batch)

    def _trouble(self, queue: PartitionQueue, code: int, part: PartitionAnswer) -> KafkaBackupError:
        """The passing trouble that the code stands for; anything else is raised."""
        offset = queue.sent[0].expected_offset if queue.sent else -1
        needs = (Permission("Write", "Topic", queue.partition.topic),)
        error = error_for_code(
            code, Action("produce to", f"{_place(queue)} at offset {offset}", needs), part.error_message
        )
        if code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION:
            return BrokerUnavailableError(str(error), code=code)
        if not error.retryable:
            raise error
        return error

    def _recover(self) -> None:
        """Rewind the troubled partitions whose answers have all come, after a pause and with fresh leaders."""
        drained = [queue for queue in self._queues if queue.trouble is not None and queue.in_flight == 0]
        if not drained:
            return
        assert drained[0].trouble is not None
        self._deadline.pause(drained[0].trouble)
        self._cluster.forget([queue.partition for queue in drained])
        for queue in drained:
            queue.rewind()
        self._acknowledge_stored({queue.partition: queue for queue in drained if queue.again})

    def _acknowledge_stored(self, queues: Mapping[Partition, PartitionQueue]) -> None:
        """Batches whose answer was lost may be in the log; they must not get there a second time."""
        if not queues:
            return
        unacknowledged = {partition: tuple(queue.again) for partition, queue in queues.items()}
        for partition, count in count_stored(self._cluster.options, unacknowledged, self._stop).items():
            for _ in range(count):
                self._on_acknowledged(partition, queues[partition].again.popleft())
                self._deadline = self._new_deadline()

    def _new_deadline(self) -> RetryDeadline:
        return RetryDeadline(self._cluster.options.retry_deadline_ms, self._stop)


def _place(queue: PartitionQueue) -> str:
    return f"topic {queue.partition.topic}, partition {queue.partition.partition}"
