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
            # A varint of one or two bytes is decoded in place, because a call for each would take most of the time.
            byte = payload[at]
            if byte < 128:
                end, at = at + 1 + (byte >> 1), at + 2
            else:
                length, at = read_varint(payload, at)
                end, at = at + length, at + 1
            byte = payload[at]
            if byte < 128:
                delta, at = (byte >> 1) ^ -(byte & 1), at + 1
            else:
                delta, at = read_varint(payload, at)
            timestamps.append(base_timestamp + delta)
            byte = payload[at]
            if byte < 128:
                offsets.append(base_offset + ((byte >> 1) ^ -(byte & 1)))
                at += 1
            else:
                delta, at = read_varint(payload, at)
                offsets.append(base_offset + delta)
            byte = payload[at]
            if byte < 128 and not byte & 1:
                at += 1
                start, at = at, at + (byte >> 1)
                keys.append(payload[start:at])
            else:
                length, at = read_varint(payload, at)
                keys.append(None if length < 0 else payload[at : at + length])
                at += max(length, 0)
            length, at = read_varint(payload, at)
            if length < 0:
                values.append(None)
            else:
                start, at = at, at + length
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
