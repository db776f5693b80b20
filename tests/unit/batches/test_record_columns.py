"""Batches as columns: the same records as `decode_records` returns, for batches of every kind."""

from __future__ import annotations

import random

import pytest

from tasks.batches.header import LOG_APPEND_TIME_BIT, read_header
from tasks.batches.record_columns import columns_of_batch
from tasks.batches.records import Record, decode_records
from tasks.model.errors import UnsupportedBatchError
from tests.support.batch_factory import make_batch


def _records(seed: int, *, with_headers: bool) -> list[Record]:
    source = random.Random(seed)

    def content() -> bytes | None:
        size = source.choice((-1, 0, 1, 63, 64, 200, 9_000))
        return None if size < 0 else source.randbytes(size)

    offset, records = 0, []
    for _ in range(source.randrange(1, 40)):
        headers = ((b"h", content()),) if with_headers and source.random() < 0.5 else ()
        timestamp = source.choice((0, 1, 5_000, 1_700_000_000_000, 1_600_000_000_000))
        records.append(Record(offset, timestamp, content(), content(), headers))
        offset += source.choice((1, 1, 1, 2, 70, 20_000))
    return records


@pytest.mark.parametrize("attributes", [0, LOG_APPEND_TIME_BIT])
@pytest.mark.parametrize("with_headers", [False, True])
@pytest.mark.parametrize("seed", range(20))
def test_the_columns_of_a_batch_are_the_records_that_decoding_returns(
    seed: int, with_headers: bool, attributes: int
) -> None:
    codec = ("none", "gzip", "snappy", "lz4", "zstd")[seed % 5]
    batch = make_batch(_records(seed, with_headers=with_headers), base_offset=1_000, codec=codec, attributes=attributes)
    found = columns_of_batch(batch, read_header(batch, 0))
    assert decode_records(batch) == [Record(*fields) for fields in zip(*found, strict=True)]


def test_the_deltas_of_extreme_timestamps_are_read_as_java_reads_them() -> None:
    times = [(1 << 63) - 1, -(1 << 63), 0]
    batch = make_batch([Record(at, time, b"k", b"v") for at, time in enumerate(times)], base_offset=0)
    assert times == list(columns_of_batch(batch, read_header(batch, 0)).timestamps)


@pytest.mark.parametrize("at", range(61, 88))
def test_a_damaged_batch_is_never_read_as_other_columns_than_decoding_returns(at: int) -> None:
    batch = bytearray(make_batch([Record(0, 5, b"key", b"value"), Record(1, 6, None, b"value")], base_offset=0))
    batch[at] ^= 0x43
    header = read_header(bytes(batch), 0)
    try:
        expected = decode_records(bytes(batch))
    except UnsupportedBatchError:
        with pytest.raises(UnsupportedBatchError):
            columns_of_batch(bytes(batch), header)
    else:
        found = columns_of_batch(bytes(batch), header)
        assert expected == [Record(*fields) for fields in zip(*found, strict=True)]
