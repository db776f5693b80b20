"""The retry loop of this folder: waits with capped exponential backoff and jitter until a deadline, ended by `stop`.

A loop makes its first attempt, and after each failed attempt calls `pause` (which raises the error after the deadline)
or `wait` (which returns False then). The last wait ends at the deadline, so the last attempt is made there.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tasks.model.errors import InterruptedRunError, KafkaBackupError


@dataclass
class RetryDeadline:
    """How long one operation is retried. Make a new one for each operation. Not thread-safe.

    `deadline_ms` is a number, or a function that is called before each wait, because a cluster that answers meanwhile
    earns a longer deadline.

    Each wait is random between half of a bound and the bound. The bound is `first_wait_ms`, and doubles with each wait
    up to `longest_wait_ms`.
    """

    deadline_ms: int | Callable[[], int]
    stop: threading.Event = field(default_factory=threading.Event)
    clock: Callable[[], float] = time.monotonic
    first_wait_ms: int = 50
    longest_wait_ms: int = 5_000

    def __post_init__(self) -> None:
        self._began = self.clock()
        self._wait_ms = self.first_wait_ms

    @property
    def is_over(self) -> bool:
        """Whether the deadline has passed, so that `wait` returns False."""
        return self._left_s() <= 0

    def pause(self, error: KafkaBackupError) -> None:
        """Wait before the next attempt. Raises `error` after the deadline, `InterruptedRunError` when `stop` is set."""
        if not self.wait():
            raise error

    def wait(self) -> bool:
        """Wait before the next attempt and return True. Returns False at once after the deadline.

        Raises `InterruptedRunError` when `stop` is set.
        """
        left_s = self._left_s()
        if left_s <= 0:
            return False
        wait_ms = random.uniform(self._wait_ms / 2, self._wait_ms)
        self._wait_ms = min(2 * self._wait_ms, self.longest_wait_ms)
        return self._waited(min(wait_ms / 1000, left_s))

    def wait_for(self, wait_ms: int) -> bool:
        """Same as `wait`, for a wait that a broker asked for. It ends at the deadline too."""
        left_s = self._left_s()
        return left_s > 0 and self._waited(min(wait_ms / 1000, left_s))

    def _left_s(self) -> float:
        deadline_ms = self.deadline_ms if isinstance(self.deadline_ms, int) else self.deadline_ms()
        return self._began + deadline_ms / 1000 - self.clock()

    def _waited(self, wait_s: float) -> bool:
        if self.stop.wait(wait_s):
            raise InterruptedRunError("Stopped on request.") from None
        return True
