"""One partition's way through a production: what is to be sent, and what is sent and not acknowledged. Pure.

A leader that does not know the producer id takes any first sequence. So where the first batch fails (a new topic's
leader is not ready, a new leader never saw us), the second must not be under way already: it would be stored in the
first one's place. After the beginning and after each rewind one batch goes alone; once it is acknowledged, the leader
knows where the sequence is and refuses holes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from tasks.broker.log_values import OutgoingBatch
from tasks.model.errors import KafkaBackupError
from tasks.model.partition import Partition


@dataclass(eq=False)
class PartitionQueue:
    """One partition's way: its source, what is to be sent again, and what is sent and not acknowledged.

    `is_known`: its leader has acknowledged a batch since the beginning or the last rewind.
    """

    partition: Partition
    source: Iterator[OutgoingBatch]
    again: deque[OutgoingBatch] = field(default_factory=deque)
    sent: deque[OutgoingBatch] = field(default_factory=deque)
    _next: OutgoingBatch | None = None
    in_flight: int = 0
    node_id: int = -1
    is_exhausted: bool = False
    is_known: bool = False
    trouble: KafkaBackupError | None = None

    @property
    def may_send(self) -> bool:
        """Whether another batch may follow those in flight."""
        return self.trouble is None and (self.is_known or not self.in_flight)

    def next_batch(self) -> OutgoingBatch | None:
        """The batch to send next, without taking it; None at the end."""
        if self.again:
            return self.again[0]
        if self._next is None and not self.is_exhausted:
            self._next = next(self.source, None)
            self.is_exhausted = self._next is None
        return self._next

    def take(self) -> OutgoingBatch:
        """Take the batch that `next_batch` showed."""
        if self.again:
            batch = self.again.popleft()
        else:
            assert self._next is not None
            batch, self._next = self._next, None
        self.sent.append(batch)
        self.in_flight += 1
        return batch

    def acknowledge(self) -> OutgoingBatch:
        """The oldest batch in flight is stored; returns it."""
        self.is_known = True
        return self.sent.popleft()

    def rewind(self) -> None:
        """Everything unacknowledged is to be sent again, in order."""
        self.again.extendleft(reversed(self.sent))
        self.sent.clear()
        self.is_known = False
        self.trouble = None

    @property
    def is_done(self) -> bool:
        """Whether the source is exhausted and everything acknowledged."""
        return not self.sent and self.next_batch() is None
