"""The time of a simulated world: it moves when something waits, and what was scheduled happens on the way."""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable

from tasks.model.errors import InterruptedRunError, KafkaBackupError

START_MS = 1_750_000_000_000
_FIRST_WAIT_MS = 50
_LONGEST_WAIT_MS = 5_000


class SimulatedClock:
    """Unix milliseconds that only `advance` moves. Safe to use from several threads."""

    def __init__(self, now_ms: int = START_MS) -> None:
        self._now_ms = now_ms
        self._lock = threading.Lock()
        self._due: list[tuple[int, int, Callable[[], object]]] = []
        self._scheduled = 0

    def now_ms(self) -> int:
        """The time now."""
        return self._now_ms

    def monotonic_s(self) -> float:
        """The same in seconds, for code that takes a `time.monotonic`."""
        return self._now_ms / 1000

    def after(self, wait_ms: int, action: Callable[[], object]) -> None:
        """Run the action once when so much time has passed, in the thread that advances the clock."""
        with self._lock:
            self._scheduled += 1
            heapq.heappush(self._due, (self._now_ms + wait_ms, self._scheduled, action))

    def advance(self, wait_ms: int) -> None:
        """Let time pass. Actions that become due run in the order of their times; an action may schedule others."""
        with self._lock:
            end_ms = self._now_ms + wait_ms
        while (action := self._next_until(end_ms)) is not None:
            action()
        with self._lock:
            self._now_ms = max(self._now_ms, end_ms)

    def _next_until(self, end_ms: int) -> Callable[[], object] | None:
        with self._lock:
            if not self._due or self._due[0][0] > end_ms:
                return None
            due_ms, _, action = heapq.heappop(self._due)
            self._now_ms = max(self._now_ms, due_ms)
            return action


class SimulatedStop(threading.Event):
    """A `stop` whose waits take simulated time: code that pauses with `stop.wait(seconds)` does not sleep."""

    def __init__(self, clock: SimulatedClock) -> None:
        super().__init__()
        self._clock = clock

    def wait(self, timeout: float | None = None) -> bool:
        """Return whether it is set, after `timeout` simulated seconds. Without a timeout it does not wait at all."""
        if not self.is_set() and timeout:
            self._clock.advance(max(1, round(timeout * 1000)))
        return self.is_set()


class SimulatedDeadline:
    """Waits between attempts of one operation, as `RetryDeadline` makes them, in simulated time."""

    def __init__(self, clock: SimulatedClock, deadline_ms: int, stop: threading.Event) -> None:
        self._clock = clock
        self._ends_ms = clock.now_ms() + deadline_ms
        self._stop = stop
        self._wait_ms = _FIRST_WAIT_MS

    def pause(self, error: KafkaBackupError) -> None:
        """Let time pass before the next attempt. Raises `error` after the deadline, `InterruptedRunError` on stop."""
        if not self.wait():
            raise error

    def wait(self) -> bool:
        """Let time pass and return True; False after the deadline. Raises `InterruptedRunError` on stop."""
        left_ms = self._ends_ms - self._clock.now_ms()
        if left_ms <= 0:
            return False
        if self._stop.is_set():
            raise InterruptedRunError("Stopped on request.") from None
        self._clock.advance(min(self._wait_ms, left_ms))
        self._wait_ms = min(2 * self._wait_ms, _LONGEST_WAIT_MS)
        return True
