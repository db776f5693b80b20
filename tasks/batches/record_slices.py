"""Records as slices of a batch: offset and time as numbers, key, value and headers as the bytes that are stored.

A rewrite copies these bytes without decoding them, so it cannot change them.

    length          varint   number of bytes that follow
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
"""The largest total size of a record's length, attributes and deltas: 5 + 1 + 10 + 5."""

_INT64 = 1 << 64
_INT64_MAX = (1 << 63) - 1
_INT64_MIN = -(1 << 63)


class RecordSlice(NamedTuple):
    """One record. `timestamp` is its time in Unix milliseconds. `body` is key, value and headers as they are stored."""

    offset: int
    timestamp: int
    body: bytes


def read_slices(batch: bytes) -> list[RecordSlice]:
    """The records of one whole batch, with their offsets and times.

    In a LogAppendTime batch the time of every record is the batch's maximum timestamp; in all other batches it is base
    + delta. Raises `UnsupportedBatchError` if the batch is cut, cannot be decompressed, or does not contain exactly as
    many records as its header counts.
    """
    if len(batch) < HEADER_BYTES or len(batch) < (header := read_header(batch, 0)).size_bytes:
        raise UnsupportedBatchError(f"The end of a record batch is missing: it has only {len(batch)} bytes.")
    payload = decompress(header.codec, batch[HEADER_BYTES : header.size_bytes])
    try:
        slices = _parse(header, payload)
    except (IndexError, ValueError) as error:
        raise unreadable(header, error) from None
    if header.is_log_append_time:
        return [piece._replace(timestamp=header.max_timestamp) for piece in slices]
    return slices


def build_batch(slices: Sequence[RecordSlice], *, codec: str, base_offset: int = 0) -> bytes:
    """A new batch with the records in the given order, at the offsets from `base_offset` on, without holes. There must
    be at least one record.

    Its timestamps are CreateTime. It has no producer id and no leader epoch; `header.stamp` gives it a producer's
    fields. Raises `UnsupportedBatchError` for an unknown codec.
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
    """The bytes of one record, as parts to join. `timestamp_delta` is in ms. `body` is key, value and headers."""
    times, offsets = write_varint(timestamp_delta), write_varint(offset_delta)
    return write_varint(1 + len(times) + len(offsets) + len(body)), b"\x00", times, offsets, body


def codec_number(codec: str) -> int:
    """The codec's number in the attributes. Raises `UnsupportedBatchError` for an unknown name."""
    if codec not in CODECS:
        raise UnsupportedBatchError(f"The codec {codec!r} is unknown. Known codecs: {', '.join(CODECS)}.")
    return CODECS.index(codec)


def unreadable(header: BatchHeader, error: Exception) -> UnsupportedBatchError:
    """The error for a batch whose record bytes do not agree with its header."""
    return UnsupportedBatchError(f"The records of the batch at offset {header.base_offset} cannot be read: {error}")


def _parse(header: BatchHeader, payload: bytes) -> list[RecordSlice]:
    """The records in the decompressed payload of a batch. The time of a record is base + delta. Raises `IndexError` or
    `ValueError` if the payload is not exactly as many records as the header counts."""
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
        raise ValueError(f"its {header.record_count} records end at byte {position} of {len(payload)}")
    return slices


def _wrapped(number: int) -> int:
    """A sum or a difference as Java computes it in int64. The deltas of extreme timestamps overflow when they are
    written, and overflow back when they are read."""
    if _INT64_MIN <= number <= _INT64_MAX:
        return number
    return (number - _INT64_MIN) % _INT64 + _INT64_MIN
