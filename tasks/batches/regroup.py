"""Joins tiny batches that follow one another into larger ones, because a broker processes only a few thousand requests
a second, also if they are small. Decides which batches are tiny, which of them can be joined, and how many have to
follow one another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, groupby, islice
from typing import Final

from tasks.batches.header import CONTROL_BIT, LOG_APPEND_TIME_BIT, read_header
from tasks.batches.record_slices import (
    LONGEST_FRAMING_BYTES,
    RecordSlice,
    build_batch,
    read_slices,
)

TINY_BATCH_BYTES: Final = 4 << 10
"""Only batches whose stored size is smaller than this are joined."""

LONG_RUN_BATCHES: Final = 16
"""Fewer neighbours are not joined, because to decode their records and compress them again costs more than the requests
that this saves."""


def regroup(batches: Iterable[bytes], *, target_bytes: int, least_batches: int = LONG_RUN_BATCHES) -> Iterator[bytes]:
    """The batches in order. If at least `least_batches` batches follow one another that can be joined, they are joined.

    Batches can be joined if they are tiny (`TINY_BATCH_BYTES`), dense, CreateTime, not control batches, and have the
    same codec. A joined batch has at most `target_bytes` of uncompressed records. The records keep their order, times
    and bytes, and get dense offsets from 0. All other batches are returned unchanged.

    The result depends on the arguments alone, not on earlier calls. Raises `UnsupportedBatchError` for a tiny batch
    that cannot be read.
    """
    for codec, run in groupby(batches, key=_joinable_codec):
        if codec is None:
            yield from run
        else:
            yield from _join_run(run, codec, target_bytes, least_batches)


def _joinable_codec(batch: bytes) -> str | None:
    """The codec of a batch that can be joined, None for other batches."""
    if len(batch) >= TINY_BATCH_BYTES:
        return None
    header = read_header(batch, 0)
    is_plain = not header.attributes & (LOG_APPEND_TIME_BIT | CONTROL_BIT)
    return header.codec if is_plain and header.is_dense and header.record_count > 0 else None


def _join_run(run: Iterator[bytes], codec: str, target_bytes: int, least_batches: int) -> Iterator[bytes]:
    beginning = list(islice(run, least_batches))
    if len(beginning) < least_batches:
        yield from beginning
        return
    group = _Group(codec)
    for batch in chain(beginning, run):
        slices = read_slices(batch)
        size = sum(len(piece.body) for piece in slices) + LONGEST_FRAMING_BYTES * len(slices)
        if group.size and group.size + size > target_bytes:
            yield group.close()
        group.add(batch, slices, size)
    yield group.close()


class _Group:
    """Batches that become one. `size` is an upper bound, in bytes, for their records when they are written again."""

    def __init__(self, codec: str) -> None:
        self._codec = codec
        self._only: bytes | None = None
        self._slices: list[RecordSlice] = []
        self.size = 0

    def add(self, batch: bytes, slices: list[RecordSlice], size: int) -> None:
        self._only = None if self._slices else batch
        self._slices += slices
        self.size += size

    def close(self) -> bytes:
        """The joined batch, or the batch itself if it is the only one. Afterwards the group is empty."""
        joined = self._only or build_batch(self._slices, codec=self._codec)
        self._only, self._slices, self.size = None, [], 0
        return joined
