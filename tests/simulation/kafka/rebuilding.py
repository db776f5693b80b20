"""Batches that a broker writes anew: recompressed ones, cleaned ones, emptied ones.

Source: Kafka's MemoryRecords.filterTo, MemoryRecordsBuilder and DefaultRecordBatch.writeEmptyHeader.
"""

from __future__ import annotations

from collections.abc import Sequence

from tasks.batches.compression import compress
from tasks.batches.header import (
    CODEC_BITS,
    CONTROL_BIT,
    DELETE_HORIZON_BIT,
    LOG_APPEND_TIME_BIT,
    TRANSACTIONAL_BIT,
    BatchHeader,
    assemble,
)
from tasks.batches.record_slices import RecordSlice, codec_number, record_parts

_KEPT_BITS = LOG_APPEND_TIME_BIT | TRANSACTIONAL_BIT | CONTROL_BIT
_NO_TIMESTAMP = -1


def rebuilt(header: BatchHeader, slices: Sequence[RecordSlice], *, codec: str, horizon_ms: int | None = None) -> bytes:
    """The batch with these of its records, at their offsets. It keeps its own first and last offset and its producer.

    `horizon_ms`: the time from which a cleaner may take the batch's tombstones, which then stands for the base time.
    """
    base_time = slices[0].timestamp if horizon_ms is None else horizon_ms
    parts: list[bytes] = []
    for piece in slices:
        parts += record_parts(piece.timestamp - base_time, piece.offset - header.base_offset, piece.body)
    horizon_bit = 0 if horizon_ms is None else DELETE_HORIZON_BIT
    newest = max(piece.timestamp for piece in slices)
    return assemble(
        header._replace(
            attributes=header.attributes & _KEPT_BITS | codec_number(codec) | horizon_bit,
            base_timestamp=base_time,
            max_timestamp=header.max_timestamp if header.is_log_append_time else newest,
            record_count=len(slices),
        ),
        compress(codec, b"".join(parts)),
    )


def emptied(header: BatchHeader) -> bytes:
    """The batch without records: it stands for its offsets and its producer's sequence."""
    attributes = header.attributes & _KEPT_BITS & ~CODEC_BITS
    return assemble(header._replace(attributes=attributes, base_timestamp=_NO_TIMESTAMP, record_count=0), b"")
