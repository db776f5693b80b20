"""Records: every shape both ways, real offsets and times, counts of cut batches, refusals."""

from __future__ import annotations

import pytest

from tasks.batches.header import CODECS, HEADER_BYTES, assemble, check_crc, read_header
from tasks.batches.records import Record, count_in_range, decode_records, encode_batch
from tasks.batches.rewrite import rebuild
from tasks.batches.varint import write_varint
from tasks.model.errors import UnsupportedBatchError
from tests.support.batch_factory import DELETE_HORIZON, LOG_APPEND_TIME, make_batch, make_marker, make_records

LONG_MAX = (1 << 63) - 1
LONG_MIN = -(1 << 63)

SHAPES = [
    Record(0, 1_700_000_000_000, None, None),
    Record(1, 1_700_000_000_000, b"", b""),
    Record(2, 0, b"k", None, ()),
    Record(3, -1, None, b"v", ((b"same", b"1"), (b"other", None), (b"same", b""), (b"", b"2"))),
    Record(4, LONG_MAX, b"\x00" * 70, b"v" * 20_000, ((b"\xff\xfe not utf-8", b"\x80"),)),
    Record(5, 1_700_000_000_000 + 40 * 86_400_000, b"later", b"than 24.8 days"),
    Record(6, LONG_MIN, b"earliest", b"of all"),
]


@pytest.mark.parametrize("codec", CODECS)
def test_every_shape_of_record_survives_a_round_trip(codec: str) -> None:
    batch = encode_batch(SHAPES, codec=codec)
    header = read_header(batch, 0)

    assert decode_records(batch) == SHAPES
    assert codec == header.codec
    assert check_crc(batch, 0, header)
    assert header.is_dense
    assert (SHAPES[0].timestamp, LONG_MAX) == (header.base_timestamp, header.max_timestamp)
    assert (
        header.leader_epoch,
        header.producer_id,
        header.producer_epoch,
        header.base_sequence,
    ) == (-1, -1, -1, -1)


def test_deltas_that_overflow_are_written_as_java_writes_them() -> None:
    records = [Record(0, -1, None, None), Record(1, LONG_MAX, None, None)]
    batch = encode_batch(records, codec="none")
    assert write_varint(LONG_MIN) in batch
    assert records == decode_records(batch)


def test_encoding_numbers_the_records_densely_from_the_base_offset() -> None:
    scattered = [Record(offset, 5, None, b"%d" % offset) for offset in (9, 3, 700)]
    decoded = decode_records(encode_batch(scattered, codec="none", base_offset=50))
    assert [(record.offset, record.value) for record in decoded] == [(50, b"9"), (51, b"3"), (52, b"700")]


def test_holes_keep_their_offsets() -> None:
    records = [Record(offset, offset * 1000, b"k", b"v") for offset in (102, 105, 230)]
    assert records == decode_records(make_batch(records, base_offset=100, last_offset=400))


def test_an_emptied_batch_has_no_records() -> None:
    assert decode_records(make_batch([], base_offset=7, last_offset=9)) == []


def test_log_append_time_is_the_time_of_every_record() -> None:
    batch = make_batch(make_records(3), base_offset=0, attributes=LOG_APPEND_TIME, max_timestamp=9_999)
    assert [record.timestamp for record in decode_records(batch)] == [9_999] * 3


def test_a_delete_horizon_does_not_move_the_records_times() -> None:
    records = make_records(3, timestamp=1_000)
    batch = make_batch(records, base_offset=0, attributes=DELETE_HORIZON, base_timestamp=5_000_000)
    assert records == decode_records(batch)


def test_a_marker_is_a_record_as_well() -> None:
    [record] = decode_records(make_marker(31, 5, commit=True))
    assert (record.offset, record.key) == (31, b"\x00\x00\x00\x01")


@pytest.mark.parametrize("offsets", [range(10, 20), (10, 11, 15, 19), (12, 17), ()])
def test_counting_a_part_is_the_same_as_decoding_it(offsets: tuple[int, ...]) -> None:
    records = [Record(offset, 0, None, b"v") for offset in offsets]
    batch = make_batch(records, base_offset=10, last_offset=19, codec="gzip")
    for first in range(8, 22):
        for end in range(first, 22):
            expected = sum(first <= offset < end for offset in offsets)
            assert expected == count_in_range(batch, first, end)


def _with_payload(payload: bytes, count: int) -> bytes:
    header = read_header(make_batch([Record(12, 0, None, None)], base_offset=12), 0)
    return assemble(header._replace(record_count=count), payload)


RECORD = make_batch([Record(12, 0, b"key", b"value", ((b"h", b"x"),))], base_offset=12)[HEADER_BYTES:]


@pytest.mark.parametrize(
    ("payload", "count"),
    [
        (RECORD, 2),
        (RECORD, 0),
        (RECORD + b"\x00", 1),
        (RECORD[:-1], 1),
        (b"", 1),
        (b"\x00" * 8, 1),
        (b"\x01" * 8, 1),
        (b"\x80" * 30, 1),
        (b"\x02\x00", 1),
        (b"\x0c\x00\x00\x00\x0a\x01\x00", 1),
        (b"\x0c\x00\x00\x00\x01\x01\x01", 1),
        (b"\x10\x00\x00\x00\x01\x01\x02\x01\x01", 1),
        (b"\x0e\x00\x00\x00\x01\x01\x00\x00", 1),
    ],
)
def test_bytes_that_are_not_the_stated_records_are_refused(payload: bytes, count: int) -> None:
    with pytest.raises(UnsupportedBatchError, match="batch at offset 12 cannot be read"):
        decode_records(_with_payload(payload, count))


def test_a_record_that_overlaps_the_next_is_not_rebuilt() -> None:
    batch = _with_payload(b"\x02\x00\x06\x00\x00\x00", 2)
    with pytest.raises(UnsupportedBatchError, match="shorter than its own fields"):
        rebuild(batch, first=0, next=100)


def test_a_cut_batch_is_refused() -> None:
    batch = make_batch(make_records(2), base_offset=0)
    for size in (0, 60, 61, len(batch) - 1):
        with pytest.raises(UnsupportedBatchError, match=f"it has only {size} bytes"):
            decode_records(batch[:size])
