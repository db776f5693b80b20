"""What a restore sends to the target: stored batches with another producer's stamp, rebuilt where they must be."""

from __future__ import annotations

from typing import Final

from tasks.batches.header import LOG_APPEND_TIME_BIT, BatchHeader, read_header
from tasks.batches.record_slices import build_batch, read_slices

_SEQUENCE_MASK: Final = 0x7FFFFFFF


def needs_rebuild(header: BatchHeader) -> bool:
    """Whether `header.stamp` alone would change the batch's records or be refused by the broker.

    With holes, because the broker takes offset deltas of uncompressed batches as they come, and stores silent
    corruption; with LogAppendTime, because the target would serve the producers' times. A delete horizon needs no
    rebuild: the records' times are base + delta with and without that bit.
    """
    return header.record_count != header.last_offset_delta + 1 or bool(header.attributes & LOG_APPEND_TIME_BIT)


def next_sequence(sequence: int, records: int) -> int:
    """The base sequence of the batch after one of `records` records: sequences are 31 bits wide and wrap."""
    return (sequence + records) & _SEQUENCE_MASK


def rebuild(batch: bytes, *, first: int, next: int) -> bytes | None:
    """The batch's records with an offset in [first, next), decoded and written anew, or None when there are none.

    Offsets are dense from 0; the codec stays; times are the real ones, so LogAppendTime becomes CreateTime. What a
    record holds is copied, not interpreted. The result is about as large as what it holds was: compression at
    the codec's usual level may differ from the producer's. Raises `UnsupportedBatchError` for an unreadable batch.
    """
    slices = [piece for piece in read_slices(batch) if first <= piece.offset < next]
    return build_batch(slices, codec=read_header(batch, 0).codec) if slices else None
