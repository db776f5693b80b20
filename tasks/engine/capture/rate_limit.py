"""The limit of the bytes that a backup reads from its cluster: a token bucket that all workers of a process share."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from tasks.model.errors import InterruptedRunError

MOST_CREDIT_S = 1.0
"""Bytes that the limit allowed and that were not read can be read later without a wait, but at most those of this time.
So the time that a broker needs for its answers does not lower the rate, and a pause does not cause a burst."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """A token bucket. `free_s` is the time at which the limit allows all bytes that were received until now, on a clock
    that never goes back."""

    bytes_per_second: int
    free_s: float

    def charge(self, received_bytes: int, now_s: float) -> tuple[Bucket, float]:
        """Add these bytes. Returns the new bucket, and the seconds that their receiver has to wait. A receiver waits
        until the limit allows its bytes and all bytes that were received before them. Pure."""
        free_s = max(self.free_s, now_s - MOST_CREDIT_S) + received_bytes / self.bytes_per_second
        return replace(self, free_s=free_s), max(0.0, free_s - now_s)


class RateLimit:
    """At most `bytes_per_second` on average, for all threads that share it. `clock` returns seconds and never goes
    back."""

    def __init__(self, bytes_per_second: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.bytes_per_second = bytes_per_second
        self._clock = clock
        self._lock = threading.Lock()
        self._bucket = Bucket(bytes_per_second, clock())

    def spend(self, received_bytes: int, stop: threading.Event) -> None:
        """Wait until the limit allows the bytes that were just received. Raises `InterruptedRunError` as soon as `stop`
        is set during the wait."""
        with self._lock:
            self._bucket, wait_s = self._bucket.charge(received_bytes, self._clock())
        if wait_s and stop.wait(wait_s):
            raise InterruptedRunError("The run was stopped. There is no new restore point.")


_shared: dict[tuple[str, int], RateLimit] = {}
_shared_lock = threading.Lock()


def shared_limit(cluster_id: str, bytes_per_second: int | None) -> RateLimit | None:
    """The limit of this process for reading the cluster: every call with the same arguments returns the same one. None
    without a limit."""
    if bytes_per_second is None:
        return None
    with _shared_lock:
        return _shared.setdefault((cluster_id, bytes_per_second), RateLimit(bytes_per_second))
