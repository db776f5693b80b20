"""Short forms of the port calls that tests of the Kafka contract make."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from tasks.batches.header import BatchHeader, check_crc, iter_headers
from tasks.batches.records import Record, decode_records
from tasks.broker.admin_values import NewTopicSpec
from tasks.broker.log_values import Fetched, Which
from tasks.broker.ports import ClusterAdmin, LogReader, LogWriter
from tasks.model.partition import Partition
from tests.contract.kafkas import HOUR_MS, KafkaBed
from tests.support.producing import OutRecord

FETCH_BYTES = 4 << 20


@contextmanager
def admin_of(bed: KafkaBed) -> Iterator[ClusterAdmin]:
    """An administrative client that nothing stops."""
    with bed.access.admin(threading.Event()) as admin:
        yield admin


@contextmanager
def reader_of(bed: KafkaBed) -> Iterator[LogReader]:
    """A reader that nothing stops."""
    with bed.access.reader(threading.Event()) as reader:
        yield reader


@contextmanager
def writer_of(bed: KafkaBed) -> Iterator[LogWriter]:
    """A writer that nothing stops."""
    with bed.access.writer(threading.Event()) as writer:
        yield writer


def create(bed: KafkaBed, name: str, partitions: int = 1, configs: Mapping[str, str] | None = None) -> list[Partition]:
    """Create a topic; returns its partitions."""
    spec = NewTopicSpec(name=name, partitions=partitions, replication_factor=1, configs=dict(configs or {}))
    with admin_of(bed) as admin:
        assert {name: None} == admin.create_topics([spec])
        return partitions_of(admin, name)


def partitions_of(admin: ClusterAdmin, name: str) -> list[Partition]:
    """The partitions of a topic's present incarnation."""
    [topic] = admin.describe_topics([name])
    return [Partition(name, topic.topic_id, part.partition) for part in topic.partitions]


def create_again(bed: KafkaBed, name: str, configs: Mapping[str, str] | None = None) -> list[Partition]:
    """Delete the topic and create it under the same name."""
    with admin_of(bed) as admin:
        assert {name: None} == admin.delete_topics([name])
    return create(bed, name, configs=configs)


class Offsets(NamedTuple):
    """The log start, the last stable offset and the high watermark of a partition."""

    earliest: int
    last_stable: int
    latest: int


def offsets(bed: KafkaBed, partition: Partition) -> Offsets:
    """The partition's offsets now."""
    with reader_of(bed) as reader:
        names: tuple[Which, Which, Which] = ("earliest", "last_stable", "latest")
        return Offsets(*(reader.list_offsets([partition], which).offsets[partition] for which in names))


def fetch(
    bed: KafkaBed,
    partition: Partition,
    position: int,
    *,
    last_epoch: int | None = None,
    max_bytes: int = FETCH_BYTES,
) -> Fetched:
    """One answer."""
    with reader_of(bed) as reader:
        fetcher = reader.fetcher(max_bytes=max_bytes)
        fetcher.send(partition, position, last_epoch)
        return fetcher.receive()


class Batch(NamedTuple):
    """One whole batch of an answer."""

    header: BatchHeader
    data: bytes

    @property
    def records(self) -> list[Record]:
        """Its records."""
        return decode_records(self.data)


def batches(records: bytes) -> list[Batch]:
    """The whole batches of an answer, whose checksums fit."""
    found = [Batch(header, records[at : at + header.size_bytes]) for at, header in iter_headers(records)]
    assert all(check_crc(batch.data, 0, batch.header) for batch in found)
    return found


def read_to(
    bed: KafkaBed, partition: Partition, end: int, *, position: int = 0, max_bytes: int = FETCH_BYTES
) -> tuple[list[Batch], list[Fetched]]:
    """All batches from `position` to `end`, and the answers they came in."""
    found, answers = list[Batch](), list[Fetched]()
    with reader_of(bed) as reader:
        fetcher = reader.fetcher(max_bytes=max_bytes)
        while position < end:
            fetcher.send(partition, position, None)
            answers.append(fetcher.receive())
            for batch in batches(answers[-1].records):
                found.append(batch)
                position = batch.header.next_offset
    return found, answers


def close_segment(bed: KafkaBed, partition: Partition) -> int:
    """A record with the key `roll`, much newer than all before, begins a new segment; returns its offset."""
    end = offsets(bed, partition).latest
    newer = OutRecord(b"roll", b"", timestamp=bed.now_ms() + 2 * HOUR_MS * (end + 1))
    bed.produce(partition.topic, [newer], partition=partition.partition)
    return end


def numbered(count: int, *, first: int = 0, value_bytes: int = 10) -> Sequence[OutRecord]:
    """Records whose keys are their numbers, at the broker's time."""
    return [OutRecord(b"%d" % number, b"v" * value_bytes) for number in range(first, first + count)]
