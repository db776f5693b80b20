"""Whether records are read from followers in the client's rack (KIP-392), or only from leaders because one failed."""

from __future__ import annotations

import time
from collections.abc import Callable

LEADERS_ONLY_S = 60.0
"""How long all records are read from leaders after a follower failed. Until a leader notices that a follower died, it
still refers clients to it."""


class NearReplicas:
    """All connections of a process to one cluster share one instance. Thread-safe. `clock` returns seconds and never
    goes back."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._usable_from_s = 0.0

    @property
    def are_usable(self) -> bool:
        """Whether records can be read from followers now: none has failed in the last `LEADERS_ONLY_S`."""
        return self._clock() >= self._usable_from_s

    def note_failure(self) -> None:
        """A follower failed: read only leaders for `LEADERS_ONLY_S`."""
        self._usable_from_s = self._clock() + LEADERS_ONLY_S
