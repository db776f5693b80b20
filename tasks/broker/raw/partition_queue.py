"""The queue of one partition in a produce: the batches to send, to send again, and sent without acknowledgement. Pure.

A leader that does not know the producer id accepts any first sequence number. If the first batch fails (a new topic's
leader is not ready, or a new leader has not seen this producer), a second batch in flight would be stored in its place.
So one batch is sent alone at the beginning and after each rewind. Its acknowledgement shows that the leader knows the
sequence. From then on, the leader rejects a batch with a gap before it.
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
    """The batches of one partition, from their source to their acknowledgement.

    The batches in `to_resend` are sent before the next ones of `source`. The batches in `unacknowledged` are sent.
    `in_flight` is the number of requests with a batch of this partition whose answers are missing; `node_id` is the
    broker to which they were sent. `is_sequence_known`: the leader has acknowledged a batch since the beginning or the
    last rewind. `error`: the retryable error because of which the partition sends nothing until it is rewound.
    """

    partition: Partition
    source: Iterator[OutgoingBatch]
    to_resend: deque[OutgoingBatch] = field(default_factory=deque)
    unacknowledged: deque[OutgoingBatch] = field(default_factory=deque)
    _next: OutgoingBatch | None = None
    in_flight: int = 0
    node_id: int = -1
    is_exhausted: bool = False
    is_sequence_known: bool = False
    error: KafkaBackupError | None = None

    @property
    def can_send(self) -> bool:
        """Whether another batch can be sent now: there is no error, and before the leader knows the sequence, no
        request is in flight."""
        return self.error is None and (self.is_sequence_known or not self.in_flight)

    def next_batch(self) -> OutgoingBatch | None:
        """The batch to send next; it stays in the queue. None if there is no further batch. May be called again."""
        if self.to_resend:
            return self.to_resend[0]
        if self._next is None and not self.is_exhausted:
            self._next = next(self.source, None)
            self.is_exhausted = self._next is None
        return self._next

    def take(self) -> OutgoingBatch:
        """Take the next batch out of the queue, to send it. From then on it is unacknowledged. Call `next_batch`
        before; it must not have returned None."""
        if self.to_resend:
            batch = self.to_resend.popleft()
        else:
            assert self._next is not None
            batch, self._next = self._next, None
        self.unacknowledged.append(batch)
        self.in_flight += 1
        return batch

    def acknowledge(self) -> OutgoingBatch:
        """Remove and return the oldest unacknowledged batch, because the leader has stored it."""
        self.is_sequence_known = True
        return self.unacknowledged.popleft()

    def rewind(self) -> None:
        """Put all unacknowledged batches back in front of the queue, in their order, and clear the error."""
        self.to_resend.extendleft(reversed(self.unacknowledged))
        self.unacknowledged.clear()
        self.is_sequence_known = False
        self.error = None

    @property
    def is_done(self) -> bool:
        """Whether the source is exhausted and every batch is acknowledged."""
        return not self.unacknowledged and self.next_batch() is None
