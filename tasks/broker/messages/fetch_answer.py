"""Decodes the answer to Fetch, versions 12 to 17. It does not use kafka-python, because that copies the records twice.

    answer    := correlation id i32 · tags · throttle ms i32 · error i16 · session i32 · [topic] · tags
    topic     := (name string up to version 12, then id 16 bytes) · [partition] · tags
    partition := index i32 · error i16 · high watermark i64 · last stable i64 · log start i64
                 · [aborted] · preferred replica i32 · records · tags
    aborted   := producer id i64 · first offset i64 · tags
    records, string := length + 1 as a varint (0: null) · bytes          [x] := number + 1 (0: null) · x…
    tags      := number · (tag · size · bytes)…, all varints; a partition's tag 0 is (epoch i32 · end offset i64 · tags)

All numbers are big-endian, varints are unsigned. Source: Kafka's FetchResponse.json.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from tasks.broker.log_values import Fetched
from tasks.model.errors import DamagedError
from tasks.model.partition import Partition

_ID_BYTES = 16
_FIRST_WITH_ID = 13
_HEAD = struct.Struct(">ihi")
_PARTITION = struct.Struct(">ihqqq")
_ABORTED = struct.Struct(">qq")
_I32 = struct.Struct(">i")
_DIVERGING = struct.Struct(">iq")
_DIVERGING_TAG = 0


class FetchedPartition(NamedTuple):
    """One partition of an answer. `topic_id` are the 16 bytes of the id, empty up to version 12. The fields after
    `error_code` are those of `log_values.Fetched`."""

    topic_id: bytes
    partition: int
    error_code: int
    high_watermark: int
    last_stable_offset: int
    log_start_offset: int
    aborted: tuple[tuple[int, int], ...]
    records: bytes
    diverging: tuple[int, int] | None
    preferred_replica: int

    def as_fetched(self, partition: Partition, position: int, throttle_time_ms: int) -> Fetched:
        """The answer to the request for this position. Ignores the error code."""
        return Fetched(
            partition=partition,
            position=position,
            records=self.records,
            aborted=self.aborted,
            high_watermark=self.high_watermark,
            last_stable_offset=self.last_stable_offset,
            log_start_offset=self.log_start_offset,
            throttle_time_ms=throttle_time_ms,
            diverging=self.diverging,
            preferred_replica=self.preferred_replica,
        )


class FetchAnswer(NamedTuple):
    """One answer. `partitions` is empty if the broker throttles."""

    error_code: int
    throttle_time_ms: int
    partitions: list[FetchedPartition]


def decode_fetch_answer(data: memoryview, version: int) -> tuple[int, FetchAnswer]:
    """(correlation id, answer) of the bytes after the length. The records are a copy.

    Raises `DamagedError` if the bytes are not an answer to Fetch of this version.
    """
    cursor = _Cursor(data)
    try:
        (correlation_id,) = cursor.take(_I32)
        cursor.tags()
        throttle_time_ms, error_code, _session = cursor.take(_HEAD)
        partitions = []
        for _ in range(cursor.length()):
            topic_id = _topic_id(cursor, version)
            partitions += [_partition(cursor, topic_id) for _ in range(cursor.length())]
            cursor.tags()
        cursor.tags()
    except (struct.error, IndexError):
        raise DamagedError("the bytes are not an answer to Fetch") from None
    return correlation_id, FetchAnswer(error_code, throttle_time_ms, partitions)


def _topic_id(cursor: _Cursor, version: int) -> bytes:
    if version < _FIRST_WITH_ID:
        cursor.blob()
        return b""
    return cursor.take_bytes(_ID_BYTES)


def _partition(cursor: _Cursor, topic_id: bytes) -> FetchedPartition:
    index, error_code, high_watermark, last_stable, log_start = cursor.take(_PARTITION)
    aborted = []
    for _ in range(cursor.length()):
        producer_id, first_offset = cursor.take(_ABORTED)
        cursor.tags()
        aborted.append((producer_id, first_offset))
    (preferred_replica,) = cursor.take(_I32)
    records = cursor.blob()
    diverging = cursor.tags().get(_DIVERGING_TAG)
    return FetchedPartition(
        topic_id,
        index,
        error_code,
        high_watermark,
        last_stable,
        log_start,
        tuple(aborted),
        records,
        _diverging(diverging) if diverging is not None else None,
        preferred_replica,
    )


def _diverging(value: bytes) -> tuple[int, int] | None:
    epoch, end_offset = _DIVERGING.unpack_from(value)
    return (epoch, end_offset) if epoch >= 0 else None


class _Cursor:
    """Reads fields one after the other. A read beyond the end raises `struct.error` or `IndexError`."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._at = 0

    def take(self, kind: struct.Struct) -> tuple[int, ...]:
        at, self._at = self._at, self._at + kind.size
        return kind.unpack_from(self._data, at)

    def take_bytes(self, size: int) -> bytes:
        """The next bytes as a copy."""
        at, self._at = self._at, self._at + size
        if self._at > len(self._data):
            raise IndexError
        return bytes(self._data[at : self._at])

    def blob(self) -> bytes:
        """The next bytes as a copy; null is empty."""
        return self.take_bytes(self.length())

    def length(self) -> int:
        """The length of an array or of bytes; null is 0."""
        return max(0, self._varint() - 1)

    def tags(self) -> dict[int, bytes]:
        found = {}
        for _ in range(self._varint()):
            tag = self._varint()
            found[tag] = self.take_bytes(self._varint())
        return found

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._data[self._at]
            self._at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7
