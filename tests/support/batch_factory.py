"""Hostile record batches: holes, emptied ones, transactions and their markers, delete horizons, LogAppendTime."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from tasks.batches.compression import compress
from tasks.batches.header import (
    CONTROL_BIT,
    DELETE_HORIZON_BIT,
    LOG_APPEND_TIME_BIT,
    TRANSACTIONAL_BIT,
    BatchHeader,
    assemble,
)
from tasks.batches.record_slices import codec_number, record_parts
from tasks.batches.records import Record, write_body

TRANSACTIONAL = TRANSACTIONAL_BIT
LOG_APPEND_TIME = LOG_APPEND_TIME_BIT
DELETE_HORIZON = DELETE_HORIZON_BIT


def make_records(
    count: int, *, first: int = 0, size_bytes: int = 10, timestamp: int = 1_700_000_000_000
) -> list[Record]:
    """Records at neighbouring offsets, one millisecond apart, each with a key of its own."""
    return [
        Record(first + i, timestamp + i, f"key-{first + i}".encode(), b"v" * size_bytes, ((b"n", b"%d" % i),))
        for i in range(count)
    ]


def make_batch(
    records: Sequence[Record],
    *,
    base_offset: int,
    last_offset: int | None = None,
    codec: str = "none",
    attributes: int = 0,
    producer_id: int = -1,
    producer_epoch: int = -1,
    base_sequence: int = -1,
    leader_epoch: int = 0,
    base_timestamp: int | None = None,
    max_timestamp: int | None = None,
) -> bytes:
    """A batch that keeps the offsets of `records`, as a compacted log does; none of them makes an emptied batch.

    `last_offset` beyond the last record is a hole at the end; `base_timestamp` is the delete horizon of a batch that
    has one; `max_timestamp` is the append time of a LogAppendTime batch.
    """
    base_time = base_timestamp if base_timestamp is not None else records[0].timestamp if records else -1
    parts: list[bytes] = []
    for record in records:
        body = write_body(record.key, record.value, record.headers)
        parts += record_parts(record.timestamp - base_time, record.offset - base_offset, body)
    last = last_offset if last_offset is not None else records[-1].offset if records else base_offset
    header = BatchHeader(
        base_offset=base_offset,
        batch_length=0,
        leader_epoch=leader_epoch,
        magic=2,
        crc=0,
        attributes=attributes | codec_number(codec),
        last_offset_delta=last - base_offset,
        base_timestamp=base_time,
        max_timestamp=max_timestamp if max_timestamp is not None else max((r.timestamp for r in records), default=-1),
        producer_id=producer_id,
        producer_epoch=producer_epoch,
        base_sequence=base_sequence,
        record_count=len(records),
    )
    return assemble(header, compress(codec, b"".join(parts)))


def make_marker(base_offset: int, producer_id: int, *, commit: bool, timestamp: int = 1_700_000_000_000) -> bytes:
    """The control batch that ends a transaction of the producer."""
    key = struct.pack(">hh", 0, 1 if commit else 0)
    value = struct.pack(">hi", 0, 0)
    return make_batch(
        [Record(base_offset, timestamp, key, value)],
        base_offset=base_offset,
        attributes=TRANSACTIONAL_BIT | CONTROL_BIT,
        producer_id=producer_id,
        producer_epoch=0,
    )
