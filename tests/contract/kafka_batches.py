"""Batches that tests of the writer's contract send, and short forms to send them and to read them back."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from tasks.batches.header import HEADER_BYTES, BatchHeader, assemble, read_header, record_count, stamp
from tasks.broker.log_values import OutgoingBatch, ProducerIdentity
from tasks.model.partition import Partition
from tests.contract.kafka_logs import offsets, read_to, writer_of
from tests.contract.kafkas import KafkaBed
from tests.support.batch_factory import make_batch, make_records

LONG_AGO_MS = 1_600_000_000_000


@dataclass
class Acknowledged:
    """The batches that a writer acknowledged: their expected offsets by partition, in order."""

    offsets: dict[Partition, list[int]] = field(default_factory=dict)

    def __call__(self, partition: Partition, batch: OutgoingBatch) -> None:
        self.offsets.setdefault(partition, []).append(batch.expected_offset)


def identity_of(bed: KafkaBed) -> ProducerIdentity:
    """A new producer id."""
    with writer_of(bed) as writer:
        return writer.init_producer_id()


def outgoing(
    identity: ProducerIdentity, first: int, count: int = 3, *, at: int | None = None, **changes: int
) -> OutgoingBatch:
    """Numbered records for the offset `first`, or `at`. `changes` are header fields that no writer should send."""
    made = make_batch(make_records(count, first=first, timestamp=LONG_AGO_MS), base_offset=first)
    sent = stamped(identity, made, at=first)
    changed = assemble(read_header(sent.data, 0)._replace(**changes), sent.data[HEADER_BYTES:])
    return OutgoingBatch(changed, count, first if at is None else at)


def stamped(identity: ProducerIdentity, batch: bytes, *, at: int = 0) -> OutgoingBatch:
    """The batch as a writer sends it for this offset, which is also its sequence."""
    data = stamp(batch, producer_id=identity.producer_id, producer_epoch=identity.epoch, base_sequence=at)
    return OutgoingBatch(data, record_count(batch), at)


def produce(
    bed: KafkaBed, sources: Mapping[Partition, Iterator[OutgoingBatch]], stop: threading.Event | None = None
) -> Acknowledged:
    """Produce everything; returns the acknowledged batches."""
    acknowledged = Acknowledged()
    with bed.access.writer(stop or threading.Event()) as writer:
        writer.produce(sources, timeout_ms=5_000, on_acknowledged=acknowledged)
    return acknowledged


def send(bed: KafkaBed, partition: Partition, *batches: OutgoingBatch) -> list[int]:
    """Produce these batches; returns the acknowledged offsets."""
    return produce(bed, {partition: iter(batches)}).offsets.get(partition, [])


def stored(bed: KafkaBed, partition: Partition) -> list[BatchHeader]:
    """The headers of the batches that the partition holds."""
    return [one.header for one in read_to(bed, partition, offsets(bed, partition).latest)[0]]
