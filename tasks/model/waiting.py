"""Waits for a cluster or a store: records whether it has answered, decides how long it is waited for until then and
afterwards, and reports long waits with their reasons.

`Contact.has_answered` selects the deadline: a short one until the first answer, because the address can be wrong, and a
long one after it, because the cluster or store worked before. A separate thread reports waits, because a blocked call
cannot do so itself.
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
"""How long an operation waits for a cluster or a store that has not answered yet."""

_FIRST_REPORT_S = 5.0
_REPORT_INTERVAL_S = 15.0
_FORGOTTEN_S = 15.0
"""If a wait has no new attempt for this time, it is over. The time is longer than any pause between two attempts."""

_TICK_S = 0.5
_NO_ANSWER = "no answer yet"

_log = logging.getLogger(__name__)


class WaitReport(NamedTuple):
    """One report of a wait: its subject (an address, a store's location), its duration, and the reason of the last
    failed attempt."""

    subject: str
    waited_s: float
    reason: str

    def __str__(self) -> str:
        return f"waiting for {self.subject} since {self.waited_s:.0f} s: {self.reason}"


OnWaiting = Callable[[WaitReport], None]
"""Receives reports, in a separate thread. It should return soon. Its exceptions are logged and not raised."""


@dataclass(slots=True)
class _Wait:
    began: float
    next_report: float
    last_active: float
    reason: str
    attempts: int = 0


class Contact:
    """Records for one process whether a cluster or a store has answered, and the waits for it. Thread-safe: all threads
    of the process share one object.

    A wait begins with the first attempt to reach a subject. It ends with the first attempt that succeeds or fails with
    a permanent error. `on_waiting` gets the first report after 5 s of waiting, and another one every 15 s. Attempts of
    several threads for the same subject are one wait. `clock` returns seconds and never goes back.
    """

    def __init__(self, on_waiting: OnWaiting | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._on_waiting = on_waiting
        self._clock = clock
        self._lock = threading.Lock()
        self._waits: dict[str, _Wait] = {}
        self._is_monitored = False
        self._has_answered = False
        self.last_address: str | None = None
        """The address to which a connection was opened last."""

    @property
    def has_answered(self) -> bool:
        """Whether the cluster or the store gave a usable answer at least once."""
        return self._has_answered

    def mark_answered(self) -> None:
        """Record that the cluster or the store has answered. From now on `deadline_ms` returns `retry_deadline_ms`. May
        be called again."""
        self._has_answered = True

    def deadline_ms(self, *, connect_timeout_ms: int, retry_deadline_ms: int) -> int:
        """How long an operation is retried, in milliseconds: the smaller of both values until `mark_answered` is
        called, and `retry_deadline_ms` after that."""
        return retry_deadline_ms if self._has_answered else min(connect_timeout_ms, retry_deadline_ms)

    @contextmanager
    def attempt(self, subject: str, *, reason: str = _NO_ANSWER) -> Iterator[None]:
        """A context for one attempt to get an answer from `subject`. If the body raises a retryable error, the wait
        goes on, and the error becomes its reason; before that the reason is `reason`. If the body ends in any other
        way, the wait ends. Does not call `mark_answered`."""
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

    def retrying(self, subject: str, reason: str) -> None:
        """An attempt failed and is repeated soon: the wait begins, or goes on with this reason. End it with `over`."""
        self._begin(subject, reason)
        self._end(subject, reason)

    def over(self, subject: str) -> None:
        """End the wait for the subject, if there is one."""
        self._end(subject, None)

    def report(self, subject: str, reason: str) -> None:
        """Report at once that a wait for the subject begins: for a wait whose length a server has stated."""
        if self._on_waiting is not None:
            self._on_waiting(WaitReport(subject, 0, reason))

    def due_reports(self) -> list[WaitReport]:
        """The reports that are due now. Each is returned once. Also ends the waits that have had no attempt for 15
        s."""
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
        """End an attempt. If `reason` is None, the wait ends too; otherwise it becomes the reason of the wait."""
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
        """Report the waits until there are none."""
        assert self._on_waiting is not None
        while True:
            time.sleep(_TICK_S)
            for report in self.due_reports():
                try:
                    self._on_waiting(report)
                except Exception:  # so that a failed report does not end the run
                    _log.exception("A wait could not be reported.")
            with self._lock:
                if not self._waits:
                    self._is_monitored = False
                    return
