"""The time until a store answers for the first time: its timeouts are shorter, and its errors can mean that the
endpoint is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tasks.model.errors import (
    ConfigError,
    DamagedError,
    ObjectArchivedError,
    ObjectChangedError,
    ObjectExistsError,
    ObjectNotFoundError,
    OutcomeUnknownError,
    StoreUnavailableError,
)
from tasks.store.diagnosis import speaks_tls

_ANSWERS = (ObjectNotFoundError, ObjectExistsError, ObjectChangedError, ObjectArchivedError, DamagedError)
"""The errors that only an answer of a store can cause."""


class FirstAnswer:
    """Records whether the store at an endpoint has answered. Several threads can use it at the same time.

    Until then the timeouts are shorter, so that several attempts fit into `first_answer_ms`: a quarter of it to
    connect, and half of it to wait for a response. `endpoint` is the URL of the store, or empty.
    """

    def __init__(self, endpoint: str, *, first_answer_ms: int, connect_timeout_s: float, read_timeout_s: float) -> None:
        self._endpoint = endpoint
        first_s = first_answer_ms / 1000
        self.first_timeouts = (min(connect_timeout_s, first_s / 4), min(read_timeout_s, first_s / 2))
        """The timeouts until the first answer in seconds: to connect, and to wait for a response."""
        self.later_timeouts = (connect_timeout_s, read_timeout_s)
        self.has_answered = False
        self._is_diagnosed = False

    @property
    def timeouts(self) -> tuple[float, float]:
        """The timeouts of the next request in seconds: to connect, and to wait for a response."""
        return self.later_timeouts if self.has_answered else self.first_timeouts

    @contextmanager
    def awaited(self) -> Iterator[None]:
        """A context whose body sends a request and raises errors of `tasks.model.errors`. Records that the store has
        answered. Raises `ConfigError` instead of the error of the body if the endpoint uses TLS and its URL does not.
        """
        try:
            yield
        except _ANSWERS:
            self.has_answered = True
            raise
        except (ConfigError, StoreUnavailableError, OutcomeUnknownError) as error:
            if self._is_tls_endpoint():
                raise ConfigError(f"The endpoint {self._endpoint} speaks TLS: write it with https://") from error
            raise
        self.has_answered = True

    def _is_tls_endpoint(self) -> bool:
        """Whether the port of an http endpoint that has not answered uses TLS. Tests it only once for each store,
        because the test can take seconds."""
        if self.has_answered or self._is_diagnosed:
            return False
        self._is_diagnosed = True
        return speaks_tls(self._endpoint)
