"""Records as slices of a batch: offset and time as numbers, the rest as the bytes they were written in.

A rewrite moves records without looking into them, so it cannot change what it does not understand.

    length          varint   bytes that follow
    attributes      int8     unused, 0
    timestamp delta varlong  to the batch's base timestamp, in ms
    offset delta    varint   to the batch's base offset
    body                     key, value and headers (tasks/batches/records.py)

Source: Kafka's DefaultRecord.java.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from tasks.batches.compression import compress, decompress
from tasks.batches.header import CODECS, HEADER_BYTES, MAGIC, BatchHeader, assemble, read_header
from tasks.batches.varint import read_varint, write_varint
from tasks.model.errors import UnsupportedBatchError

LONGEST_FRAMING_BYTES: Final = 21
"""What length, attributes and deltas of a record take at most: 5 + 1 + 10 + 5."""

_INT64 = 1 << 64
_INT64_MAX = (1 << 63) - 1
_INT64_MIN = -(1 << 63)


class RecordSlice(NamedTuple):
    """One record. `timestamp` is its real time in Unix milliseconds; `body` is key, value and headers as stored."""

    offset: int
    timestamp: int
    body: bytes


def read_slices(batch: bytes) -> list[RecordSlice]:
    """The records of one whole batch, with real offsets and real times.

    In a LogAppendTime batch every record has the batch's maximum timestamp. With a delete horizon base + delta is right
    as it stands. Raises `UnsupportedBatchError` when the batch is cut or its bytes are not that many records.
    """
    if len(batch) < HEADER_BYTES or len(batch) < (header := read_header(batch, 0)).size_bytes:
        raise UnsupportedBatchError(f"A record batch is cut after {len(batch)} bytes.")
    payload = decompress(header.codec, batch[HEADER_BYTES : header.size_bytes])
    try:
        slices = _parse(header, payload)
    except (IndexError, ValueError) as error:
        raise unreadable(header, error) from None
    if header.is_log_append_time:
        return [piece._replace(timestamp=header.max_timestamp) for piece in slices]
    return slices


def build_batch(slices: Sequence[RecordSlice], *, codec: str, base_offset: int = 0) -> bytes:
    """A batch of the records in the given order, at dense offsets from `base_offset` on. At least one record.

    CreateTime, no producer id, leader epoch -1: `rewrite.stamp` gives it a producer's.
    """
    base_timestamp = slices[0].timestamp
    parts: list[bytes] = []
    for delta, (_, timestamp, body) in enumerate(slices):
        parts += record_parts(_wrapped(timestamp - base_timestamp), delta, body)
    header = BatchHeader(
        base_offset=base_offset,
        batch_length=0,
        leader_epoch=-1,
        magic=MAGIC,
        crc=0,
        attributes=codec_number(codec),
        last_offset_delta=len(slices) - 1,
        base_timestamp=base_timestamp,
        max_timestamp=max(timestamp for _, timestamp, _ in slices),
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=-1,
        record_count=len(slices),
    )
    return assemble(header, compress(codec, b"".join(parts)))


def record_parts(timestamp_delta: int, offset_delta: int, body: bytes) -> tuple[bytes, ...]:
    """The bytes of one record, in parts to join. `timestamp_delta` is in ms; `body` is key, value and headers."""
    times, offsets = write_varint(timestamp_delta), write_varint(offset_delta)
    return write_varint(1 + len(times) + len(offsets) + len(body)), b"\x00", times, offsets, body


def codec_number(codec: str) -> int:
    """The codec's number in the attributes. Raises `UnsupportedBatchError` for an unknown name."""
    if codec not in CODECS:
        raise UnsupportedBatchError(f"The codec {codec!r} is unknown.")
    return CODECS.index(codec)


def unreadable(header: BatchHeader, error: Exception) -> UnsupportedBatchError:
    """The error for record bytes that are not what their header says."""
    return UnsupportedBatchError(f"The records of the batch at offset {header.base_offset} cannot be read: {error}")


def _parse(header: BatchHeader, payload: bytes) -> list[RecordSlice]:
    """The records in a batch's record bytes, which they must fill exactly, with base + delta as their times."""
    slices, position = [], 0
    base_offset, base_timestamp = header.base_offset, header.base_timestamp
    for _ in range(header.record_count):
        length, start = read_varint(payload, position)
        position = start + length
        timestamp_delta, at = read_varint(payload, start + 1)
        offset_delta, at = read_varint(payload, at)
        if at > position:
            raise ValueError("a record is shorter than its own fields")
        timestamp = _wrapped(base_timestamp + timestamp_delta)
        slices.append(RecordSlice(base_offset + offset_delta, timestamp, payload[at:position]))
    if position != len(payload):
        raise ValueError(f"{header.record_count} records end at byte {position} of {len(payload)}")
    return slices


def _wrapped(number: int) -> int:
    """A sum or difference of int64 as Java computes it: the deltas of extreme timestamps overflow, there and back."""
    if _INT64_MIN <= number <= _INT64_MAX:
        return number
    return (number - _INT64_MIN) % _INT64 + _INT64_MIN
