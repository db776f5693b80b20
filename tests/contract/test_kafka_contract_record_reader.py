"""The promises of `RecordReader`."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tasks.batches.records import Record
from tasks.broker.ports import RecordReader
from tasks.model.errors import (
    AccessError,
    InterruptedRunError,
    OffsetOutOfRangeError,
    TopicGoneError,
)
from tasks.model.partition import Partition
from tests.contract.kafka_logs import admin_of, create, create_again, numbered
from tests.contract.kafkas import ANY_TIME, GuardedKafkaBed, KafkaBed
from tests.support.producing import CODECS, OutRecord, Transaction


@contextmanager
def _record_reader_of(bed: KafkaBed) -> Iterator[RecordReader]:
    with bed.access.record_reader(threading.Event()) as reader:
        yield reader


def _read(bed: KafkaBed, partition: Partition, first: int, end: int) -> list[Record]:
    with _record_reader_of(bed) as reader:
        parts = list(reader.read(partition, first, end))
    assert all(part.offsets for part in parts)
    return [Record(*fields) for part in parts for fields in zip(*part, strict=True)]


def test_keys_values_headers_and_timestamps_are_those_of_the_producer(bed: KafkaBed, topic_name: str) -> None:
    [partition] = create(bed, topic_name, configs=ANY_TIME)
    headers = [("a", None), ("b", b""), ("a", b"1"), ("ä", b"\xff")]
    bed.produce(
        topic_name,
        [
            OutRecord(b"", None, (), 5),
            OutRecord(None, b"", (), 4),
            OutRecord(b"k", b"v", headers, 9_000),
            OutRecord(None, None, headers[::-1], 1),
        ],
    )

    encoded = tuple((name.encode(), value) for name, value in headers)
    assert [
        Record(0, 5, b"", None),
        Record(1, 4, None, b""),
        Record(2, 9_000, b"k", b"v", encoded),
        Record(3, 1, None, None, encoded[::-1]),
    ] == _read(bed, partition, 0, 4)


@pytest.mark.parametrize("codec", CODECS)
def test_a_range_inside_of_compressed_batches_is_read_exactly(bed: KafkaBed, topic_name: str, codec: str) -> None:
    [partition] = create(bed, topic_name)
    bed.produce(topic_name, numbered(50), records_per_batch=20, codec=codec)

    found = _read(bed, partition, 13, 47)

    assert [(at, b"%d" % at) for at in range(13, 47)] == [(one.offset, one.key) for one in found]


def test_aborted_and_open_transactions_and_markers_are_not_read(bed: KafkaBed, topic_name: str) -> None:
    [partition] = create(bed, topic_name)
    bed.run_transactions(topic_name, [Transaction(numbered(2, first=at), at % 20 == 0) for at in range(0, 50, 10)])
    bed.produce(topic_name, numbered(1, first=90))
    with bed.open_transaction(topic_name, numbered(2, first=70)), _record_reader_of(bed) as reader:
        bounds = reader.bounds(partition)
        keys = [key for part in reader.read(partition, *bounds) for key in part.keys]

    assert (0, 16) == bounds
    assert [b"0", b"1", b"20", b"21", b"40", b"41", b"90"] == keys


def test_a_read_ends_at_a_marker_that_is_the_last_offset(bed: KafkaBed, topic_name: str) -> None:
    [partition] = create(bed, topic_name)
    bed.run_transactions(topic_name, [Transaction(numbered(2)), Transaction(numbered(3, first=2), False)])
    assert [0, 1] == [one.offset for one in _read(bed, partition, 0, 7)]


def test_a_read_beyond_the_end_ends_at_the_end(bed: KafkaBed, topic_name: str) -> None:
    [partition] = create(bed, topic_name)
    bed.produce(topic_name, numbered(3))
    assert [0, 1, 2] == [one.offset for one in _read(bed, partition, 0, 100)]
    assert [] == _read(bed, partition, 3, 100)


def test_an_empty_range_is_read_without_records(bed: KafkaBed, topic_name: str) -> None:
    [partition] = create(bed, topic_name)
    assert [] == _read(bed, partition, 0, 0)


def test_one_reader_reads_many_ranges_and_also_one_that_was_given_up(bed: KafkaBed, topic_name: str) -> None:
    one, other = create(bed, topic_name, 2)
    for partition in (one, other):
        bed.produce(topic_name, numbered(30, first=partition.partition * 100), partition=partition.partition)
    with _record_reader_of(bed) as reader:
        next(reader.read(one, 0, 30))
        for partition, first, end in ((other, 5, 9), (one, 20, 30), (one, 2, 3)):
            keys = [key for part in reader.read(partition, first, end) for key in part.keys]
            assert [b"%d" % (partition.partition * 100 + at) for at in range(first, end)] == keys


def test_an_offset_that_the_log_does_not_have_is_an_error(bed: KafkaBed, topic_name: str) -> None:
    [partition] = create(bed, topic_name)
    bed.produce(topic_name, numbered(5))
    with admin_of(bed) as admin:
        admin.delete_records({(topic_name, 0): 2})
    with _record_reader_of(bed) as reader:
        assert (2, 5) == reader.bounds(partition)
        for first in (1, 6):
            with pytest.raises(OffsetOutOfRangeError):
                list(reader.read(partition, first, 9))


def test_a_topic_that_was_created_again_or_deleted_is_gone(bed: KafkaBed, topic_name: str) -> None:
    [old] = create(bed, topic_name)
    create_again(bed, topic_name)
    bed.produce(topic_name, numbered(3))
    unknown = Partition(f"{topic_name}-none", old.topic_id, 0)
    with _record_reader_of(bed) as reader:
        for partition in (old, unknown):
            with pytest.raises(TopicGoneError, match=partition.topic):
                reader.bounds(partition)
            with pytest.raises(TopicGoneError, match=partition.topic):
                list(reader.read(partition, 0, 3))


def test_reading_creates_no_group(bed: KafkaBed, topic_name: str) -> None:
    [partition] = create(bed, topic_name)
    bed.produce(topic_name, numbered(3))
    _read(bed, partition, 0, 3)
    with admin_of(bed) as admin:
        assert not [one for one in admin.list_groups() if "second" in one.group_id]


def test_a_read_ends_when_it_is_stopped(bed: KafkaBed, topic_name: str) -> None:
    [partition] = create(bed, topic_name)
    bed.produce(topic_name, numbered(9))
    stop = threading.Event()
    with bed.access.record_reader(stop) as reader:
        stop.set()
        with pytest.raises(InterruptedRunError):
            list(reader.read(partition, 0, 9))


def test_a_missing_permission_is_named_and_none_on_groups_is_needed(
    guarded_bed: GuardedKafkaBed, topic_name: str
) -> None:
    [partition] = create(guarded_bed, topic_name)
    guarded_bed.produce(topic_name, numbered(3))
    with guarded_bed.deny("Group", "kafka-backup-second-reader", "All"):
        assert 3 == len(_read(guarded_bed, partition, 0, 3))
    with guarded_bed.deny("Topic", topic_name, "Read"), pytest.raises(AccessError, match=f"Read on Topic {topic_name}"):
        _read(guarded_bed, partition, 0, 3)
