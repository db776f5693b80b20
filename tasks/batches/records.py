"""Records of a batch, both ways: key, value and headers.

    key length    varint  -1 means null       header count   varint
    key                                       per header: key length varint, key, value length varint (-1 null), value
    value length  varint  -1 means null
    value

Source: Kafka's DefaultRecord.java.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tasks.batches.header import read_header
from tasks.batches.record_slices import RecordSlice, build_batch, read_slices, unreadable
from tasks.batches.varint import read_varint, write_varint

Headers = tuple[tuple[bytes, bytes | None], ...]
"""In order, names may repeat. Names are raw bytes, because producers may write what is not UTF-8."""

_NULL = write_varint(-1)


class Record(NamedTuple):
    """One record. `timestamp` is Unix milliseconds; null and empty are different."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


def decode_records(batch: bytes) -> list[Record]:
    """The records of one whole batch with real offsets and times (see `read_slices`); a marker is a record as well.

    Raises `UnsupportedBatchError` when the bytes are not what the header says.
    """
    slices = read_slices(batch)
    try:
        return [Record(offset, timestamp, *_read_body(body)) for offset, timestamp, body in slices]
    except (IndexError, ValueError) as error:
        raise unreadable(read_header(batch, 0), error) from None


def encode_batch(records: Sequence[Record], *, codec: str, base_offset: int = 0) -> bytes:
    """A batch of the records in the given order, at dense offsets from `base_offset` on. At least one record.

    CreateTime; the base timestamp is the first record's; no producer id, leader epoch -1 (`rewrite.stamp`).
    """
    slices = [
        RecordSlice(record.offset, record.timestamp, write_body(record.key, record.value, record.headers))
        for record in records
    ]
    return build_batch(slices, codec=codec, base_offset=base_offset)


def count_in_range(batch: bytes, first: int, next: int) -> int:
    """Records of one whole batch with an offset in [first, next). Only batches with holes are looked into."""
    header = read_header(batch, 0)
    if header.base_offset >= first and header.next_offset <= next:
        return header.record_count
    if header.base_offset >= next or header.next_offset <= first:
        return 0
    if header.is_dense:
        return max(0, min(header.next_offset, next) - max(header.base_offset, first))
    return sum(first <= piece.offset < next for piece in read_slices(batch))


def write_body(key: bytes | None, value: bytes | None, headers: Headers) -> bytes:
    """Key, value and headers as they stand in a record."""
    parts = [*_nullable(key), *_nullable(value), write_varint(len(headers))]
    for name, content in headers:
        parts += (write_varint(len(name)), name, *_nullable(content))
    return b"".join(parts)


def _nullable(content: bytes | None) -> tuple[bytes, ...]:
    return (_NULL,) if content is None else (write_varint(len(content)), content)


def _read_body(body: bytes) -> tuple[bytes | None, bytes | None, Headers]:
    key, position = _read_nullable(body, 0)
    value, position = _read_nullable(body, position)
    count, position = read_varint(body, position)
    headers = []
    for _ in range(count):
        name, position = _read_nullable(body, position)
        content, position = _read_nullable(body, position)
        if name is None:
            raise ValueError("a header without a name")
        headers.append((name, content))
    if count < 0 or position != len(body):
        raise ValueError("a record whose parts do not fill it")
    return key, value, tuple(headers)


def _read_nullable(body: bytes, position: int) -> tuple[bytes | None, int]:
    length, position = read_varint(body, position)
    if length < 0:
        return None, position
    return body[position : position + length], position + length
