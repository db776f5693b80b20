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
from typing import NamedTuple, Self

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
    subject: str
    began: float
    last_active: float
    reason: str
    attempts: int = 0


class Contact:
    """Records for one process whether a cluster or a store has answered, and the waits for it. Thread-safe: all threads
    of the process share one object.

    A wait begins with the first attempt to reach a subject. It ends with the first attempt that succeeds or fails with
    a permanent error. `on_waiting` gets the first report after 5 s of waiting, and another one every 15 s. Attempts of
    several threads for the same subject are one wait. `operation` is the wait of one caller alone, which no success of
    another one ends. Of several waits with the same subject, the longest is reported. `clock` returns seconds and never
    goes back.
    """

    def __init__(self, on_waiting: OnWaiting | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._on_waiting = on_waiting
        self._clock = clock
        self._lock = threading.Lock()
        self._waits: dict[object, _Wait] = {}
        """The waits that are not over. The key is the subject, or the `OperationWait` if the wait belongs to one
        operation."""

        self._reported: dict[str, float] = {}
        """When the wait for a subject was reported last."""

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

    def operation(self, subject: str) -> OperationWait:
        """The wait of an operation that begins now and is possibly repeated: see `OperationWait`."""
        return OperationWait(self, subject)

    def over(self, subject: str | OperationWait) -> None:
        """End the wait for the subject, or of the operation, if there is one."""
        self._end(subject, None)

    def note_failure(self, operation: OperationWait, subject: str, began: float, reason: str, *, is_new: bool) -> None:
        """Begin the wait of an operation, or give it this reason. Only `OperationWait` calls it."""
        if is_new:
            self._begin(subject, reason, key=operation, began=began)
        with self._lock:
            if operation in self._waits:
                self._waits[operation].reason = reason

    def now(self) -> float:
        """The time of this object's clock, in seconds."""
        return self._clock()

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
                key: wait
                for key, wait in self._waits.items()
                if wait.attempts > 0 or now - wait.last_active < _FORGOTTEN_S
            }
            longest: dict[str, _Wait] = {}
            for wait in sorted(self._waits.values(), key=lambda wait: wait.began):
                longest.setdefault(wait.subject, wait)
            self._reported = {subject: at for subject, at in self._reported.items() if subject in longest}
            due = [wait for wait in longest.values() if self._is_due(wait, now)]
            self._reported.update({wait.subject: now for wait in due})
            return [WaitReport(wait.subject, now - wait.began, wait.reason) for wait in due]

    def _is_due(self, wait: _Wait, now: float) -> bool:
        reported = self._reported.get(wait.subject)
        return now - wait.began >= _FIRST_REPORT_S and (reported is None or now - reported >= _REPORT_INTERVAL_S)

    def _begin(self, subject: str, reason: str, *, key: object = None, began: float | None = None) -> None:
        """Begin an attempt, and with it the wait if there is none with this key. `began`: when the wait began, by
        default now."""
        now = self._clock()
        with self._lock:
            began = now if began is None else began
            wait = self._waits.setdefault(key or subject, _Wait(subject, began, now, reason))
            wait.attempts += 1
            wait.last_active = now
            starts_monitor = self._on_waiting is not None and not self._is_monitored
            self._is_monitored = self._is_monitored or starts_monitor
        if starts_monitor:
            threading.Thread(target=self._monitor, name="wait-reports", daemon=True).start()

    def _end(self, key: object, reason: str | None) -> None:
        """End an attempt. If `reason` is None, the wait ends too; otherwise it becomes the reason of the wait."""
        with self._lock:
            wait = self._waits.get(key)
            if wait is None:  # another thread's attempt ended the wait
                return
            if reason is None:
                del self._waits[key]
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


class OperationWait:
    """The wait of one operation, which its caller repeats after failures. For one thread.

    Until `failed` is called, nothing is reported. From then on the wait lasts until `over` or the end of the `with`
    block, and its duration counts from the beginning of the operation.
    """

    __slots__ = ("_began", "_contact", "_is_waiting", "_subject")

    def __init__(self, contact: Contact, subject: str) -> None:
        self._contact = contact
        self._subject = subject
        self._began = contact.now()
        self._is_waiting = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.over()

    def failed(self, reason: object) -> None:
        """Note that an attempt failed, or is late, for this reason, and that the operation goes on."""
        self._contact.note_failure(
            self, self._subject, self._began, f"{reason}".rstrip("."), is_new=not self._is_waiting
        )
        self._is_waiting = True

    def over(self) -> None:
        """End the wait, because the operation succeeded or was given up. If `failed` is called again, another wait has
        begun now."""
        if self._is_waiting:
            self._contact.over(self)
            self._is_waiting = False
        self._began = self._contact.now()
