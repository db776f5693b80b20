"""Headers: what is read, where a walk ends, what is refused, what the CRC sees."""

from __future__ import annotations

import struct

import pytest
from google_crc32c import value as whole_crc32c

from tasks.batches.checksum import crc32c
from tasks.batches.header import check_crc, header_crc, iter_headers, read_header
from tasks.model.errors import UnsupportedBatchError
from tests.support.batch_factory import (
    DELETE_HORIZON,
    LOG_APPEND_TIME,
    TRANSACTIONAL,
    make_batch,
    make_marker,
    make_records,
)


def _old_message(magic: int, offset: int) -> bytes:
    """A message set entry of Kafka 0.8 to 0.10: shorter than the header of a batch."""
    body = struct.pack(">Ibb", 0, magic, 0) + (struct.pack(">q", 7) if magic else b"") + struct.pack(">ii", -1, -1)
    return struct.pack(">qi", offset, len(body)) + body


def test_every_field_is_read_from_its_place() -> None:
    batch = make_batch(
        make_records(3, first=10, timestamp=500),
        base_offset=10,
        last_offset=14,
        attributes=TRANSACTIONAL,
        producer_id=77,
        producer_epoch=5,
        base_sequence=9,
        leader_epoch=4,
        max_timestamp=900,
    )

    header = read_header(b"xyz" + batch, 3)

    assert (
        header.base_offset,
        header.last_offset,
        header.next_offset,
        header.leader_epoch,
        header.magic,
    ) == (10, 14, 15, 4, 2)
    assert (
        header.producer_id,
        header.producer_epoch,
        header.base_sequence,
        header.base_timestamp,
        header.max_timestamp,
        header.record_count,
    ) == (77, 5, 9, 500, 900, 3)
    assert len(batch) == header.size_bytes
    assert not header.is_dense


def test_attribute_bits_have_names() -> None:
    records = make_records(1)
    plain = read_header(make_batch(records, base_offset=0), 0)
    assert (
        plain.is_transactional,
        plain.is_control,
        plain.is_log_append_time,
        plain.has_delete_horizon,
    ) == (False, False, False, False)
    assert plain.is_dense
    marker = read_header(make_marker(0, 1, commit=True), 0)
    assert marker.is_control
    assert marker.is_transactional
    assert read_header(make_batch(records, base_offset=0, attributes=LOG_APPEND_TIME), 0).is_log_append_time
    assert read_header(make_batch(records, base_offset=0, attributes=DELETE_HORIZON), 0).has_delete_horizon
    for codec in ("none", "gzip", "snappy", "lz4", "zstd"):
        assert codec == read_header(make_batch(records, base_offset=0, codec=codec), 0).codec
    with pytest.raises(UnsupportedBatchError, match="offset 9 has the unknown codec 6"):
        _ = read_header(make_batch(make_records(1, first=9), base_offset=9, attributes=6), 0).codec


@pytest.mark.parametrize("cut", [1, 16, 17, 60, 61, 62])
def test_a_walk_ends_silently_before_a_cut_batch(cut: int) -> None:
    batches = [make_batch(make_records(2, first=first), base_offset=first) for first in (0, 2, 4)]
    data = b"".join(batches) + make_batch(make_records(2, first=6), base_offset=6)[:cut]

    for view in (data, memoryview(data)):
        walked = list(iter_headers(view))
        assert [header.base_offset for _, header in walked] == [0, 2, 4]
        assert batches == [data[at : at + header.size_bytes] for at, header in walked]


@pytest.mark.parametrize("magic", [0, 1])
@pytest.mark.parametrize("neighbours", [0, 5])
def test_old_message_formats_are_refused_with_place_and_offset(magic: int, neighbours: int) -> None:
    old = b"".join(_old_message(magic, 42 + i) for i in range(neighbours + 1))
    data = make_batch(make_records(42), base_offset=0) + old

    walk = iter_headers(data, where="orders-3")
    assert next(walk)[1].base_offset == 0
    with pytest.raises(UnsupportedBatchError, match=rf"^orders-3: offset 42 .*magic {magic}"):
        next(walk)


def test_bytes_that_are_no_batch_are_refused() -> None:
    batch = make_batch(make_records(1, first=8), base_offset=8)
    for length in (48, 0, -1):
        broken = batch[:8] + struct.pack(">i", length) + batch[12:]
        with pytest.raises(UnsupportedBatchError, match=f"^the bytes at offset 8 .*length {length}"):
            list(iter_headers(broken))
    with pytest.raises(UnsupportedBatchError, match="magic 3"):
        list(iter_headers(batch[:16] + b"\x03" + batch[17:]))


def test_the_crc_sees_every_byte_but_offset_length_and_epoch() -> None:
    batch = make_batch(make_records(2), base_offset=0)
    for at in range(len(batch)):
        data = b"before" + batch[:at] + bytes((batch[at] ^ 1,)) + batch[at + 1 :] + b"after"
        header = read_header(data, 6)
        is_length = 8 <= at < 12
        if not is_length:
            assert (at < 8 or 12 <= at < 17) == check_crc(data, 6, header), f"byte {at}"


def test_the_crc_of_a_large_batch_is_the_same_in_pieces() -> None:
    for size in (0, 1, (64 << 10) - 1, 64 << 10, (64 << 10) + 1, 200_001):
        data = bytes(i * 7 & 255 for i in range(size + 9))
        assert whole_crc32c(data[4 : 4 + size]) == crc32c(data, 4, 4 + size)
        assert whole_crc32c(data) == crc32c(data, 4, len(data), whole_crc32c(data[:4]))
    batch = make_batch(make_records(1, size_bytes=300_000), base_offset=0)
    assert whole_crc32c(batch[21:]) == header_crc(batch, 0, read_header(batch, 0))
