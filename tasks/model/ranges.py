"""Offset ranges that need a word of their own: gaps and aborted transactions."""

from __future__ import annotations

from typing import NamedTuple


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
