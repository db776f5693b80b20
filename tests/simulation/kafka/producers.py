"""Other clients that write to the cluster: an idempotent producer, and one with transactions."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tasks.batches.header import CONTROL_BIT, TRANSACTIONAL_BIT
from tasks.batches.records import Record
from tasks.broker.admin_values import CommittedOffset, TopicPartition
from tasks.broker.log_values import ProducerIdentity
from tests.support.batch_factory import make_batch

if TYPE_CHECKING:
    from tests.simulation.kafka.cluster import SimulatedKafka

_NOBODY = ProducerIdentity(-1, -1)
_SEQUENCE_MASK = 0x7FFFFFFF


class SimulatedProducer:
    """Sends batches of records, whose own offsets do not matter. Idempotent unless told otherwise, as Kafka's are."""

    def __init__(self, kafka: SimulatedKafka, *, is_idempotent: bool = True) -> None:
        self._kafka = kafka
        self._identity = kafka.new_producer_identity() if is_idempotent else _NOBODY
        self._sequences: dict[TopicPartition, int] = {}

    @property
    def producer_id(self) -> int:
        """Its producer id; -1 if it is not idempotent."""
        return self._identity.producer_id

    def send(self, place: TopicPartition, records: Sequence[Record], *, codec: str = "none") -> int:
        """Append the records as one batch; returns the offset of the first. Raises `Refused`."""
        return self._send(place, records, codec=codec, attributes=0)

    def _send(self, place: TopicPartition, records: Sequence[Record], *, codec: str, attributes: int) -> int:
        sequence = self._sequences.get(place, 0) if self._identity.producer_id >= 0 else -1
        data = make_batch(
            [record._replace(offset=number) for number, record in enumerate(records)],
            base_offset=0,
            codec=codec,
            attributes=attributes,
            producer_id=self._identity.producer_id,
            producer_epoch=self._identity.epoch,
            base_sequence=sequence,
            leader_epoch=-1,
        )
        offset = self._kafka.append(place, data, is_transaction=bool(attributes))
        self._sequences[place] = (sequence + len(records)) & _SEQUENCE_MASK
        return offset


class TransactionalProducer(SimulatedProducer):
    """One transaction after the other. One that stays open longer than `timeout_ms` is aborted by its coordinator."""

    def __init__(self, kafka: SimulatedKafka, *, timeout_ms: int = 60_000) -> None:
        super().__init__(kafka)
        self._timeout_ms = timeout_ms
        self._places: list[TopicPartition] = []
        self._groups: list[str] = []
        self._number = 0

    @property
    def is_open(self) -> bool:
        """True while a transaction is under way."""
        return bool(self._places or self._groups)

    def send(self, place: TopicPartition, records: Sequence[Record], *, codec: str = "none") -> int:
        """Append the records to the open transaction, or to a new one."""
        self._begin()
        offset = self._send(place, records, codec=codec, attributes=TRANSACTIONAL_BIT)
        if place not in self._places:
            self._places.append(place)
        return offset

    def send_positions(self, group_id: str, positions: Sequence[CommittedOffset]) -> None:
        """Commit positions of a group with the transaction: until it ends they are unstable."""
        self._begin()
        self._groups.append(group_id)
        self._kafka.groups.begin_commit(group_id, positions)

    def commit(self) -> None:
        """End the transaction: a marker in every partition it wrote to."""
        self._end(is_committed=True)

    def abort(self) -> None:
        """End it without effect; its records stay in the log."""
        self._end(is_committed=False)

    def _begin(self) -> None:
        if not self.is_open:
            self._number += 1
            number = self._number
            self._kafka.clock.after(self._timeout_ms, lambda: self._time_out(number))

    def _time_out(self, number: int) -> None:
        if self.is_open and number == self._number:
            self._identity = self._identity._replace(epoch=self._identity.epoch + 1)
            self._sequences.clear()
            self.abort()

    def _end(self, *, is_committed: bool) -> None:
        for place in self._places:
            self._kafka.append_marker(place, self._marker(is_committed=is_committed))
        for group_id in self._groups:
            self._kafka.groups.end_commit(group_id, is_committed=is_committed)
        self._places, self._groups = [], []

    def _marker(self, *, is_committed: bool) -> bytes:
        """The control batch that ends a transaction. Source: Kafka's EndTransactionMarker.java."""
        key = struct.pack(">hh", 0, 1 if is_committed else 0)
        value = struct.pack(">hi", 0, 0)
        return make_batch(
            [Record(0, self._kafka.clock.now_ms(), key, value)],
            base_offset=0,
            attributes=TRANSACTIONAL_BIT | CONTROL_BIT,
            producer_id=self._identity.producer_id,
            producer_epoch=self._identity.epoch,
        )
