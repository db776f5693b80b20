"""Describes the batches of a frame or of a segment by their headers alone. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from tasks.batches.header import CODEC_BITS, CODECS, CONTROL_BIT, LENGTH_END, LOG_APPEND_TIME_BIT, BatchHeader, Codec

TimestampType = Literal["CreateTime", "LogAppendTime", "mixed"]
"""Whose clock the records' timestamps are from: the producers' (CreateTime), the broker's (LogAppendTime), or both."""


class BatchesDescription(NamedTuple):
    """The properties of some batches of one partition in offset order, for example of a frame's batches.

    `epochs` are (leader epoch, base offset of its first batch). `largest_batch_bytes` is the size of the largest batch.
    `compressed_bytes` is the total size of the batches that their producers compressed. `is_dense`: every batch has as
    many records as offsets.

    The other members concern only batches with user records, which are neither control batches nor empty: `attributes`
    are their different attribute fields, `max_ts` and `oldest_ts` their largest and smallest maximum timestamp in Unix
    milliseconds, None if there are no such batches.
    """

    epochs: tuple[tuple[int, int], ...]
    attributes: frozenset[int]
    largest_batch_bytes: int
    compressed_bytes: int
    is_dense: bool
    max_ts: int | None
    oldest_ts: int | None


def describe_batches(headers: Iterable[BatchHeader]) -> BatchesDescription:
    """The description of batches in offset order. Unknown codecs do not raise an error."""
    epochs: list[tuple[int, int]] = []
    attributes: set[int] = set()
    stamps: list[int] = []
    largest = compressed = 0
    is_dense, epoch = True, None
    for base, length, leader_epoch, _, _, bits, last_delta, _, max_timestamp, _, _, _, count in headers:
        if leader_epoch != epoch:
            epoch = leader_epoch
            epochs.append((epoch, base))
        if length > largest:
            largest = length
        if bits & CODEC_BITS:
            compressed += LENGTH_END + length
        if count != last_delta + 1:
            is_dense = False
        if count and not bits & CONTROL_BIT:
            attributes.add(bits)
            stamps.append(max_timestamp)
    return BatchesDescription(
        epochs=tuple(epochs),
        attributes=frozenset(attributes),
        largest_batch_bytes=LENGTH_END + largest if epochs else 0,
        compressed_bytes=compressed,
        is_dense=is_dense,
        max_ts=max(stamps, default=None),
        oldest_ts=min(stamps, default=None),
    )


@dataclass(slots=True)
class SegmentDescription:
    """The properties of a segment's batches. The frames are added in offset order."""

    epochs: list[tuple[int, int]] = field(default_factory=list)
    largest_batch_bytes: int = 0
    _attributes: set[int] = field(default_factory=set)

    def add(self, frame: BatchesDescription) -> None:
        """Add the properties of the next frame's batches."""
        for epoch, base_offset in frame.epochs:
            if not self.epochs or self.epochs[-1][0] != epoch:
                self.epochs.append((epoch, base_offset))
        self.largest_batch_bytes = max(self.largest_batch_bytes, frame.largest_batch_bytes)
        self._attributes |= frame.attributes

    @property
    def codecs(self) -> tuple[Codec, ...]:
        """The names of the codecs of batches with user records, sorted. Call `check_codec` for the batches first,
        because an unknown codec raises `IndexError` here."""
        return tuple(sorted({CODECS[bits & CODEC_BITS] for bits in self._attributes}))

    @property
    def timestamp_type(self) -> TimestampType | None:
        """`CreateTime` (the producers' clock), `LogAppendTime` (the broker's clock) or `mixed`. None without user
        records."""
        is_broker_time = {bool(bits & LOG_APPEND_TIME_BIT) for bits in self._attributes}
        if len(is_broker_time) > 1:
            return "mixed"
        if not is_broker_time:
            return None
        return "LogAppendTime" if True in is_broker_time else "CreateTime"
