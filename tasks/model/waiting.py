"""Waiting for a cluster or a store: whether it ever answered, and reports of what is waited for, since when, and why.

Patience is earned: `Contact.has_answered` decides between the short timeout of the first contact and the long deadline
of something that worked before. A thread reports waits, because a blocked call cannot do so itself.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

from tasks.model.errors import KafkaBackupError

CONNECT_TIMEOUT_MS = 20_000
"""How long an operation waits for a cluster or a store that did not answer yet."""

_FIRST_REPORT_S = 5.0
_REPORT_INTERVAL_S = 15.0
_FORGOTTEN_S = 15.0
"""A wait without a new attempt for this long is over: nobody waits for the subject now. More than any retry's pause."""

_TICK_S = 0.5
_NO_ANSWER = "no answer yet"

_log = logging.getLogger(__name__)


class WaitReport(NamedTuple):
    """What is waited for (an address, a store's location), for how long, and the reason of the last failed attempt."""

    subject: str
    waited_s: float
    reason: str

    def __str__(self) -> str:
        return f"waiting for {self.subject} since {self.waited_s:.0f} s: {self.reason}"


OnWaiting = Callable[[WaitReport], None]
"""Receives reports, in a thread of its own. It should return soon; what it raises is logged and dropped."""


@dataclass(slots=True)
class _Wait:
    began: float
    next_report: float
    last_active: float
    reason: str
    attempts: int = 0


class Contact:
    """What one process knows about reaching one cluster or store. All its threads share it.

    A wait begins with the first attempt to reach a subject, and ends with the first attempt that succeeds or fails for
    good. `on_waiting` gets the first report after 5 s of waiting, and another one every 15 s. Attempts of several
    threads for one subject are one wait. `clock` returns seconds and never goes back.
    """

    def __init__(self, on_waiting: OnWaiting | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._on_waiting = on_waiting
        self._clock = clock
        self._lock = threading.Lock()
        self._waits: dict[str, _Wait] = {}
        self._is_monitored = False
        self._has_answered = False

    @property
    def has_answered(self) -> bool:
        """Whether the cluster or the store gave a usable answer at least once."""
        return self._has_answered

    def mark_answered(self) -> None:
        """From now on failures count as failures of something that worked before."""
        self._has_answered = True

    def deadline_ms(self, *, connect_timeout_ms: int, retry_deadline_ms: int) -> int:
        """How long an operation is retried now: the shorter of both until there was an answer, then the second."""
        return retry_deadline_ms if self._has_answered else min(connect_timeout_ms, retry_deadline_ms)

    @contextmanager
    def attempt(self, subject: str, *, reason: str = _NO_ANSWER) -> Iterator[None]:
        """One attempt to get an answer from the subject. A retryable error of the body keeps the wait and becomes its
        reason, which is `reason` until then. Any other end of the body ends the wait. Does not call `mark_answered`."""
        self._begin(subject, reason)
        try:
            yield
        except KafkaBackupError as error:
            self._end(subject, str(error).rstrip(".") if error.retryable else None)
            raise
        except BaseException:
            self._end(subject, None)
            raise
        self._end(subject, None)

    def report(self, subject: str, reason: str) -> None:
        """Report at once that a wait for the subject begins: for a wait whose length a server has stated."""
        if self._on_waiting is not None:
            self._on_waiting(WaitReport(subject, 0, reason))

    def due_reports(self) -> list[WaitReport]:
        """The reports that are due now; each is returned once. Forgets waits that have no attempts any more."""
        now = self._clock()
        with self._lock:
            self._waits = {
                subject: wait
                for subject, wait in self._waits.items()
                if wait.attempts > 0 or now - wait.last_active < _FORGOTTEN_S
            }
            due = [(subject, wait) for subject, wait in self._waits.items() if now >= wait.next_report]
            for _, wait in due:
                wait.next_report = now + _REPORT_INTERVAL_S
            return [WaitReport(subject, now - wait.began, wait.reason) for subject, wait in due]

    def _begin(self, subject: str, reason: str) -> None:
        now = self._clock()
        with self._lock:
            wait = self._waits.setdefault(subject, _Wait(now, now + _FIRST_REPORT_S, now, reason))
            wait.attempts += 1
            wait.last_active = now
            starts_monitor = self._on_waiting is not None and not self._is_monitored
            self._is_monitored = self._is_monitored or starts_monitor
        if starts_monitor:
            threading.Thread(target=self._monitor, name="wait-reports", daemon=True).start()

    def _end(self, subject: str, reason: str | None) -> None:
        """`reason` is None if the wait is over."""
        with self._lock:
            wait = self._waits.get(subject)
            if wait is None:  # another thread's attempt ended the wait
                return
            if reason is None:
                del self._waits[subject]
                return
            wait.attempts -= 1
            wait.last_active = self._clock()
            wait.reason = reason

    def _monitor(self) -> None:
        """Report until nothing is waited for."""
        assert self._on_waiting is not None
        while True:
            time.sleep(_TICK_S)
            for report in self.due_reports():
                try:
                    self._on_waiting(report)
                except Exception:  # a report must never end a run
                    _log.exception("A wait could not be reported.")
            with self._lock:
                if not self._waits:
                    self._is_monitored = False
                    return
