"""Offset ranges with a meaning of their own: gaps, with the reasons they can have, and aborted transactions."""

from __future__ import annotations

from typing import NamedTuple

TRIMMED = "log start moved"
"""Reason of a gap that the broker's retention, or a DeleteRecords, made in a range that was being read."""

TRUNCATED = "truncated"
"""Reason of a gap where the log ends before the plan: an unclean leader election lost the records."""

TOPIC_GONE = "topic deleted"
"""Reason of a gap whose topic was deleted, or deleted and created again, while it was captured."""


class Gap(NamedTuple):
    """Offsets [first, next) that should be in the backup and are not, and why."""

    first: int
    next: int
    reason: str


class AbortedRange(NamedTuple):
    """Transactional batches of `producer_id` whose base offset lies in [first, last] belong to an aborted transaction.

    Both ends are inclusive and are offsets of stored batches.
    """

    producer_id: int
    first: int
    last: int
