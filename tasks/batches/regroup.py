"""Joins runs of tiny batches: a broker takes a few thousand requests a second, whatever is in them."""

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
"""Only batches below this size, as stored, are joined."""

LONG_RUN_BATCHES: Final = 16
"""Fewer neighbours are not joined: to decode and compress records anew costs more than the requests that it saves."""


def regroup(batches: Iterable[bytes], *, target_bytes: int, least_batches: int = LONG_RUN_BATCHES) -> Iterator[bytes]:
    """The batches in order, with neighbours that are tiny, dense, CreateTime and of one codec joined into one batch
    where at least `least_batches` of them follow one another.

    A joined batch has at most `target_bytes` of uncompressed records. Records keep order, times and bytes; offsets are
    dense from 0. Everything else passes untouched, tiny batches without enough such neighbours undecoded. The result is
    a function of the input alone, and starts anew with every call.

    Raises `UnsupportedBatchError` for unreadable batches.
    """
    for codec, run in groupby(batches, key=_joinable_codec):
        if codec is None:
            yield from run
        else:
            yield from _join_run(run, codec, target_bytes, least_batches)


def _joinable_codec(batch: bytes) -> str | None:
    """The codec of a batch that may be joined, None for others."""
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
    """Batches that become one. `size` is what their records take at most when they are written anew."""

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
        """The joined batch, or the batch itself when it stayed alone; the group is empty then."""
        joined = self._only or build_batch(self._slices, codec=self._codec)
        self._only, self._slices, self.size = None, [], 0
        return joined
