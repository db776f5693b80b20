"""The log cleaner of compacted topics: one pass over one log.

Source: Kafka's Cleaner.java and MemoryRecords.filterTo. A cleaner of Kafka 4 keeps the last batch of what it cleans,
emptied if need be; that of 3.9 may take it, so that nothing is served between there and the last stable offset.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from tasks.batches.aborted import is_abort_marker
from tasks.batches.header import BatchHeader
from tasks.batches.record_slices import read_slices
from tasks.batches.records import Record, decode_records
from tests.simulation.kafka.rebuilding import emptied, rebuilt
from tests.simulation.kafka.segments import Segment, StoredBatch
from tests.simulation.kafka.stored_log import StoredLog
from tests.simulation.kafka.transactions import AbortedTransaction


def clean(log: StoredLog, *, now_ms: int, delete_retention_ms: int, keeps_last_batch: bool) -> bool:
    """Clean the closed segments below the last stable offset; False when none of them is dirty.

    Of records with one key only the newest stays; a tombstone goes with a later pass, `delete_retention_ms` after the
    first that met it. Aborted data goes, a marker after all data of its transaction.
    """
    stable = log.last_stable_offset
    closed = [
        segment
        for segment, following in zip(log.segments, log.segments[1:], strict=False)
        if following.base_offset <= stable
    ]
    if not closed or (end := log.segments[len(closed)].base_offset) <= log.cleaned_to:
        return False
    batches = [batch for segment in closed for batch in segment.batches]
    aborted = [one for one in log.transactions.aborted if one.first < end]
    newest = _newest_offsets(batches, aborted)
    cleaning = _Pass(log, aborted, newest, now_ms, now_ms + delete_retention_ms, end if keeps_last_batch else None)
    kept = [StoredBatch.of(data) for batch in batches for data in cleaning.cleaned(batch)]
    log.segments[: len(closed)] = [Segment.of(closed[0].base_offset, kept)]
    log.transactions.aborted = [
        one for one in log.transactions.aborted if one.marker >= end or one in cleaning.kept_aborted
    ]
    log.cleaned_to = end
    return True


def _newest_offsets(batches: Iterable[StoredBatch], aborted: list[AbortedTransaction]) -> dict[bytes, int]:
    """By key the offset of its newest record that counts."""
    followed = _Transactions(aborted)
    found: dict[bytes, int] = {}
    for batch in batches:
        if batch.header.is_control:
            followed.is_marker_needless(batch)
        elif not followed.is_aborted(batch.header):
            found.update({record.key: record.offset for record in decode_records(batch.data) if record.key is not None})
    return found


@dataclass(slots=True)
class _Transactions:
    """Follows transactions through the batches, in order (Kafka's CleanedTransactionMetadata).

    `kept` are the aborted ones that a batch was met of: their marker stays, and Fetch goes on to list them.
    """

    waiting: list[AbortedTransaction]
    kept: list[AbortedTransaction] = field(default_factory=list)
    _aborting: dict[int, AbortedTransaction] = field(default_factory=dict)
    _met: set[int] = field(default_factory=set)
    _committing: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.waiting = sorted(self.waiting, key=lambda one: one.first)

    def is_aborted(self, header: BatchHeader) -> bool:
        """True if the data of this batch was aborted."""
        self._begin_up_to(header.last_offset)
        if not header.is_transactional:
            return False
        if header.producer_id in self._aborting:
            self._met.add(header.producer_id)
            return True
        self._committing.add(header.producer_id)
        return False

    def is_marker_needless(self, batch: StoredBatch) -> bool:
        """True if no batch of the transaction was met that this marker ends."""
        self._begin_up_to(batch.header.last_offset)
        producer_id = batch.header.producer_id
        if batch.header.record_count == 0:
            return True
        if not is_abort_marker(batch.data):
            is_met = producer_id in self._committing
            self._committing.discard(producer_id)
            return not is_met
        ended = self._aborting.pop(producer_id, None)
        if ended is None or producer_id not in self._met:
            return True
        self._met.discard(producer_id)
        self.kept.append(ended)
        return False

    def _begin_up_to(self, offset: int) -> None:
        while self.waiting and self.waiting[0].first <= offset:
            one = self.waiting.pop(0)
            self._aborting.setdefault(one.producer_id, one)


class _Pass:
    def __init__(
        self,
        log: StoredLog,
        aborted: list[AbortedTransaction],
        newest: dict[bytes, int],
        now_ms: int,
        horizon_ms: int,
        kept_end: int | None,
    ) -> None:
        self._log = log
        self._followed = _Transactions(aborted)
        self._newest = newest
        self._now_ms = now_ms
        self._horizon_ms = horizon_ms
        self._kept_end = kept_end

    @property
    def kept_aborted(self) -> list[AbortedTransaction]:
        """Aborted transactions whose marker this pass left."""
        return self._followed.kept

    def cleaned(self, batch: StoredBatch) -> Iterable[bytes]:
        """The rest of a batch: nothing or one batch."""
        header = batch.header
        if header.is_control:
            is_needless = self._followed.is_marker_needless(batch)
            is_due = header.has_delete_horizon and header.base_timestamp <= self._now_ms
            yield from self._written(batch, needless_marker=is_needless, is_dropped=is_needless and is_due)
        else:
            yield from self._written(batch, needless_marker=False, is_dropped=self._followed.is_aborted(header))

    def _written(self, batch: StoredBatch, *, needless_marker: bool, is_dropped: bool) -> Iterable[bytes]:
        header = batch.header
        records = list(zip(read_slices(batch.data), decode_records(batch.data), strict=True))
        kept = (
            []
            if is_dropped
            else [(piece, one) for piece, one in records if header.is_control or self._stays(header, one)]
        )
        if not kept:
            if self._log.producers.is_last_of_producer(header) or header.next_offset == self._kept_end:
                yield emptied(header)
            return
        has_tombstone = any(one.value is None for _, one in kept)
        begins_horizon = (has_tombstone or needless_marker) and not header.has_delete_horizon
        if len(kept) == len(records) and not begins_horizon:
            yield batch.data
            return
        horizon = self._horizon_ms if begins_horizon else header.base_timestamp if header.has_delete_horizon else None
        yield rebuilt(header, [piece for piece, _ in kept], codec=header.codec, horizon_ms=horizon)

    def _stays(self, header: BatchHeader, record: Record) -> bool:
        if record.key is None or record.offset < self._newest.get(record.key, -1):
            return False
        is_past_horizon = header.has_delete_horizon and header.base_timestamp <= self._now_ms
        return record.value is not None or not is_past_horizon
