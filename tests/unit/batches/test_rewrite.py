"""Rewrites: what is stamped, what must be rebuilt, and that records stay what they were."""

from __future__ import annotations

import pytest

from tasks.batches.header import CODECS, HEADER_BYTES, check_crc, read_header, stamp
from tasks.batches.records import Record, decode_records
from tasks.batches.rewrite import needs_rebuild, next_sequence, rebuild
from tests.support.batch_factory import DELETE_HORIZON, LOG_APPEND_TIME, TRANSACTIONAL, make_batch, make_records

UNKNOWN_BIT = 0x100


@pytest.mark.parametrize("codec", CODECS)
def test_a_stamp_changes_the_producer_and_nothing_a_consumer_sees(codec: str) -> None:
    records = make_records(5, first=1_000, size_bytes=40_000)
    batch = make_batch(
        records,
        base_offset=1_000,
        codec=codec,
        attributes=TRANSACTIONAL | UNKNOWN_BIT,
        producer_id=3,
        producer_epoch=2,
        base_sequence=1,
        leader_epoch=77,
    )
    stamped = stamp(batch, producer_id=900, producer_epoch=4, base_sequence=0x7FFFFFFF)
    header = read_header(stamped, 0)

    assert batch[HEADER_BYTES:] == stamped[HEADER_BYTES:]
    assert [record._replace(offset=i) for i, record in enumerate(records)] == decode_records(stamped)
    assert (0, -1, CODECS.index(codec), 900, 4, 0x7FFFFFFF) == (
        header.base_offset,
        header.leader_epoch,
        header.attributes,
        header.producer_id,
        header.producer_epoch,
        header.base_sequence,
    )
    assert check_crc(stamped, 0, header)


def test_a_stamped_batch_with_a_delete_horizon_keeps_the_records_times() -> None:
    records = make_records(3, timestamp=1_000)
    batch = make_batch(records, base_offset=0, attributes=DELETE_HORIZON, base_timestamp=5_000_000)
    assert not needs_rebuild(read_header(batch, 0))
    stamped = stamp(batch, producer_id=1, producer_epoch=0, base_sequence=0)
    assert records == decode_records(stamped)
    assert not read_header(stamped, 0).has_delete_horizon


def test_holes_and_append_times_need_a_rebuild() -> None:
    records = [Record(offset, 0, None, b"v") for offset in (0, 2)]
    for hostile in (
        make_batch(records, base_offset=0),
        make_batch(make_records(2), base_offset=0, last_offset=3),
        make_batch([], base_offset=0, last_offset=2),
        make_batch(make_records(2), base_offset=0, attributes=LOG_APPEND_TIME),
    ):
        assert needs_rebuild(read_header(hostile, 0))
    assert not needs_rebuild(read_header(make_batch(make_records(2), base_offset=0), 0))


@pytest.mark.parametrize("codec", CODECS)
def test_a_rebuilt_batch_is_dense_and_keeps_codec_times_and_bytes(codec: str) -> None:
    records = [
        Record(10, 5_000, None, None, ((b"\xff", None),)),
        Record(14, -1, b"", b"v" * 50_000),
        Record(19, 40 * 86_400_000, b"k", b""),
    ]
    batch = make_batch(records, base_offset=8, last_offset=30, codec=codec, attributes=DELETE_HORIZON | TRANSACTIONAL)
    rebuilt = rebuild(batch, first=0, next=100)
    assert rebuilt is not None
    header = read_header(rebuilt, 0)

    assert [record._replace(offset=i) for i, record in enumerate(records)] == decode_records(rebuilt)
    assert not needs_rebuild(header)
    assert CODECS.index(codec) == header.attributes
    assert (header.base_offset, header.base_timestamp, header.max_timestamp) == (0, 5_000, 40 * 86_400_000)
    assert check_crc(rebuilt, 0, header)


def test_a_rebuild_keeps_only_the_records_inside_the_range() -> None:
    records = [Record(offset, offset, b"k", b"v") for offset in (10, 12, 13, 19)]
    batch = make_batch(records, base_offset=10, last_offset=20)
    rebuilt = rebuild(batch, first=12, next=19)
    assert rebuilt is not None
    assert [Record(0, 12, b"k", b"v"), Record(1, 13, b"k", b"v")] == decode_records(rebuilt)
    assert rebuild(batch, first=14, next=19) is None
    assert rebuild(make_batch([], base_offset=0, last_offset=2), first=0, next=3) is None


def test_append_time_becomes_the_create_time_of_every_record() -> None:
    batch = make_batch(make_records(3), base_offset=0, attributes=LOG_APPEND_TIME, max_timestamp=1_795_372_126_993)
    rebuilt = rebuild(batch, first=0, next=3)
    assert rebuilt is not None
    header = read_header(rebuilt, 0)
    assert (
        header.is_log_append_time,
        header.base_timestamp,
        header.max_timestamp,
    ) == (False, 1_795_372_126_993, 1_795_372_126_993)
    assert [record.timestamp for record in decode_records(rebuilt)] == [1_795_372_126_993] * 3


@pytest.mark.parametrize("codec", CODECS)
def test_a_rebuild_does_not_blow_a_batch_up(codec: str) -> None:
    records = make_records(2_000, first=1, size_bytes=500)
    batch = make_batch(records, base_offset=0, codec=codec)
    rebuilt = rebuild(batch, first=0, next=5_000)
    assert rebuilt is not None
    assert len(rebuilt) <= len(batch) * 1.02


def test_sequences_wrap_after_31_bits() -> None:
    assert next_sequence(0x7FFFFFFE, 1) == 0x7FFFFFFF
    assert next_sequence(0x7FFFFFFE, 5) == 3
