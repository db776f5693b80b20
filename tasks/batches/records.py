"""Decodes and encodes the records of a batch: key, value and headers. Counts the records in a range of offsets.

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
"""The headers in order. A name can occur several times. Names are bytes, because producers can write names that are not
UTF-8."""

_NULL = write_varint(-1)


class Record(NamedTuple):
    """One record. `timestamp` is in Unix milliseconds. None stands for null, which is not the same as empty bytes."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


def decode_records(batch: bytes) -> list[Record]:
    """The records of one whole batch, with their offsets and times (see `read_slices`). A marker is a record too.

    Raises `UnsupportedBatchError` if the batch is cut, or its bytes do not agree with its header.
    """
    slices = read_slices(batch)
    try:
        return [Record(offset, timestamp, *_read_body(body)) for offset, timestamp, body in slices]
    except (IndexError, ValueError) as error:
        raise unreadable(read_header(batch, 0), error) from None


def encode_batch(records: Sequence[Record], *, codec: str, base_offset: int = 0) -> bytes:
    """A new batch with the records in the given order, at the offsets from `base_offset` on. The offsets of the records
    themselves are ignored. There must be at least one record. For the fields of the header see `build_batch`."""
    slices = [
        RecordSlice(record.offset, record.timestamp, write_body(record.key, record.value, record.headers))
        for record in records
    ]
    return build_batch(slices, codec=codec, base_offset=base_offset)


def count_in_range(batch: bytes, first: int, next: int) -> int:
    """The number of records of one whole batch with an offset in [first, next).

    Only a batch with holes that lies partly in the range is decoded. Raises `UnsupportedBatchError` if that is
    impossible.
    """
    header = read_header(batch, 0)
    if header.base_offset >= first and header.next_offset <= next:
        return header.record_count
    if header.base_offset >= next or header.next_offset <= first:
        return 0
    if header.is_dense:
        return max(0, min(header.next_offset, next) - max(header.base_offset, first))
    return sum(first <= piece.offset < next for piece in read_slices(batch))


def write_body(key: bytes | None, value: bytes | None, headers: Headers) -> bytes:
    """The bytes of key, value and headers in a record."""
    parts = [*_nullable(key), *_nullable(value), write_varint(len(headers))]
    for name, content in headers:
        parts += (write_varint(len(name)), name, *_nullable(content))
    return b"".join(parts)


def read_key(body: bytes) -> bytes | None:
    """The key in the bytes of key, value and headers. Raises `IndexError` or `ValueError` if they are cut."""
    return _read_nullable(body, 0)[0]


def read_headers(body: bytes) -> Headers:
    """The headers in the bytes of key, value and headers. Raises `IndexError` or `ValueError` if they are not whole."""
    return _read_body(body)[2]


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
            raise ValueError("a header has no name")
        headers.append((name, content))
    if count < 0 or position != len(body):
        raise ValueError("the size of a record is not that of its parts")
    return key, value, tuple(headers)


def _read_nullable(body: bytes, position: int) -> tuple[bytes | None, int]:
    length, position = read_varint(body, position)
    if length < 0:
        return None, position
    return body[position : position + length], position + length
