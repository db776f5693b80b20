"""The beds that the contract suite of `tasks/broker/ports.py` runs on, and settings that its topics use.

A bed gives the ports (`access`) and does what other clients and operators of the cluster do. The simulated and
the real bed do the same, so that no test depends on which one it has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol, TypeVar

from tasks.broker.ports import ClusterAccess
from tests.support.producing import OutRecord, Transaction

T = TypeVar("T")

SIMULATED_VERSIONS = ("4.3.1", "3.9.1")
DEADLINE_MS = 2_000
"""How long the ports of a bed wait for trouble that may pass."""

HOUR_MS = 3_600_000
LONGEST_MS = (1 << 63) - 1
ANY_TIME = {"message.timestamp.before.max.ms": str(LONGEST_MS), "message.timestamp.after.max.ms": str(LONGEST_MS)}
COMPACTED = {
    **ANY_TIME,
    "cleanup.policy": "compact",
    "segment.ms": str(HOUR_MS),
    "min.cleanable.dirty.ratio": "0.0",
    "delete.retention.ms": "0",
}
"""Segments close when a record comes that is an hour newer than the segment's first."""


class KafkaBed(Protocol):
    """A cluster under test. Topics and groups need names that no other test uses."""

    @property
    def access(self) -> ClusterAccess:
        """The ports."""
        ...

    @property
    def version(self) -> str:
        """The version of Kafka that it is, or behaves as."""
        ...

    def now_ms(self) -> int:
        """The brokers' clock."""
        ...

    def produce(
        self,
        topic: str,
        records: Sequence[OutRecord],
        *,
        partition: int = 0,
        records_per_batch: int = 1000,
        codec: str = "none",
        is_idempotent: bool = True,
    ) -> None:
        """Another producer writes the records, in batches of this size."""
        ...

    def run_transactions(self, topic: str, transactions: Sequence[Transaction]) -> None:
        """One producer runs them one after the other in partition 0."""
        ...

    def open_transaction(
        self, topic: str, records: Sequence[OutRecord], *, is_committed: bool = False
    ) -> AbstractContextManager[None]:
        """The records lie in partition 0, their transaction is open while the body runs, then it commits or aborts."""
        ...

    def clean(self, topic: str, end: int) -> None:
        """Return when the cleaner has passed over partition 0 up to this offset, where a segment begins."""
        ...

    def apply_retention(self, is_done: Callable[[], bool]) -> None:
        """Return when the brokers have deleted what they keep no longer, so that `is_done`."""
        ...

    def group_member(self, group: str, topic: str, *, kind: str) -> AbstractContextManager[None]:
        """A member of a `classic`, `consumer` or `share` group is alive while the body runs."""
        ...

    def commit(self, group: str, topic: str, offsets: Mapping[int, int], *, kind: str = "classic") -> None:
        """A member commits positions (partition → offset) and leaves."""
        ...

    def while_commit_is_pending(self, group: str, topic: str, offset: int, act: Callable[[], T]) -> T:
        """The result of `act`, which begins while a transaction is about to commit this position of partition 0.

        The transaction commits half a second later.
        """
        ...

    def pending_commits(self, groups: Sequence[str], topic: str, offset: int) -> AbstractContextManager[None]:
        """While the body runs, a transaction is open that is about to commit this position of partition 0 for each
        group. Then it aborts."""
        ...

    def limit_fetching(self, bytes_per_second: int) -> AbstractContextManager[None]:
        """A quota on what this bed's ports fetch is in force while the body runs."""
        ...


class GuardedKafkaBed(KafkaBed, Protocol):
    """A cluster of its own, with an authorizer, whose only broker may be restarted."""

    def deny(self, kind: str, name: str, *operations: str) -> AbstractContextManager[None]:
        """While the body runs these operations (`Read`) on the resource (`Topic`, …) are denied, and all others not."""
        ...

    def restart(self) -> None:
        """The broker is stopped in order and started again."""
        ...
