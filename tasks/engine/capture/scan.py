"""Scan: which batches of a fetch answer belong to a planned range, from their headers alone. Pure."""

from __future__ import annotations

from typing import NamedTuple

from tasks.batches.header import BatchHeader, iter_headers
from tasks.model.errors import UnsupportedBatchError


class Scan(NamedTuple):
    """Whole batches with an offset in [position, end), as (position in the answer, header), and where to go on.
    `next` is `end` when the answer reached it; `epoch` is the last batch's leader epoch, or what it was before."""

    batches: list[tuple[int, BatchHeader]]
    next: int
    epoch: int | None


def scan(records: bytes, position: int, end: int, epoch: int | None, *, where: str) -> Scan:
    """Raises `UnsupportedBatchError` for batches of an old format and for offsets that run backwards."""
    batches: list[tuple[int, BatchHeader]] = []
    for at, header in iter_headers(records, where=where):
        following = header.base_offset + header.last_offset_delta + 1
        if header.base_offset >= end:
            return Scan(batches, end, epoch)
        if following <= position:
            if batches:
                raise UnsupportedBatchError(f"{where}: the batch at offset {header.base_offset} runs backwards.")
            continue
        batches.append((at, header))
        position, epoch = following, header.leader_epoch
    return Scan(batches, min(position, end), epoch)
