"""The `LogWriter` of a simulated cluster: pipelined, in order, exactly once, whatever answers are lost.

Each batch passes the interceptor as `batch.land`. A lost request breaks the connection: nothing that was sent after it
arrives. With a lost answer all that was in flight has arrived. In both cases the log is read back, as the real writer
does, and only the rest is sent again. When the writer dies, what it had in flight is on the cluster's `wire`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from tasks.batches.header import iter_headers
from tasks.broker.log_values import Acknowledged, OffsetAnswers, OutgoingBatch, ProducerIdentity, Which
from tasks.broker.raw.partition_queue import PartitionQueue
from tasks.broker.raw.produce_recovery import is_same
from tasks.broker.translation import Action, Permission
from tasks.model.errors import BrokerError, BrokerUnavailableError, InterruptedRunError, KafkaBackupError
from tasks.model.partition import Partition
from tests.simulation.kafka.calls import Client
from tests.simulation.kafka.faults import AnswerLost
from tests.simulation.kafka.reader import list_offsets
from tests.simulation.kafka.refusals import (
    REQUEST_TIMED_OUT,
    UNKNOWN_TOPIC_OR_PARTITION,
    Refused,
)
from tests.simulation.kafka.stored_log import StoredLog
from tests.simulation.kafka.wire import InFlight

_MOST_IN_FLIGHT = 5
_FETCH_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class SimulatedLogWriter:
    """Writes finished batches for one thread."""

    client: Client

    def init_producer_id(self) -> ProducerIdentity:
        """See `LogWriter.init_producer_id`. Who may write to some topic may have one."""
        kafka = self.client.kafka
        return self.client.call("writer.init_producer_id", "", lambda attempt: kafka.new_producer_identity())

    def list_offsets(self, partitions: Collection[Partition], which: Which) -> OffsetAnswers:
        """See `LogWriter.list_offsets`."""
        return list_offsets(self.client, "writer.list_offsets", partitions, which)

    def produce(
        self,
        sources: Mapping[Partition, Iterator[OutgoingBatch]],
        *,
        timeout_ms: int,
        on_acknowledged: Acknowledged,
    ) -> None:
        """See `LogWriter.produce`."""
        names = ", ".join(map(str, sources))
        self.client.intercept("writer.produce", names, has_happened=False)
        _Production(self.client, sources, timeout_ms, on_acknowledged).run()
        self.client.intercept("writer.produce", names, has_happened=True)


class _Production:
    def __init__(
        self,
        client: Client,
        sources: Mapping[Partition, Iterator[OutgoingBatch]],
        timeout_ms: int,
        on_acknowledged: Acknowledged,
    ) -> None:
        self._client = client
        self._kafka = client.kafka
        self._timeout_ms = timeout_ms
        self._on_acknowledged = on_acknowledged
        self._queues = [PartitionQueue(partition, source) for partition, source in sources.items()]
        self._looked_up: set[Partition] = set()
        self._arrived: PartitionQueue | None = None
        self._deadline = client.deadline()

    def run(self) -> None:
        """Until everything is acknowledged. Whatever ends it sooner leaves what is in flight on the wire."""
        try:
            while self._queues:
                if self._client.stop.is_set():
                    raise InterruptedRunError("Stopped on request.")
                for queue in self._queues:
                    self._fill(queue)
                for queue in self._queues:
                    self._receive(queue)
                self._recover()
                self._queues = [queue for queue in self._queues if queue.in_flight or not queue.is_done]
        except BaseException:
            self._leave_in_flight()
            raise

    def _fill(self, queue: PartitionQueue) -> None:
        """Send what may be under way at once, to a leader that is looked up when nothing is."""
        try:
            while queue.can_send and queue.in_flight < _MOST_IN_FLIGHT and queue.next_batch() is not None:
                if queue.partition not in self._looked_up:
                    with self._kafka.lock:
                        self._kafka.brokers.require_one()
                        self._client.leader_of(queue.partition)
                    self._looked_up.add(queue.partition)
                queue.take()
        except BrokerUnavailableError as error:
            queue.error = error

    def _receive(self, queue: PartitionQueue) -> None:
        """The oldest batch in flight arrives and is answered."""
        if queue.error is not None or not queue.in_flight:
            return
        batch = queue.unacknowledged[0]
        subject = f"{queue.partition} at {batch.expected_offset}"
        try:
            self._client.intercept("batch.land", subject, has_happened=False)
            offset = self._land(queue, batch)
            self._arrived = queue
            self._client.intercept("batch.land", subject, has_happened=True)
        except AnswerLost as lost:
            self._lose(queue, BrokerUnavailableError(f"{queue.partition}: {lost}"))
            return
        except Refused as refused:
            self._refuse(queue, batch, refused)
            return
        self._arrived = None
        self._acknowledge(queue, batch, offset)

    def _land(self, queue: PartitionQueue, batch: OutgoingBatch) -> int:
        """The request names the topic: whichever incarnation there is gets the batch."""
        partition = queue.partition
        with self._kafka.lock:
            self._kafka.permissions.require(self._client.user, Permission("Write", "Topic", partition.topic))
            offset = self._kafka.append((partition.topic, partition.partition), batch.data)
            log = self._kafka.log((partition.topic, partition.partition))
            is_replicated = offset + batch.records <= log.high_watermark
        if not is_replicated:
            self._kafka.clock.advance(self._timeout_ms)
            raise Refused(REQUEST_TIMED_OUT)
        return offset

    def _acknowledge(self, queue: PartitionQueue, batch: OutgoingBatch, offset: int) -> None:
        queue.acknowledge()
        queue.in_flight -= 1
        if offset != batch.expected_offset:
            raise BrokerError(
                f"{_place(queue.partition)}: the batch for offset {batch.expected_offset} was stored at {offset}: "
                "someone else writes to the topic."
            )
        self._deadline = self._client.deadline()
        self._on_acknowledged(queue.partition, batch)

    def _refuse(self, queue: PartitionQueue, batch: OutgoingBatch, refused: Refused) -> None:
        """Trouble that may pass drains the partition; anything else is raised."""
        needs = (Permission("Write", "Topic", queue.partition.topic),)
        where = f"{_place(queue.partition)} at offset {batch.expected_offset}"
        error = refused.as_error(Action("produce to", where, needs))
        if refused.code == UNKNOWN_TOPIC_OR_PARTITION:
            error = BrokerUnavailableError(str(error), code=refused.code)
        if not error.retryable:
            self._arrived = queue  # it has its answer
            raise error
        self._lose(queue, error)

    def _lose(self, queue: PartitionQueue, error: KafkaBackupError) -> None:
        """No more answers come. Where the batch itself had arrived, so has everything that was sent behind it."""
        if self._arrived is queue:
            for batch in list(queue.unacknowledged)[1:]:
                with contextlib.suppress(Refused):
                    self._land(queue, batch)
        self._arrived = None
        queue.in_flight = 0
        queue.error = error

    def _recover(self) -> None:
        for queue in [queue for queue in self._queues if queue.error is not None]:
            assert queue.error is not None
            self._deadline.pause(queue.error)
            self._looked_up.discard(queue.partition)
            queue.rewind()
            for _ in range(self._count_stored(queue)):
                self._deadline = self._client.deadline()
                self._on_acknowledged(queue.partition, queue.to_resend.popleft())

    def _count_stored(self, queue: PartitionQueue) -> int:
        """How many of the unacknowledged batches are in the log, from the first on."""
        batches = tuple(queue.to_resend)
        if not batches:
            return 0

        def count(attempt: int) -> int:
            return _count_same(self._client.leader_of(queue.partition).log, queue.partition, batches)

        return self._client.call("writer.read_back", str(queue.partition), count)

    def _leave_in_flight(self) -> None:
        for queue in self._queues:
            place = (queue.partition.topic, queue.partition.partition)
            on_the_way = list(queue.unacknowledged)[1:] if queue is self._arrived else list(queue.unacknowledged)
            if queue.in_flight:
                self._kafka.wire.leave([InFlight(place, batch.data) for batch in on_the_way])


def _count_same(log: StoredLog, partition: Partition, batches: tuple[OutgoingBatch, ...]) -> int:
    position, count = batches[0].expected_offset, 0
    end = min(log.high_watermark, batches[-1].expected_offset + batches[-1].records)
    while position < end:
        try:
            records = log.read(position, max_bytes=_FETCH_BYTES).records
        except Refused as refused:
            raise refused.as_error(Action("fetch", f"{_place(partition)}, offset {position}")) from None
        if not records:
            raise BrokerUnavailableError(f"{partition}: the leader does not serve its log at {position}.")
        for _, header in iter_headers(records):
            if position >= end:
                break
            if not is_same(batches[count], header):
                raise BrokerError(
                    f"{_place(partition)}: at offset {header.base_offset} there is another batch than ours for "
                    f"{batches[count].expected_offset}: someone else writes to the topic."
                )
            count += 1
            position = header.next_offset
    return count


def _place(partition: Partition) -> str:
    return f"topic {partition.topic}, partition {partition.partition}"
