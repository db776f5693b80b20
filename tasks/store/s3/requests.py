"""Sends requests to S3 for the adapters of this folder: the shorter timeouts until the first answer, the translation of
errors, and the recognition of answers that are not from S3."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from tasks.model.errors import (
    ConfigError,
    DamagedError,
    ObjectArchivedError,
    ObjectChangedError,
    ObjectExistsError,
    ObjectNotFoundError,
    OutcomeUnknownError,
    StoreError,
    StoreUnavailableError,
)
from tasks.store.diagnosis import speaks_tls
from tasks.store.s3.client import CONNECT_TIMEOUT_S, READ_TIMEOUT_S, Client, open_client
from tasks.store.s3.error_responses import Request, unreadable_response
from tasks.store.s3.settings import S3Settings
from tasks.store.s3.translation import translated

_ANSWERS_OF_S3 = (ObjectNotFoundError, ObjectExistsError, ObjectChangedError, ObjectArchivedError, DamagedError)
"""The errors that only an answer of S3 can cause."""


class S3Requests:
    """The clients of one bucket. Several threads can use them at the same time.

    Until S3 has answered for the first time, the timeouts are shorter, so that several attempts fit into the
    `connect_timeout_ms` of the settings: a quarter of it to connect, and half of it to wait for a response. Later
    requests have the timeouts of the constructor.
    """

    def __init__(
        self,
        settings: S3Settings,
        *,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        read_timeout_s: float = READ_TIMEOUT_S,
    ) -> None:
        """Sends no request to S3. Raises what `open_client` raises."""
        self.settings = settings
        self._timeouts = (connect_timeout_s, read_timeout_s)
        first_s = settings.connect_timeout_ms / 1000
        self._first_client = self._opened_client(min(connect_timeout_s, first_s / 4), min(read_timeout_s, first_s / 2))
        self._later_client: Client = None
        self._lock = threading.Lock()
        self._has_answered = False
        self._is_diagnosed = False

    @property
    def client(self) -> Client:
        """The client for the next request."""
        if not self._has_answered:
            return self._first_client
        with self._lock:
            if self._later_client is None:
                self._later_client = self._opened_client(*self._timeouts)
            return self._later_client

    def close(self) -> None:
        """Release the connections. May be called twice."""
        self._first_client.close()
        if self._later_client is not None:
            self._later_client.close()

    def check_is_of_s3(self, response: Mapping[str, Any], names: tuple[str, ...], request: Request) -> None:
        """Raises the error of `unreadable_response` if one of these members is missing in the response. Every response
        of S3 has them, so another program answered then."""
        if any(name not in response for name in names):
            raise unreadable_response(request, has_answered=self._has_answered)

    @contextmanager
    def request(
        self,
        operation: str,
        key: str | None = None,
        *,
        is_write: bool = False,
        condition_error: type[StoreError] | None = None,
    ) -> Iterator[Request]:
        """A context whose body sends the request. Translates the errors of the body, and records that S3 has
        answered."""
        request = Request(
            settings=self.settings, operation=operation, key=key, is_write=is_write, condition_error=condition_error
        )
        try:
            with translated(request, has_answered=self._has_answered):
                yield request
        except _ANSWERS_OF_S3:
            self._has_answered = True
            raise
        except (ConfigError, StoreUnavailableError, OutcomeUnknownError) as error:
            if self._is_tls_endpoint():
                raise ConfigError(
                    f"The endpoint {self.settings.endpoint} speaks TLS: write it with https://"
                ) from error
            raise
        self._has_answered = True

    def _opened_client(self, connect_timeout_s: float, read_timeout_s: float) -> Client:
        return open_client(self.settings, connect_timeout_s=connect_timeout_s, read_timeout_s=read_timeout_s)

    def _is_tls_endpoint(self) -> bool:
        """Whether the port of an http endpoint that has not answered uses TLS. Tests it only once for each store,
        because the test can take seconds."""
        if self._has_answered or self._is_diagnosed:
            return False
        self._is_diagnosed = True
        return speaks_tls(self.settings.endpoint or "")
