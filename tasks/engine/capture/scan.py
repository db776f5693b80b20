"""Finds the batches of a fetch answer that belong to a range, by their headers. Pure."""

from __future__ import annotations

from typing import NamedTuple

from tasks.batches.header import BatchHeader, iter_headers
from tasks.model.errors import UnsupportedBatchError


class Scan(NamedTuple):
    """The whole batches with an offset in [position, end), as (position in the answer, header). `next` is the offset to
    continue at; it is `end` if the answer reached the end. `epoch` is the leader epoch of the last batch; without a
    batch it is the epoch that was given."""

    batches: list[tuple[int, BatchHeader]]
    next: int
    epoch: int | None


def scan(records: bytes, position: int, end: int, epoch: int | None, *, where: str) -> Scan:
    """Find the batches of [position, end) in a fetch answer. `where` names the partition in errors.

    Raises `UnsupportedBatchError` for batches of an old format, and for offsets that do not ascend.
    """
    batches: list[tuple[int, BatchHeader]] = []
    for at, header in iter_headers(records, where=where):
        following = header.base_offset + header.last_offset_delta + 1
        if header.base_offset >= end:
            return Scan(batches, end, epoch)
        if following <= position:
            if batches:
                raise UnsupportedBatchError(
                    f"{where}: the batch at offset {header.base_offset} follows batches with larger offsets."
                )
            continue
        batches.append((at, header))
        position, epoch = following, header.leader_epoch
    return Scan(batches, min(position, end), epoch)
