"""The waits between the attempts of this folder, and their default lengths: exponential backoff with a bound and
jitter, until a deadline.

A loop makes an attempt, and after each failed one it calls `pause` or `wait`. After the deadline `pause` raises the
error of the attempt, and `wait` returns False. The last wait ends at the deadline; then one more attempt is made.
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
    """How long one operation is retried: until `deadline_ms` after this object was made. Make a new one for each
    operation. Not thread-safe.

    `deadline_ms` is a number, or a function that is called before each wait, because the deadline becomes longer when
    the cluster answers for the first time. `clock` returns seconds and never goes back.

    Each wait is random between half of a bound and the bound, but ends at the deadline. The bound is `first_wait_ms`,
    and doubles with each wait up to `longest_wait_ms`.
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
        """Wait before the next attempt. Raises `error` at once after the deadline, and `InterruptedRunError` if `stop`
        is set."""
        if not self.wait():
            raise error

    def wait(self) -> bool:
        """Wait before the next attempt and return True. Returns False at once after the deadline.

        Raises `InterruptedRunError` if `stop` is set before or during the wait.
        """
        left_s = self._left_s()
        if left_s <= 0:
            return False
        wait_ms = random.uniform(self._wait_ms / 2, self._wait_ms)
        self._wait_ms = min(2 * self._wait_ms, self.longest_wait_ms)
        return self._waited(min(wait_ms / 1000, left_s))

    def wait_for(self, wait_ms: int) -> bool:
        """Same as `wait`, but waits `wait_ms`, the time that a broker requested. It also ends at the deadline."""
        left_s = self._left_s()
        return left_s > 0 and self._waited(min(wait_ms / 1000, left_s))

    def extend(self, seconds: float) -> None:
        """Move the deadline by this time, which does not count: nothing was tried in it."""
        self._began += seconds

    def _left_s(self) -> float:
        deadline_ms = self.deadline_ms if isinstance(self.deadline_ms, int) else self.deadline_ms()
        return self._began + deadline_ms / 1000 - self.clock()

    def _waited(self, wait_s: float) -> bool:
        if self.stop.wait(wait_s):
            raise InterruptedRunError("Stopped on request.") from None
        return True
