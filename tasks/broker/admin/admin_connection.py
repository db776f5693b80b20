"""The connections of an `Admin`. Each request borrows a `Cluster`, so that several threads can send requests."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Self

from tasks.broker.admin.admin_requests import (
    Answers,
    Attempt,
    K,
    Send,
    Split,
    T,
    V,
    answer_each,
    together,
    values_or_raise,
)
from tasks.broker.raw.cluster import Cluster
from tasks.broker.raw.connection import ConnectionOptions
from tasks.broker.retry import RetryDeadline
from tasks.broker.translation import Action
from tasks.model.errors import BrokerUnavailableError

_FIRST_POLL_MS = 10
_LONGEST_POLL_MS = 500


class AdminConnection:
    """Sends administrative requests to one cluster. Safe to use from several threads. Connects when the first request
    is sent.

    `deadline_ms` limits the wait for a cluster that does not answer, and the retries after retryable errors. None means
    the connection's own deadline, which becomes longer when the cluster answers for the first time.
    """

    def __init__(
        self, connection: ConnectionOptions, *, deadline_ms: int | None = None, stop: threading.Event | None = None
    ) -> None:
        self.connection = connection
        self.location = f"the cluster at {','.join(connection.bootstrap_servers)}"
        self._deadline_ms = deadline_ms
        self.stop = stop or threading.Event()
        self._lock = threading.Lock()
        self._idle: list[Cluster] = []

    @property
    def deadline_ms(self) -> int:
        """How long a request is retried, in milliseconds. The value can change when the cluster answers for the first
        time."""
        return self.connection.deadline_ms() if self._deadline_ms is None else self._deadline_ms

    def close(self) -> None:
        """Close the connections that no request uses now. May be called twice."""
        with self._lock:
            for cluster in self._idle:
                cluster.close()
            self._idle.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @contextmanager
    def _borrowed(self) -> Iterator[Cluster]:
        """A `Cluster` that no other thread uses during the context: an idle one, or a new one."""
        with self._lock:
            cluster = self._idle.pop() if self._idle else Cluster(self.connection, stop=self.stop)
        try:
            yield cluster
        finally:
            with self._lock:
                self._idle.append(cluster)

    def answer_each(
        self,
        keys: Sequence[K],
        send: Send[K, V],
        action: Callable[[K], Action],
        split: Split[K] = together,
    ) -> Answers[K, V]:
        """A value or an error for each key: see `admin_requests.answer_each`. Uses this object's connections, deadline
        and `stop`. Empty keys send no request."""
        if not keys:
            return {}
        with self._borrowed() as cluster:
            return answer_each(
                cluster, keys, send, action, split=split, deadline_ms=lambda: self.deadline_ms, stop=self.stop
            )

    def answer(self, action: Action, send: Callable[[Attempt], T]) -> T:
        """The result of `send`, which is called again after retryable errors until the deadline. Raises its error."""
        return values_or_raise(self.answer_each([""], lambda attempt, _: {"": send(attempt)}, lambda _: action))[""]

    def await_that(self, condition: Callable[[], bool], message: str) -> None:
        """Return when `condition` returns true. It is called again and again, because brokers learn of an accepted
        change one after the other.

        Raises `BrokerUnavailableError(message)` after the deadline, `InterruptedRunError` soon after `stop` is set, and
        every error of `condition`.
        """
        deadline = RetryDeadline(
            lambda: self.deadline_ms, self.stop, first_wait_ms=_FIRST_POLL_MS, longest_wait_ms=_LONGEST_POLL_MS
        )
        with self.connection.contact.operation("the brokers to learn of a change") as waiting:
            while not condition():
                waiting.failed(message)
                deadline.pause(BrokerUnavailableError(message))
