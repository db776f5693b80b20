"""Decides which stored batches a restore has to rebuild before it sends them, rebuilds them, and numbers the batches
that it sends (base sequences)."""

from __future__ import annotations

from typing import Final

from tasks.batches.header import LOG_APPEND_TIME_BIT, BatchHeader, read_header
from tasks.batches.record_slices import build_batch, read_slices

_SEQUENCE_MASK: Final = 0x7FFFFFFF


def needs_rebuild(header: BatchHeader) -> bool:
    """Whether a broker would reject the batch, or change its records, if only `header.stamp` were applied to it.

    A batch whose offsets have holes is rejected, because Kafka requires as many records as offsets. It is not enough to
    correct the header: a broker does not check the offset deltas of uncompressed records, so it would store a corrupt
    batch without an error. The records of a batch with LogAppendTime would get the producers' times, because `stamp`,
    like a broker, clears the attribute LogAppendTime. A delete horizon needs no rebuild: the records' times are base +
    delta with and without it.
    """
    return header.record_count != header.last_offset_delta + 1 or bool(header.attributes & LOG_APPEND_TIME_BIT)


def next_sequence(sequence: int, records: int) -> int:
    """The base sequence of the batch that follows a batch with `records` records. Sequences have 31 bits and continue
    at 0 after the largest."""
    return (sequence + records) & _SEQUENCE_MASK


def rebuild(batch: bytes, *, first: int, next: int) -> bytes | None:
    """A new batch with those records of the batch that have an offset in [first, next), or None if there are none.

    Their offsets are dense from 0. The codec is the same. The records keep their times, and LogAppendTime becomes
    CreateTime. Keys, values and headers are copied as bytes. The new size can differ a little, because the producer can
    have used another compression level. Raises `UnsupportedBatchError` for a batch that cannot be read.
    """
    slices = [piece for piece in read_slices(batch) if first <= piece.offset < next]
    return build_batch(slices, codec=read_header(batch, 0).codec) if slices else None
