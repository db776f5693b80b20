"""Finds the batches of aborted transactions, and recognizes abort markers. A broker names these transactions in each
fetch answer; we keep them as offset ranges.

Control markers alone are not enough, because the marker of an aborted transaction can be beyond the offsets that were
read. The algorithm is that of the Java consumer (CompletedFetch.java), which begins with a new list for each answer.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from struct import Struct

from tasks.batches.header import CONTROL_BIT, LENGTH_END, TRANSACTIONAL_BIT, BatchHeader
from tasks.batches.records import decode_records
from tasks.model.errors import UnsupportedBatchError
from tasks.model.ranges import AbortedRange

_MARKER_KEY = Struct(">hh")
"""A marker's key: version, then type."""
_ABORT = 0


class AbortTracker:
    """Finds the aborted batches of one partition while its fetch answers are read in offset order. Not thread-safe."""

    def __init__(self) -> None:
        self._ranges: list[AbortedRange] = []
        self._growing: dict[int, int] = {}
        self._announced: list[tuple[int, int]] = []
        self._aborting: set[int] = set()

    def start_response(self, aborted: Iterable[tuple[int, int]]) -> None:
        """Begin a fetch answer. `aborted` are the (producer id, first offset) of its aborted transactions, in any
        order.

        They include transactions that began before the fetched offset. The lists of earlier answers are forgotten.
        """
        self._announced = sorted(((first, producer) for producer, first in aborted), reverse=True)
        self._aborting = set()

    def judge(self, header: BatchHeader, data: bytes, position: int) -> bool:
        """Whether the batch at `position` of `data` is data of an aborted transaction. Call it once for each batch, in
        order.

        False for a control batch. Raises `UnsupportedBatchError` for a control batch that cannot be read.
        """
        attributes = header.attributes
        if not attributes & (TRANSACTIONAL_BIT | CONTROL_BIT):
            return False
        self._activate(header.last_offset)
        producer = header.producer_id
        if attributes & CONTROL_BIT:
            self._growing.pop(producer, None)
            if is_abort_marker(data[position : position + LENGTH_END + header.batch_length]):
                self._aborting.discard(producer)
            return False
        if producer not in self._aborting:
            self._growing.pop(producer, None)
            return False
        self._extend(producer, header)
        return True

    def ranges(self) -> list[AbortedRange]:
        """The ranges of the aborted batches so far, by first offset. A range goes from the base offset of a producer's
        first aborted batch to the last offset of its last one. A marker of this producer, or a transactional batch of
        it that is not aborted, ends the range."""
        return list(self._ranges)

    def continued(self) -> AbortTracker:
        """A tracker for a new segment that begins with the next batch of the same answer. It knows the aborted
        transactions of the answer, and has no ranges yet."""
        other = AbortTracker()
        other._announced = list(self._announced)
        other._aborting = set(self._aborting)
        return other

    def _activate(self, last_offset: int) -> None:
        while self._announced and self._announced[-1][0] <= last_offset:
            self._aborting.add(self._announced.pop()[1])

    def _extend(self, producer: int, header: BatchHeader) -> None:
        at = self._growing.get(producer)
        if at is None:
            self._growing[producer] = len(self._ranges)
            self._ranges.append(AbortedRange(producer, header.base_offset, header.last_offset))
        else:
            self._ranges[at] = self._ranges[at]._replace(last=header.last_offset)


class AbortedBatches:
    """Finds the aborted batches of a segment by the segment's aborted ranges, which can be in any order.

    The ranges of one producer do not overlap, so one look-up is enough for any number of transactions.
    """

    def __init__(self, ranges: Iterable[AbortedRange]) -> None:
        self._by_producer: dict[int, tuple[list[int], list[int]]] = {}
        for at in sorted(ranges):
            firsts, lasts = self._by_producer.setdefault(at.producer_id, ([], []))
            firsts.append(at.first)
            lasts.append(at.last)

    def covers(self, header: BatchHeader) -> bool:
        """Whether the batch is data of an aborted transaction. False for a control batch."""
        if header.attributes & (TRANSACTIONAL_BIT | CONTROL_BIT) != TRANSACTIONAL_BIT:
            return False
        firsts, lasts = self._by_producer.get(header.producer_id, ((), ()))
        index = bisect_right(firsts, header.base_offset) - 1
        return index >= 0 and header.base_offset <= lasts[index]


def clip(ranges: Iterable[AbortedRange], first: int, next: int) -> list[AbortedRange]:
    """The ranges that concern batches with an offset in [first, next). Their ends are reduced to this range.

    Their beginnings are not, because the batch that contains `first` can have a smaller base offset.
    """
    return [at._replace(last=min(at.last, next - 1)) for at in ranges if at.last >= first and at.first < next]


def is_abort_marker(batch: bytes) -> bool:
    """Whether a control batch is the marker of an aborted transaction. False if it has no records, and for a type of
    marker that this program does not know.

    The marker's key is an int16 version and an int16 type: 0 ABORT, 1 COMMIT. Raises `UnsupportedBatchError` if the
    batch cannot be read or its key is too short.
    """
    records = decode_records(batch)
    if not records:
        return False
    record = records[0]
    if record.key is None or len(record.key) < _MARKER_KEY.size:
        raise UnsupportedBatchError(f"The key of the control record at offset {record.offset} is too short.")
    version, kind = _MARKER_KEY.unpack_from(record.key)
    return bool(version >= 0 and kind == _ABORT)
