"""Waits between attempts: capped exponential backoff with jitter until a deadline, ended at once by `stop`."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tasks.model.errors import InterruptedRunError, KafkaBackupError

_FIRST_MS = 50
_LONGEST_MS = 5_000


@dataclass
class RetryDeadline:
    """How long one operation may go on failing. Make a new one for each operation; not thread-safe."""

    deadline_ms: int
    stop: threading.Event = field(default_factory=threading.Event)
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        self._ends = self.clock() + self.deadline_ms / 1000
        self._wait_ms = _FIRST_MS

    def pause(self, error: KafkaBackupError) -> None:
        """Wait before the next attempt. Raises `error` after the deadline, `InterruptedRunError` on `stop`."""
        if not self.wait():
            raise error

    def wait(self) -> bool:
        """Wait before the next attempt; False, at once, after the deadline. Raises `InterruptedRunError` on `stop`."""
        left = self._ends - self.clock()
        if left <= 0:
            return False
        wait_ms = random.uniform(self._wait_ms / 2, self._wait_ms)
        self._wait_ms = min(2 * self._wait_ms, _LONGEST_MS)
        if self.stop.wait(min(wait_ms / 1000, left)):
            raise InterruptedRunError("Stopped on request.") from None
        return True
