"""Encodes the Produce request, version 8. kafka-python is not used, because it would copy every batch twice more.

    request  := length i32 · api key i16 (0) · version i16 (8) · correlation id i32 · client id string
                · transactional id i16 (-1: none) · acks i16 (-1: all in-sync replicas) · timeout ms i32 · [topic]
    topic    := name string · [partition]
    partition := index i32 · batch length i32 · batch
    string   := length i16 · UTF-8      [x] := number i32 · x…       all numbers are big-endian

Source: Kafka's ProduceRequest.json and RequestHeader.json (version 1 of the header).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import lru_cache

from tasks.broker.messages.api_keys import ApiKey
from tasks.model.partition import Partition

PRODUCE_VERSION = 8
_NO_TRANSACTION = -1
_ALL_REPLICAS = -1
_HEAD = struct.Struct(">hhi")
_SETTINGS = struct.Struct(">hhii")
"""No transaction, acks and timeout, and the number of topics."""
_PART = struct.Struct(">ii")
_I32 = struct.Struct(">i")
_I16 = struct.Struct(">h")


def encode_produce(
    batches: Sequence[tuple[Partition, bytes]], *, correlation_id: int, client_id: str, timeout_ms: int
) -> list[bytes]:
    """The request as buffers to send in this order; the first one is the length. The batches are not copied. At least
    one batch is needed, and brokers reject a request with two batches of one partition. `timeout_ms`: how long the
    broker waits for the in-sync replicas."""
    by_topic: dict[str, list[tuple[int, bytes]]] = {}
    for partition, data in batches:
        by_topic.setdefault(partition.topic, []).append((partition.partition, data))
    fields = _HEAD.pack(ApiKey.PRODUCE, PRODUCE_VERSION, correlation_id) + _string(client_id)
    fields += _SETTINGS.pack(_NO_TRANSACTION, _ALL_REPLICAS, timeout_ms, len(by_topic))
    buffers: list[bytes] = []
    for name, parts in by_topic.items():
        fields += _string(name) + _I32.pack(len(parts))
        for index, data in parts:
            buffers += (fields + _PART.pack(index, len(data)), data)
            fields = b""
    buffers[0] = _I32.pack(sum(map(len, buffers))) + buffers[0]
    return buffers


@lru_cache(maxsize=1024)
def _string(text: str) -> bytes:
    data = text.encode()
    return _I16.pack(len(data)) + data
