"""Sends requests to Google Cloud Storage for the adapter: the shorter timeouts until the first answer, the translation
of errors, and the recognition of answers that are not from the store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from tasks.model.errors import (
    ConfigError,
    DamagedError,
    ObjectChangedError,
    ObjectExistsError,
    ObjectNotFoundError,
    OutcomeUnknownError,
    StoreError,
    StoreUnavailableError,
)
from tasks.store.diagnosis import speaks_tls
from tasks.store.gcs.client import CONNECT_TIMEOUT_S, READ_TIMEOUT_S, open_client
from tasks.store.gcs.error_responses import Request, unreadable_response
from tasks.store.gcs.settings import GcsSettings
from tasks.store.gcs.translation import translated

_ANSWERS_OF_GCS = (ObjectNotFoundError, ObjectExistsError, ObjectChangedError, DamagedError)
"""The errors that only an answer of the store can cause."""


class GcsRequests:
    """The client of one bucket. Several threads can use it at the same time.

    Until the store has answered for the first time, the timeouts are shorter, so that several attempts fit into the
    `connect_timeout_ms` of the settings: a quarter of it to connect, and half of it to wait for a response. Later
    requests have the timeouts of the constructor.
    """

    def __init__(
        self,
        settings: GcsSettings,
        *,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        read_timeout_s: float = READ_TIMEOUT_S,
    ) -> None:
        """Sends no request to the store. Raises what `open_client` raises."""
        self.settings = settings
        self.client = open_client(settings)
        first_s = settings.connect_timeout_ms / 1000
        self._first_timeouts = (min(connect_timeout_s, first_s / 4), min(read_timeout_s, first_s / 2))
        self._later_timeouts = (connect_timeout_s, read_timeout_s)
        self._has_answered = False
        self._is_diagnosed = False

    @property
    def timeout(self) -> tuple[float, float]:
        """The timeouts of the next request in seconds: to connect, and to wait for a response."""
        return self._later_timeouts if self._has_answered else self._first_timeouts

    def close(self) -> None:
        """Release the connections. May be called twice."""
        self.client.close()

    def check_is_of_gcs(self, response: object, names: tuple[str, ...], request: Request) -> None:
        """Raises the error of `unreadable_response` if the response is no mapping, or if one of these members is
        missing in it. Every response of the store has them, so another program answered then."""
        if not isinstance(response, Mapping) or any(name not in response for name in names):
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
        """A context whose body sends the request. Translates the errors of the body, and records that the store has
        answered."""
        request = Request(
            settings=self.settings, operation=operation, key=key, is_write=is_write, condition_error=condition_error
        )
        try:
            with translated(request, has_answered=self._has_answered):
                self.client.renew_token(self.timeout)
                yield request
        except _ANSWERS_OF_GCS:
            self._has_answered = True
            raise
        except (ConfigError, StoreUnavailableError, OutcomeUnknownError) as error:
            if self._is_tls_endpoint():
                raise ConfigError(f"The endpoint {self.client.endpoint} speaks TLS: write it with https://") from error
            raise
        self._has_answered = True

    def _is_tls_endpoint(self) -> bool:
        """Whether the port of an http endpoint that has not answered uses TLS. Tests it only once for each store,
        because the test can take seconds."""
        if self._has_answered or self._is_diagnosed:
            return False
        self._is_diagnosed = True
        return speaks_tls(self.client.endpoint)
