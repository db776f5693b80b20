"""The state that a partition keeps of each producer, to find repeated batches and to refuse holes.

Source: Kafka's ProducerStateManager.java and ProducerAppendInfo.java; KAFKA.md §3.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

from tasks.batches.header import BatchHeader
from tests.simulation.kafka.refusals import INVALID_PRODUCER_EPOCH, OUT_OF_ORDER_SEQUENCE_NUMBER, Refused

_REMEMBERED_BATCHES = 5
_LARGEST_SEQUENCE = 0x7FFFFFFF


class _KnownBatch(NamedTuple):
    first_sequence: int
    last_sequence: int
    base_offset: int
    last_offset: int


@dataclass(slots=True)
class _Producer:
    epoch: int
    newest_timestamp: int
    batches: deque[_KnownBatch] = field(default_factory=lambda: deque(maxlen=_REMEMBERED_BATCHES))


class ProducerStates:
    """The producers of one log, by producer id."""

    def __init__(self) -> None:
        self._producers: dict[int, _Producer] = {}

    def find_duplicate(self, header: BatchHeader) -> int | None:
        """The base offset under which the same batch was stored before; None when it is new and may be appended.

        Raises `Refused` for an old epoch and for a sequence that does not follow. An unknown producer may begin with
        any sequence.
        """
        known = self._producers.get(header.producer_id)
        if header.producer_id < 0 or known is None:
            return None
        if header.producer_epoch < known.epoch:
            raise Refused(INVALID_PRODUCER_EPOCH)
        if header.producer_epoch > known.epoch:
            if header.base_sequence != 0:
                raise Refused(OUT_OF_ORDER_SEQUENCE_NUMBER)
            return None
        sequences = (header.base_sequence, last_sequence(header))
        for batch in known.batches:
            if batch[:2] == sequences:
                return batch.base_offset
        if header.base_sequence != _following(known.batches[-1].last_sequence if known.batches else -1):
            raise Refused(OUT_OF_ORDER_SEQUENCE_NUMBER)
        return None

    def note(self, header: BatchHeader) -> None:
        """A batch of a producer was stored. With another epoch its sequence begins anew, also by a marker."""
        if header.producer_id < 0:
            return
        known = self._producers.get(header.producer_id)
        if known is None or known.epoch != header.producer_epoch:
            known = _Producer(header.producer_epoch, header.max_timestamp)
            self._producers[header.producer_id] = known
        known.newest_timestamp = header.max_timestamp
        if not header.is_control:
            known.batches.append(
                _KnownBatch(header.base_sequence, last_sequence(header), header.base_offset, header.last_offset)
            )

    def is_last_of_producer(self, header: BatchHeader) -> bool:
        """True if the producer's state rests on this batch: a cleaner keeps it, emptied if necessary."""
        known = self._producers.get(header.producer_id)
        if header.producer_id < 0 or known is None:
            return False
        if known.batches:
            return known.batches[-1].last_offset == header.last_offset
        return header.is_control and header.producer_epoch == known.epoch

    def expire(self, now_ms: int, expiration_ms: int, in_transaction: set[int]) -> None:
        """Drop producers whose newest record is as old as that by its timestamp, except in open transactions."""
        self._producers = {
            producer_id: known
            for producer_id, known in self._producers.items()
            if producer_id in in_transaction or now_ms - known.newest_timestamp < expiration_ms
        }

    def forget_all_but_last(self) -> None:
        """A broker that was restarted has only each producer's last batch."""
        for known in self._producers.values():
            while len(known.batches) > 1:
                known.batches.popleft()

    def clear(self) -> None:
        """Drop all producers, before the log is read again."""
        self._producers.clear()


def last_sequence(header: BatchHeader) -> int:
    """The sequence of the batch's last record: sequences are 31 bits wide and wrap."""
    return (header.base_sequence + header.last_offset_delta) & _LARGEST_SEQUENCE


def _following(sequence: int) -> int:
    return (sequence + 1) & _LARGEST_SEQUENCE
