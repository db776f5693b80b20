"""One partition's way through a production: what is to be sent, and what is sent and not acknowledged. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from tasks.model.errors import KafkaBackupError
from tasks.model.partition import Partition


class OutgoingBatch(NamedTuple):
    """A finished batch: producer id, epoch and base sequence are inside. `expected_offset`: where it has to land."""

    data: bytes
    records: int
    expected_offset: int


@dataclass(eq=False)
class Lane:
    """One partition's way: its source, what is to be sent again, and what is sent and not acknowledged."""

    partition: Partition
    source: Iterator[OutgoingBatch]
    again: deque[OutgoingBatch] = field(default_factory=deque)
    sent: deque[OutgoingBatch] = field(default_factory=deque)
    peeked: OutgoingBatch | None = None
    in_flight: int = 0
    node_id: int = -1
    is_exhausted: bool = False
    trouble: KafkaBackupError | None = None

    def next_batch(self) -> OutgoingBatch | None:
        """The batch to send next, without taking it; None at the end."""
        if self.again:
            return self.again[0]
        if self.peeked is None and not self.is_exhausted:
            self.peeked = next(self.source, None)
            self.is_exhausted = self.peeked is None
        return self.peeked

    def take(self) -> OutgoingBatch:
        """Take the batch that `next_batch` showed."""
        if self.again:
            batch = self.again.popleft()
        else:
            assert self.peeked is not None
            batch, self.peeked = self.peeked, None
        self.sent.append(batch)
        self.in_flight += 1
        return batch

    def rewind(self) -> None:
        """Everything unacknowledged is to be sent again, in order."""
        self.again.extendleft(reversed(self.sent))
        self.sent.clear()
        self.in_flight = 0
        self.trouble = None

    @property
    def is_done(self) -> bool:
        """Whether the source is exhausted and everything acknowledged."""
        return not self.sent and self.next_batch() is None
