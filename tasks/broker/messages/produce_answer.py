"""Decodes the answer to Produce, version 8. kafka-python is not used, because its objects cost much CPU time.

    answer    := correlation id i32 · [topic] · throttle ms i32
    topic     := name string · [partition]
    partition := index i32 · error i16 · base offset i64 · append time ms i64 · log start i64
                 · [record error] · error message string
    record error := batch index i32 · message string
    string    := length i16 (-1: null) · UTF-8      [x] := number i32 · x…       all numbers are big-endian

Source: Kafka's ProduceResponse.json.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from tasks.model.errors import DamagedError

_I32 = struct.Struct(">i")
_I16 = struct.Struct(">h")
_HEAD = struct.Struct(">ii")
_PARTITION = struct.Struct(">ihqqqih")
"""The fields of a partition up to the number of record errors, and the length of the error message, which follows if
there are no record errors."""


class PartitionAnswer(NamedTuple):
    """One partition of an answer. `base_offset` is the offset at which the batch was stored; it is valid if
    `error_code` is 0."""

    topic: str
    partition: int
    error_code: int
    base_offset: int
    error_message: str | None


class ProduceAnswer(NamedTuple):
    """One answer: a result for each partition of the request."""

    partitions: list[PartitionAnswer]
    throttle_time_ms: int


def decode_produce_answer(data: memoryview) -> tuple[int, ProduceAnswer]:
    """(correlation id, answer) of the bytes after the length. Raises `DamagedError` if they are not such an answer."""
    try:
        return _decode(data)
    except (struct.error, UnicodeDecodeError):
        raise DamagedError("the bytes are not an answer to Produce") from None


def _decode(data: memoryview) -> tuple[int, ProduceAnswer]:
    correlation_id, topics = _HEAD.unpack_from(data)
    at = _HEAD.size
    found = []
    for _ in range(topics):
        topic, at = _string(data, at)
        (partitions,) = _I32.unpack_from(data, at)
        at += _I32.size
        for _ in range(partitions):
            index, code, base_offset, _, _, errors, length = _PARTITION.unpack_from(data, at)
            at += _PARTITION.size
            message = None
            if errors or length >= 0:
                at = _past_record_errors(data, at - _I16.size, errors)
                message, at = _string(data, at)
            found.append(PartitionAnswer(topic or "", index, code, base_offset, message))
    (throttle_time_ms,) = _I32.unpack_from(data, at)
    return correlation_id, ProduceAnswer(found, throttle_time_ms)


def _past_record_errors(data: memoryview, at: int, errors: int) -> int:
    for _ in range(errors):
        _, at = _string(data, at + _I32.size)
    return at


def _string(data: memoryview, at: int) -> tuple[str | None, int]:
    (length,) = _I16.unpack_from(data, at)
    at += _I16.size
    if length < 0:
        return None, at
    end = at + length
    if end > len(data):
        raise DamagedError("the bytes are not an answer to Produce")
    return str(data[at:end], "utf-8"), end
