"""The log of one partition on its leader: batches in segments, and the offsets that clients see."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tasks.batches.header import CONTROL_BIT, LENGTH_END, TRANSACTIONAL_BIT
from tasks.batches.records import Record, decode_records
from tests.simulation.kafka.leader_epochs import LeaderEpochs
from tests.simulation.kafka.producer_states import ProducerStates
from tests.simulation.kafka.refusals import OFFSET_OUT_OF_RANGE, Refused
from tests.simulation.kafka.segments import Segment, StoredBatch
from tests.simulation.kafka.transactions import Transactions


class Slice(NamedTuple):
    """The content of an answer: bytes, aborted (producer id, first offset), (epoch, end) if the position diverges."""

    records: bytes = b""
    aborted: tuple[tuple[int, int], ...] = ()
    diverging: tuple[int, int] | None = None


class StoredLog:
    """Offsets as Kafka has them: `end` is where the next record goes, `log_start` the first that may be read.

    `held_at`: in-sync replicas have everything below this offset only; None: they have everything. `is_3`: it behaves
    as the log of Kafka 3.9.
    """

    def __init__(self, *, is_3: bool = False) -> None:
        self._is_3 = is_3
        self.segments = [Segment(0)]
        self.log_start = 0
        self.end = 0
        self.held_at: int | None = None
        self.cleaned_to = 0
        self.epochs = LeaderEpochs()
        self.producers = ProducerStates()
        self.transactions = Transactions()

    @property
    def high_watermark(self) -> int:
        """All in-sync replicas have what lies below; a client sees nothing beyond."""
        return self.end if self.held_at is None else min(self.held_at, self.end)

    @property
    def last_stable_offset(self) -> int:
        """Below it every transaction is decided.

        When a part of an open transaction is deleted, it is where the batch at the log start begins, which may be below
        the log start. In Kafka 3.9 it is the log start itself.
        """
        unstable = self.transactions.first_unstable(self.high_watermark)
        if unstable is None:
            return self.high_watermark
        if unstable >= self.log_start:
            return min(unstable, self.high_watermark)
        return self.log_start if self._is_3 else self._batch_start(self.log_start)

    def _batch_start(self, offset: int) -> int:
        starts = (batch.header.base_offset for batch in self.batches() if batch.header.last_offset >= offset)
        return min(offset, next(starts, offset))

    @property
    def size_bytes(self) -> int:
        """Bytes on the disk, of records below the log start as well while their segment stays."""
        return sum(segment.size_bytes for segment in self.segments)

    def batches(self) -> Iterator[StoredBatch]:
        """Every batch that is kept, in order."""
        for segment in self.segments:
            yield from segment.batches

    def max_timestamp_offset(self) -> int:
        """The first of the records with the largest timestamp that clients may see, or -1."""
        seen = [
            (record.timestamp, -record.offset)
            for batch in self.batches()
            if batch.header.base_offset < self.high_watermark
            for record in decode_records(batch.data)
            if record.offset >= self.log_start
        ]
        return -max(seen)[1] if seen else -1

    # ── writing ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def append(self, data: bytes, *, rolls: bool) -> None:
        """Store a batch that has its offset and epoch; `rolls` begins a new segment with it."""
        batch = StoredBatch.of(data)
        if rolls and self.segments[-1].batches:
            self.segments.append(Segment(batch.header.base_offset))
        self.segments[-1].append(batch)
        self._note(batch)

    def roll(self) -> None:
        """Close the active segment and begin an empty one, unless it is empty already."""
        if self.segments[-1].batches:
            self.segments.append(Segment(self.end))

    def begin_epoch(self, epoch: int) -> None:
        """Another leader, or the same one again, leads from here on."""
        self.epochs.assign(epoch, self.end)

    def move_start(self, offset: int) -> None:
        """Nothing below may be read any more; never moves back."""
        if offset > self.log_start:
            self.log_start = offset
            self.epochs.truncate_before(offset)
            self.transactions.forget_before(offset)

    def truncate(self, end: int) -> None:
        """Lose every batch that reaches beyond `end`, as an unclean election does. The rest is read again."""
        kept = [batch for batch in self.batches() if batch.header.next_offset <= end]
        lost = [batch for batch in self.batches() if batch.header.next_offset > end]
        bases = [segment.base_offset for segment in self.segments]
        self.end = max(self.log_start, min(lost[0].header.base_offset if lost else end, self.end))
        self.segments = _resegmented(kept, [base for base in bases if base < self.end] or [self.log_start])
        self.held_at = None
        self.cleaned_to = min(self.cleaned_to, self.end)
        self.epochs.truncate_from(self.end)
        self.producers.clear()
        self.transactions.clear()
        for batch in kept:
            self._note(batch)
        self.epochs.truncate_before(self.log_start)  # batches below it are kept as long as their segment

    def flip_byte(self, offset: int) -> None:
        """Damage the last byte of the batch that holds the offset, as a bad disk does; it is served as it is."""
        for segment in self.segments:
            for index, batch in enumerate(segment.batches):
                if batch.header.base_offset <= offset <= batch.header.last_offset:
                    damaged = batch.data[:-1] + bytes([batch.data[-1] ^ 1])
                    segment.batches[index] = batch._replace(data=damaged)

    def _note(self, batch: StoredBatch) -> None:
        self.end = max(self.end, batch.header.next_offset)
        self.epochs.assign(batch.header.leader_epoch, batch.header.base_offset)
        self.producers.note(batch.header)
        self.transactions.note(batch.header, batch.data)

    # ── reading ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def read(self, position: int, *, max_bytes: int, last_epoch: int | None = None) -> Slice:
        """Committed data from the batch that holds `position` on, cut at `max_bytes` unless the first one is larger.

        An answer ends with the segment at the latest. Raises `Refused` for a position outside the log, and for a
        `last_epoch` that is newer than all of the leader.
        """
        if last_epoch is not None:
            own = self.epochs.end_offset(last_epoch, self.end)
            if own is None:
                raise Refused(OFFSET_OUT_OF_RANGE)
            if position >= self.log_start and (own[0] < last_epoch or own[1] < position):
                return Slice(diverging=own)
        if not self.log_start <= position <= self.end:
            raise Refused(OFFSET_OUT_OF_RANGE)
        return self._read_segment(position, max_bytes)

    def _read_segment(self, position: int, max_bytes: int) -> Slice:
        stable = self.last_stable_offset
        if position >= stable:
            return Slice()
        first = max(index for index, one in enumerate(self.segments) if one.base_offset <= position or index == 0)
        for index in range(first, len(self.segments)):
            start, records = self.segments[index].slice(position, stable)
            if records:
                records = records[: max(max_bytes, LENGTH_END + int.from_bytes(records[8:LENGTH_END], "big"))]
                upper = self.segments[index].upper_bound(start + len(records)) or self._base_after(index)
                found = self.transactions.aborted_between(position, upper)
                return Slice(records, tuple((one.producer_id, one.first) for one in found))
        return Slice()

    def _base_after(self, index: int) -> int:
        return self.segments[index + 1].base_offset if index + 1 < len(self.segments) else self.end

    def visible_records(self) -> list[Record]:
        """The records that a consumer of committed data reads, in order: for tests, from the log's own knowledge."""
        stable = self.last_stable_offset
        return [
            record
            for batch in self.batches()
            if batch.header.base_offset < stable and not batch.header.attributes & CONTROL_BIT
            if not (batch.header.attributes & TRANSACTIONAL_BIT and self._is_aborted(batch))
            for record in decode_records(batch.data)
            if self.log_start <= record.offset < stable
        ]

    def _is_aborted(self, batch: StoredBatch) -> bool:
        header = batch.header
        return any(
            one.producer_id == header.producer_id and one.first <= header.base_offset < one.marker
            for one in self.transactions.aborted
        )


def _resegmented(batches: list[StoredBatch], bases: list[int]) -> list[Segment]:
    """The batches in segments that begin at these offsets."""
    segments = []
    for base, end in zip(bases, [*bases[1:], None], strict=True):
        inside = [
            one for one in batches if base <= one.header.base_offset and (end is None or one.header.base_offset < end)
        ]
        segments.append(Segment.of(base, inside))
    return segments
