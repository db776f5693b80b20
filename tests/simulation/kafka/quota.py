"""A quota on fetching: an answer that goes beyond it is empty and has the time for which the client must wait.

Source: KAFKA.md §4. A broker looks at the mean over ten seconds, so that ten seconds' worth goes through at once.
"""

from __future__ import annotations

from dataclasses import dataclass

_WINDOW_MS = 10_000
_LONGEST_THROTTLE_MS = 1_999


@dataclass(slots=True)
class FetchQuota:
    """Bytes per second for all readers together; None means no quota."""

    bytes_per_second: int | None = None
    _spent_bytes: float = 0
    _seen_ms: int = 0

    def limit(self, bytes_per_second: int | None, now_ms: int) -> None:
        """Set or remove the quota; nothing is spent yet."""
        self.bytes_per_second = bytes_per_second
        self._spent_bytes, self._seen_ms = 0, now_ms

    def throttle_ms(self, size_bytes: int, now_ms: int) -> int:
        """0: the answer goes out and is counted. Otherwise it does not, for so many milliseconds."""
        if self.bytes_per_second is None:
            return 0
        allowed = self.bytes_per_second * _WINDOW_MS / 1000
        regained = (now_ms - self._seen_ms) * self.bytes_per_second / 1000
        self._spent_bytes, self._seen_ms = max(0.0, self._spent_bytes - regained), now_ms
        if self._spent_bytes > 0 and self._spent_bytes + size_bytes > allowed:
            wait_ms = (self._spent_bytes + size_bytes - allowed) * 1000 / self.bytes_per_second
            return min(_LONGEST_THROTTLE_MS, max(1, round(wait_ms)))
        self._spent_bytes += size_bytes
        return 0
