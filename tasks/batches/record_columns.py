"""Records as columns: one sequence for each of their parts. So many records can be compared without an object for each
of them. Decodes a batch into columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tasks.batches.compression import decompress
from tasks.batches.header import HEADER_BYTES, BatchHeader
from tasks.batches.records import Headers, decode_records
from tasks.batches.varint import read_varint

_INT63 = 1 << 63


class RecordColumns(NamedTuple):
    """Records of one partition that follow one another. All sequences have the same length.

    `timestamps` are Unix milliseconds. A key or value is None if it is null. `headers` are those of each record in
    order, empty for a record without headers.
    """

    offsets: Sequence[int]
    timestamps: Sequence[int]
    keys: Sequence[bytes | None]
    values: Sequence[bytes | None]
    headers: Sequence[Headers]

    def part(self, first: int, end: int) -> RecordColumns:
        """The records with the indexes [first, end)."""
        return RecordColumns._make(column[first:end] for column in self)


EMPTY = RecordColumns((), (), (), (), ())


def columns_of_batch(batch: bytes, header: BatchHeader) -> RecordColumns:
    """The records of one whole batch, with the same values as `decode_records` returns.

    Records without headers are decoded here, which is several times faster. Any other batch is passed to
    `decode_records`. Raises `UnsupportedBatchError` for a batch that cannot be read.
    """
    found = _plain(batch, header)
    if found is None:
        records = decode_records(batch)
        return RecordColumns._make(list(column) for column in zip(*records, strict=True))
    return found


def _plain(batch: bytes, header: BatchHeader) -> RecordColumns | None:
    """The records of a batch in which no record has headers; None for any other batch, also for one that is damaged."""
    payload = decompress(header.codec, batch[HEADER_BYTES : header.size_bytes])
    base_offset, base_timestamp = header.base_offset, header.base_timestamp
    offsets: list[int] = []
    timestamps: list[int] = []
    keys: list[bytes | None] = []
    values: list[bytes | None] = []
    at = 0
    try:
        for _ in range(header.record_count):
            # Numbers of one or two bytes are decoded in place, because a call for each would take most of the time.
            number = payload[at]
            at += 1
            if number >= 128:
                if (second := payload[at]) < 128:
                    number, at = number + (second << 7) - 128, at + 1
                else:
                    number, at = _unsigned(payload, at - 1)
            end = at + (number >> 1)
            at += 1
            number = payload[at]
            at += 1
            if number >= 128:
                if (second := payload[at]) < 128:
                    number, at = number + (second << 7) - 128, at + 1
                else:
                    number, at = _unsigned(payload, at - 1)
            timestamps.append(base_timestamp + ((number >> 1) ^ -(number & 1)))
            number = payload[at]
            at += 1
            if number >= 128:
                if (second := payload[at]) < 128:
                    number, at = number + (second << 7) - 128, at + 1
                else:
                    number, at = _unsigned(payload, at - 1)
            offsets.append(base_offset + ((number >> 1) ^ -(number & 1)))
            number = payload[at]
            at += 1
            if number >= 128:
                if (second := payload[at]) < 128:
                    number, at = number + (second << 7) - 128, at + 1
                else:
                    number, at = _unsigned(payload, at - 1)
            if number & 1:
                keys.append(None)
            else:
                start, at = at, at + (number >> 1)
                keys.append(payload[start:at])
            number = payload[at]
            at += 1
            if number >= 128:
                if (second := payload[at]) < 128:
                    number, at = number + (second << 7) - 128, at + 1
                else:
                    number, at = _unsigned(payload, at - 1)
            if number & 1:
                values.append(None)
            else:
                start, at = at, at + (number >> 1)
                values.append(payload[start:at])
            if payload[at] or at + 1 != end:
                return None
            at = end
    except (IndexError, ValueError):
        return None
    if at != len(payload):
        return None
    if header.is_log_append_time:
        timestamps = [header.max_timestamp] * len(timestamps)
    elif timestamps and not -_INT63 <= min(timestamps) <= max(timestamps) < _INT63:
        return None
    return RecordColumns(offsets, timestamps, keys, values, [()] * len(offsets))


def _unsigned(payload: bytes, position: int) -> tuple[int, int]:
    """(number before zigzag, position after it) of a varint."""
    value, position = read_varint(payload, position)
    return (value << 1 if value >= 0 else (~value << 1) | 1), position
