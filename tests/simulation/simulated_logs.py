"""Short forms of the calls that tests of the simulation make."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from tasks.batches.aborted import AbortTracker
from tasks.batches.header import iter_headers, stamp
from tasks.batches.records import Record, decode_records
from tasks.broker.log_values import Fetched, OutgoingBatch, ProducerIdentity
from tasks.broker.ports import LogReader
from tasks.model.partition import Partition
from tests.simulation.kafka import SimulatedKafka
from tests.support.batch_factory import make_batch, make_records

FETCH_BYTES = 4 << 20


def fetch(kafka: SimulatedKafka, partition: Partition, position: int, *, last_epoch: int | None = None) -> Fetched:
    """One answer."""
    with kafka.access().reader(threading.Event()) as reader:
        fetcher = reader.fetcher(max_bytes=FETCH_BYTES)
        fetcher.send(partition, position, last_epoch)
        return fetcher.receive()


def committed_records(reader: LogReader, partition: Partition, *, max_bytes: int = FETCH_BYTES) -> list[Record]:
    """The records that a consumer of committed data gets, by the lists of aborted transactions in the answers."""
    position = reader.list_offsets([partition], "earliest").offsets[partition]
    end = reader.list_offsets([partition], "last_stable").offsets[partition]
    fetcher, found, empty = reader.fetcher(max_bytes=max_bytes), list[Record](), 0
    while position < end and empty < 3:
        fetcher.send(partition, position, None)
        fetched = fetcher.receive()
        empty = 0 if fetched.records else empty + 1
        found += [record for record in _restorable(fetched) if position <= record.offset < end]
        for _, header in iter_headers(fetched.records):
            position = max(position, header.next_offset)
    return found


def _restorable(fetched: Fetched) -> Iterator[Record]:
    tracker = AbortTracker()
    tracker.start_response(fetched.aborted)
    for at, header in iter_headers(fetched.records):
        if not tracker.judge(header, fetched.records, at) and not header.is_control:
            yield from decode_records(fetched.records[at : at + header.size_bytes])


def outgoing(identity: ProducerIdentity, number: int, *, timestamp: int, base: int = 0) -> OutgoingBatch:
    """The batch with this number of a plan whose batches have three records each."""
    first = 3 * number
    data = stamp(
        make_batch(make_records(3, first=first, timestamp=timestamp), base_offset=first),
        producer_id=identity.producer_id,
        producer_epoch=identity.epoch,
        base_sequence=first,
    )
    return OutgoingBatch(data, 3, base + first)


def keys(kafka: SimulatedKafka, partition: Partition) -> list[bytes | None]:
    """The keys of what the partition holds, in order."""
    return [record.key for record in kafka.log((partition.topic, partition.partition)).visible_records()]


def planned_keys(batches: int) -> list[bytes]:
    """The keys of so many batches of a plan."""
    return [b"key-%d" % number for number in range(3 * batches)]
