"""Limits how many threads of this process have connections to one cluster, after a broker refused further connections.
Makes the message about such a refusal.

A broker with `max.connections.per.ip` accepts a connection and closes it before its first answer. A crashing broker
does the same. So this counts as a refusal only while other connections of this process to the same address work. A
broker with `max.connections` lets new connections wait without an answer, and a frozen broker does the same. So this
counts only if another connection to the address was answered just now. After a refusal fewer threads are admitted, and
the others wait until a thread has closed all its connections. A thread that has a connection never waits for another
one, so that threads cannot block one another.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from tasks.model.errors import BrokerUnavailableError, InterruptedRunError

_CONNECTIONS_PER_THREAD = 2
"""The most connections that a thread usually has to one broker: one with a request in flight, and one to look up
leaders."""

_REGROWTH_S = 10.0
"""For each such time without a refusal one more thread is admitted, because the limit is an estimate."""

_JUST_ANSWERED_S = 5.0
"""An answer is evidence that a broker works now if it is not older. Brokers answer a fetch without records after 0.5
s."""

_STOP_CHECK_S = 0.5


@dataclass(eq=False, slots=True)
class GateTicket:
    """One connection that the gate counts: the thread that opened it, and the broker's address."""

    thread: int
    address: str
    is_established: bool = False
    is_left: bool = False


class ConnectionGate:
    """Shared by all connections of one process to one cluster. Thread-safe.

    `clock` returns seconds and never goes back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._connections: Counter[int] = Counter()
        self._established: Counter[str] = Counter()
        self._reached: set[str] = set()
        self._answered: dict[str, float] = {}
        self._limit: int | None = None
        self._refused_at = 0.0
        self._active_at = clock()

    def has_reached(self, address: str) -> bool:
        """Whether a connection of this process to the address was established before."""
        return address in self._reached

    def most_threads(self) -> int | None:
        """How many threads can have connections now; None if there is no limit."""
        if self._limit is None:
            return None
        return self._limit + int((self._clock() - self._refused_at) / _REGROWTH_S)

    def is_full_for(self, thread: int) -> bool:
        """Whether a thread has to wait before it opens its first connection."""
        limit = self.most_threads()
        return limit is not None and not self._connections[thread] and len(+self._connections) >= limit

    def enter(self, address: str, *, patience_ms: int, stop: threading.Event | None = None) -> GateTicket:
        """Count a new connection of this thread. If too many other threads have connections, wait before that. Returns
        a ticket, which the caller has to give to `leave` when the connection is closed.

        Raises `BrokerUnavailableError` if this waits and no connection of the process gets an answer for `patience_ms`,
        and `InterruptedRunError` soon after `stop` is set.
        """
        thread, began = threading.get_ident(), self._clock()
        with self._changed:
            while self.is_full_for(thread):
                if stop is not None and stop.is_set():
                    raise InterruptedRunError("Stopped on request.")
                if self._clock() - max(began, self._active_at) > patience_ms / 1000:
                    raise BrokerUnavailableError(refusal_message(address))
                self._changed.wait(_STOP_CHECK_S)
            self._connections[thread] += 1
        return GateTicket(thread, address)

    def establish(self, ticket: GateTicket) -> None:
        """Note that the connection is set up: the broker answered on it. Call it once for each ticket."""
        with self._changed:
            ticket.is_established = True
            self._established[ticket.address] += 1
            self._reached.add(ticket.address)

    def note_answer(self, address: str) -> None:
        """Note that a connection of this process to the address got an answer, so that waiting threads continue to
        wait."""
        self._active_at = self._answered[address] = self._clock()

    def refuse(self, ticket: GateTicket, *, is_silent: bool = False) -> bool:
        """Note that the broker closed the connection before its first answer, or with `is_silent` that it did not
        answer in time. Returns whether a limit of the broker is the probable reason; then fewer threads are admitted
        from now on."""
        with self._changed:
            others = self._established[ticket.address]
            if not others or (is_silent and not self._has_just_answered(ticket.address)):
                return False
            estimate = max(1, others // _CONNECTIONS_PER_THREAD)
            self._limit = estimate if self._limit is None else min(self._limit, estimate)
            self._refused_at = self._clock()
            return True

    def _has_just_answered(self, address: str) -> bool:
        answered = self._answered.get(address)
        return answered is not None and self._clock() - answered < _JUST_ANSWERED_S

    def leave(self, ticket: GateTicket) -> None:
        """Note that the connection is closed. May be called twice."""
        with self._changed:
            if ticket.is_left:
                return
            ticket.is_left = True
            self._connections[ticket.thread] -= 1
            if not self._connections[ticket.thread]:
                del self._connections[ticket.thread]
            if ticket.is_established:
                self._established[ticket.address] -= 1
            self._changed.notify_all()


def refusal_message(address: str, *, is_silent: bool = False) -> str:
    """The message for a broker that refuses further connections, with the limits to change."""
    does = "does not answer new connections although it answers others" if is_silent else ""
    return (
        f"Broker {address} {does or 'closes new connections although other connections to it work'}. It probably has a "
        "limit (max.connections.per.ip, max.connections or a connection creation rate). Raise that limit, or lower "
        "max_concurrent_partitions."
    )
