"""Produce: sends finished record batches in order and exactly once, with several requests in flight.

A request contains batches of several partitions of one leader, but only one batch of each partition, because a broker
rejects two. At most five requests are in flight on a connection, because a broker recognizes a repeated batch only if
it is one of the producer's last five.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from tasks.broker.error_codes import ErrorCode
from tasks.broker.log_values import Acknowledged, OutgoingBatch, ProducerIdentity
from tasks.broker.messages.api_keys import ApiKey
from tasks.broker.messages.produce_answer import PartitionAnswer
from tasks.broker.messages.produce_request import PRODUCE_VERSION, encode_produce
from tasks.broker.messages.wire import InitProducerIdRequest
from tasks.broker.raw.cluster import Cluster
from tasks.broker.raw.connection import Connection
from tasks.broker.raw.partition_queue import PartitionQueue
from tasks.broker.raw.produce_recovery import count_stored
from tasks.broker.raw.required_versions import INIT_PRODUCER_ID_VERSIONS
from tasks.broker.retry import RetryDeadline
from tasks.broker.translation import Action, Permission, error_for_code
from tasks.model.errors import BrokerError, BrokerUnavailableError, InterruptedRunError, KafkaBackupError
from tasks.model.partition import Partition

__all__ = ["OutgoingBatch", "ProducerIdentity", "init_producer_id", "produce"]

REQUEST_BYTES = 4 << 20
_MOST_IN_FLIGHT = 5
_INIT_ACTION = Action("obtain", "a producer id", (Permission("IdempotentWrite", "Cluster"),))


def init_producer_id(cluster: Cluster) -> ProducerIdentity:
    """See `LogWriter.init_producer_id`. A new cluster answers COORDINATOR_LOAD_IN_PROGRESS and the id -1 for some time;
    this is retried."""
    request = InitProducerIdRequest(
        transactional_id=None, transaction_timeout_ms=60_000, producer_id=-1, producer_epoch=-1
    )
    deadline = RetryDeadline(cluster.options.deadline_ms, cluster.stop)
    with cluster.options.contact.operation(f"the cluster to {_INIT_ACTION}") as waiting:
        while True:
            try:
                connection = cluster.any_connection()
                request.API_VERSION = connection.pick(ApiKey.INIT_PRODUCER_ID, *INIT_PRODUCER_ID_VERSIONS)
                response = connection.call(request, cluster.stop)
                if response.error_code == ErrorCode.NONE:
                    return ProducerIdentity(response.producer_id, response.producer_epoch)
                cluster.options.contact.mark_answered()  # the cluster answered, although with an error code
                raise error_for_code(response.error_code, _INIT_ACTION)
            except BrokerUnavailableError as error:
                waiting.failed(error)
                deadline.pause(error)


def produce(
    cluster: Cluster,
    sources: Mapping[Partition, Iterator[OutgoingBatch]],
    *,
    timeout_ms: int,
    stop: threading.Event,
    on_acknowledged: Acknowledged,
) -> None:
    """See `LogWriter.produce`.

    After a retryable error (leader change, lost connection) a partition waits for its answers in flight. Then its
    batches are sent again, from the first one on that is neither acknowledged nor found in the log. Only unacknowledged
    batches are kept in memory. The messages of `BrokerError` contain topic, partition and offset.

    If this raises an error, the cluster's connections can have answers in flight: the caller has to close them.
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
        self._has_progressed = False
        self._waiting = cluster.options.contact.operation("the cluster to store records")

    def run(self) -> None:
        with self._waiting:
            while self._queues:
                if self._stop.is_set():
                    raise InterruptedRunError("Stopped on request.")
                self._send_all()
                self._receive_all()
                self._recover()
                self._queues = [queue for queue in self._queues if queue.in_flight or not queue.is_done]

    def _send_all(self) -> None:
        """Send requests to every leader, until it has five in flight or no batch is left that can be sent."""
        by_node: dict[int, list[PartitionQueue]] = {}
        for queue in self._queues:
            if queue.error is None:
                try:
                    by_node.setdefault(self._node_of(queue), []).append(queue)
                except BrokerUnavailableError as error:
                    queue.error = error
        for node_id, queues in by_node.items():
            try:
                connection = self._cluster.connection(node_id)
            except BrokerUnavailableError as error:
                for queue in queues:
                    queue.error = error
                continue
            try:
                self._fill(connection, queues)
            except BrokerUnavailableError as error:
                self._connection_lost(connection, error)

    def _node_of(self, queue: PartitionQueue) -> int:
        """The node id of the partition's leader. While answers are in flight, it is the broker of these answers: on two
        connections the order of a partition's batches could change, and more than five could be in flight."""
        if not queue.in_flight:
            queue.node_id = self._cluster.leader(queue.partition).node_id
        return queue.node_id

    def _fill(self, connection: Connection, queues: list[PartitionQueue]) -> None:
        connection.pick(ApiKey.PRODUCE, PRODUCE_VERSION, PRODUCE_VERSION)
        while connection.in_flight < _MOST_IN_FLIGHT and not connection.is_draining:
            began = time.monotonic()
            chosen = _take_next(queues)
            self._deadline.extend(time.monotonic() - began)  # a source can wait for a rate limit
            if not chosen:
                break
            # The partitions that did not fit into this request come first in the next one.
            queues.sort(key=lambda queue: queue.in_flight)
            self._post(connection, chosen)
        connection.flush()

    def _post(self, connection: Connection, chosen: list[tuple[PartitionQueue, OutgoingBatch]]) -> None:
        self._requests.append(_Request(connection, tuple(queue for queue, _ in chosen)))

        def encode(correlation_id: int) -> list[bytes]:
            return encode_produce(
                [(queue.partition, batch.data) for queue, batch in chosen],
                correlation_id=correlation_id,
                client_id=self._cluster.options.client_id,
                timeout_ms=self._timeout_ms,
            )

        connection.post(encode, ApiKey.PRODUCE, PRODUCE_VERSION, extra_timeout_ms=self._timeout_ms)

    def _receive_all(self) -> None:
        """Wait for the oldest answer, and take those that have arrived with it, so that the next requests are sent
        together if they are small."""
        if not self._requests:
            return
        self._receive(self._requests[0])
        while self._requests and self._requests[0].connection.has_answer:
            self._receive(self._requests[0])
        if self._has_progressed:
            self._deadline, self._has_progressed = self._new_deadline(), False
            self._waiting.over()

    def _receive(self, request: _Request) -> None:
        try:
            response = request.connection.receive(self._stop)
        except BrokerUnavailableError as error:
            self._connection_lost(request.connection, error)
            return
        self._requests.popleft()
        answers = {(part.topic, part.partition): part for part in response.partitions}
        for queue in request.queues:
            queue.in_flight -= 1
            self._apply(queue, answers[queue.partition.topic, queue.partition.partition])

    def _connection_lost(self, connection: Connection, error: KafkaBackupError) -> None:
        """Note the error for all requests in flight on a lost connection, because their answers are lost too."""
        for request in self._requests:
            if request.connection is connection:
                for queue in request.queues:
                    queue.in_flight -= 1
                    queue.error = queue.error or error
        self._requests = deque(request for request in self._requests if request.connection is not connection)

    def _apply(self, queue: PartitionQueue, answer: PartitionAnswer) -> None:
        """Acknowledge the partition's oldest batch, or keep the retryable error. Raises a permanent error."""
        if queue.error is not None:
            return  # The partition waits for its other answers. This answer follows from the first error.
        if answer.error_code:
            queue.error = self._retryable_error(queue, answer)
            return
        batch = queue.acknowledge()
        self._has_progressed = True
        if answer.base_offset != batch.expected_offset:
            raise BrokerError(
                f"{_where(queue)}: the batch for offset {batch.expected_offset} was stored at {answer.base_offset}, "
                "because another client writes to the topic. Stop that client."
            )
        self._on_acknowledged(queue.partition, batch)

    def _retryable_error(self, queue: PartitionQueue, answer: PartitionAnswer) -> KafkaBackupError:
        """The error of an answer, if it is retryable. A permanent error is raised."""
        offset = queue.unacknowledged[0].expected_offset if queue.unacknowledged else -1
        needs = (Permission("Write", "Topic", queue.partition.topic),)
        action = Action("produce to", f"{_where(queue)} at offset {offset}", needs)
        error = error_for_code(answer.error_code, action, answer.error_message)
        if answer.error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION:
            # The broker's metadata can be old. The lookup by id before the next attempt shows whether the topic is
            # gone.
            return BrokerUnavailableError(str(error), code=answer.error_code)
        if not error.retryable:
            raise error
        return error

    def _recover(self) -> None:
        """Wait, and then rewind the failed partitions that have no request in flight. Their leaders are looked up
        again."""
        failed = [queue for queue in self._queues if queue.error is not None and queue.in_flight == 0]
        if not failed:
            return
        assert failed[0].error is not None
        self._waiting.failed(f"{_where(failed[0])}: {failed[0].error}")
        self._deadline.pause(failed[0].error)
        self._cluster.forget([queue.partition for queue in failed])
        for queue in failed:
            queue.rewind()
        self._acknowledge_stored({queue.partition: queue for queue in failed if queue.to_resend})

    def _acknowledge_stored(self, queues: Mapping[Partition, PartitionQueue]) -> None:
        """Acknowledge the batches that are in the log although their answers were lost, so that they are not sent
        again."""
        if not queues:
            return
        unacknowledged = {partition: tuple(queue.to_resend) for partition, queue in queues.items()}
        for partition, count in count_stored(self._cluster.options, unacknowledged, self._stop).items():
            for _ in range(count):
                self._on_acknowledged(partition, queues[partition].to_resend.popleft())
                self._deadline = self._new_deadline()

    def _new_deadline(self) -> RetryDeadline:
        return RetryDeadline(self._cluster.options.deadline_ms, self._stop)


def _take_next(queues: list[PartitionQueue]) -> list[tuple[PartitionQueue, OutgoingBatch]]:
    """The batches of the next request: one of each partition, as long as they fit. They are taken from the queues."""
    chosen: list[tuple[PartitionQueue, OutgoingBatch]] = []
    size_bytes = 0
    for queue in queues:
        batch = queue.next_batch() if queue.can_send else None
        if batch is None or (chosen and size_bytes + len(batch.data) > REQUEST_BYTES):
            continue
        size_bytes += len(batch.data)
        chosen.append((queue, queue.take()))
    return chosen


def _where(queue: PartitionQueue) -> str:
    return f"topic {queue.partition.topic}, partition {queue.partition.partition}"
