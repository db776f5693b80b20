"""Limits of a rate: token buckets that all workers of a process share. A backup limits the bytes that it reads from its
cluster, a restore the bytes and records that it writes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from tasks.model.errors import InterruptedRunError

MOST_CREDIT_S = 1.0
"""What the limit allowed and was not used can be used later without a wait, but at most that of this time. So the time
that a broker needs for its answers does not lower the rate, and a pause does not cause a burst."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """A token bucket. `free_s` is the time at which the limit allows everything that was charged until now, on a clock
    that never goes back."""

    per_second: float
    free_s: float

    def charge(self, amount: int, now_s: float) -> tuple[Bucket, float]:
        """Add this many bytes or records. Returns the new bucket, and the seconds that the caller has to wait: until
        the limit allows them and everything that was charged before. Pure."""
        free_s = max(self.free_s, now_s - MOST_CREDIT_S) + amount / self.per_second
        return replace(self, free_s=free_s), max(0.0, free_s - now_s)


class RateLimit:
    """At most `per_second` bytes or records on average, for all threads that share it. `clock` returns seconds and
    never goes back."""

    def __init__(self, per_second: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.per_second = per_second
        self._clock = clock
        self._lock = threading.Lock()
        self._bucket = Bucket(per_second, clock())

    def spend(self, amount: int, stop: threading.Event) -> None:
        """Wait until the limit allows this many more. Raises `InterruptedRunError` as soon as `stop` is set during the
        wait."""
        with self._lock:
            self._bucket, wait_s = self._bucket.charge(amount, self._clock())
        if wait_s and stop.wait(wait_s):
            raise InterruptedRunError("Stopped while waiting for the rate limit.")


@dataclass(frozen=True, slots=True)
class WriteLimit:
    """The limits of a restore: bytes and records that all its workers in this process write. None is no limit."""

    log_bytes: RateLimit | None = None
    records: RateLimit | None = None

    @classmethod
    def of(
        cls,
        bytes_per_second: int | None,
        records_per_second: int | None,
        *,
        processes: int = 1,
        clock: Callable[[], float] = time.monotonic,
    ) -> WriteLimit:
        """New limits. If several processes write for the restore, each gets an equal share, so that all of them
        together stay below the limit."""
        limits = [
            None if rate is None else RateLimit(rate / processes, clock=clock)
            for rate in (bytes_per_second, records_per_second)
        ]
        return cls(*limits)

    def spend(self, *, log_bytes: int, records: int, stop: threading.Event) -> None:
        """Wait until both limits allow this much more. Raises `InterruptedRunError` as soon as `stop` is set during the
        wait."""
        if self.log_bytes is not None:
            self.log_bytes.spend(log_bytes, stop)
        if self.records is not None:
            self.records.spend(records, stop)


NO_LIMIT = WriteLimit()

_shared: dict[tuple[str, int], RateLimit] = {}
_shared_lock = threading.Lock()


def shared_limit(cluster_id: str, bytes_per_second: int | None) -> RateLimit | None:
    """The limit of this process for reading the cluster: every call with the same arguments returns the same one. None
    without a limit."""
    if bytes_per_second is None:
        return None
    with _shared_lock:
        return _shared.setdefault((cluster_id, bytes_per_second), RateLimit(bytes_per_second))
