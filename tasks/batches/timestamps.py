"""The smallest timestamp of a batch's records, which its header does not have."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.batches.compression import decompress
from tasks.batches.header import HEADER_BYTES, BatchHeader
from tasks.batches.record_slices import read_slices, unreadable
from tasks.batches.varint import read_varint
from tasks.model.errors import UnsupportedBatchError

_INT63 = 1 << 63


def smallest_timestamp(batch: bytes, header: BatchHeader) -> int:
    """The smallest timestamp of the records of one whole batch, in Unix milliseconds. There must be at least one
    record. Only the timestamps are decoded. Raises `UnsupportedBatchError` for a batch that cannot be read."""
    if header.is_log_append_time:
        return header.max_timestamp
    payload = decompress(header.codec, batch[HEADER_BYTES : header.size_bytes])
    try:
        smallest, largest = _bounds_of_deltas(payload, header.record_count)
    except (IndexError, ValueError) as error:
        raise unreadable(header, error) from None
    if header.base_timestamp + smallest >= -_INT63 and header.base_timestamp + largest < _INT63:
        return header.base_timestamp + smallest
    return min(piece.timestamp for piece in read_slices(batch))  # extreme deltas overflow, as in Java


def has_user_records(header: BatchHeader) -> bool:
    """Whether the batch contains records that are not markers."""
    return header.record_count > 0 and not header.is_control


def known_smallest(batch: bytes, header: BatchHeader) -> int | None:
    """The same as `smallest_timestamp`, but None for a batch that cannot be read."""
    try:
        return smallest_timestamp(batch, header)
    except UnsupportedBatchError:
        return None


def lowest_of(times: Sequence[int | None]) -> int | None:
    """The smallest of some timestamps. None if there are none, or if one of them is not known."""
    known = [time_ms for time_ms in times if time_ms is not None]
    return min(known) if known and len(known) == len(times) else None


def _bounds_of_deltas(payload: bytes, records: int) -> tuple[int, int]:
    """(smallest, largest) timestamp delta. Raises `IndexError` or `ValueError` if the payload is not so many
    records."""
    position, deltas = 0, []
    for _ in range(records):
        number = payload[position]  # numbers of one or two bytes are decoded in place, as in record_columns
        if number < 128:
            start = position + 1
        elif (second := payload[position + 1]) < 128:
            number, start = number + (second << 7) - 128, position + 2
        else:
            length, start = read_varint(payload, position)
            number = length << 1
        position = start + (number >> 1)
        delta = payload[start + 1]
        deltas.append((delta >> 1) ^ -(delta & 1) if delta < 128 else read_varint(payload, start + 1)[0])
    if position != len(payload) or not deltas:
        raise ValueError(f"its {records} records end at byte {position} of {len(payload)}")
    return min(deltas), max(deltas)
