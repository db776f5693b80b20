"""Transactions of one log: which are open, and which were aborted, as Fetch lists them.

Source: Kafka's ProducerStateManager.java and TransactionIndex.java; KAFKA.md §4.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from tasks.batches.aborted import is_abort_marker
from tasks.batches.header import BatchHeader


class AbortedTransaction(NamedTuple):
    """An aborted transaction: its first record, its marker, and the last stable offset that the marker brought."""

    producer_id: int
    first: int
    marker: int
    last_stable_offset: int


class _Ended(NamedTuple):
    first: int
    marker: int


@dataclass(slots=True)
class Transactions:
    """`open` has the first offset of each producer's open transaction; `aborted` are in the order of their markers."""

    open: dict[int, int] = field(default_factory=dict)
    aborted: list[AbortedTransaction] = field(default_factory=list)
    _ended: list[_Ended] = field(default_factory=list)

    def note(self, header: BatchHeader, batch: bytes) -> None:
        """A batch was stored: data opens its producer's transaction, a marker ends it."""
        if not header.is_transactional:
            return
        if not header.is_control:
            self.open.setdefault(header.producer_id, header.base_offset)
            return
        first = self.open.pop(header.producer_id, None)
        if first is None:  # a transaction without data in this partition
            return
        self._ended.append(_Ended(first, header.base_offset))
        if is_abort_marker(batch):
            stable = min(self.open.values(), default=header.next_offset)
            self.aborted.append(AbortedTransaction(header.producer_id, first, header.base_offset, stable))

    def first_unstable(self, high_watermark: int) -> int | None:
        """The start of the oldest transaction that is open, or whose marker some in-sync replica lacks; or None."""
        self._ended = [ended for ended in self._ended if ended.marker >= high_watermark]
        return min([*self.open.values(), *(ended.first for ended in self._ended)], default=None)

    def aborted_between(self, position: int, upper_bound: int) -> list[AbortedTransaction]:
        """Those that may concern offsets in [position, upper_bound): also some that began long before."""
        found = []
        for one in self.aborted:
            if one.marker >= position and one.first < upper_bound:
                found.append(one)
            if one.marker >= position and one.last_stable_offset >= upper_bound:
                break
        return found

    def forget_before(self, log_start: int) -> None:
        """Records below were deleted."""
        self.aborted = [one for one in self.aborted if one.marker >= log_start]

    def clear(self) -> None:
        """Drop everything, before the log is read again."""
        self.open.clear()
        self.aborted.clear()
        self._ended.clear()
