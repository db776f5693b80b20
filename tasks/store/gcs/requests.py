"""Sends requests to Google Cloud Storage for the adapter: the shorter timeouts until the first answer, the translation
of errors, and the recognition of answers that are not from the store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from tasks.store.gcs.client import CONNECT_TIMEOUT_S, READ_TIMEOUT_S, open_client
from tasks.store.gcs.error_responses import Request, unreadable_response
from tasks.store.gcs.settings import GcsSettings
from tasks.store.gcs.translation import translated
from tasks.store.server_requests import ServerRequests


class GcsRequests(ServerRequests[GcsSettings]):
    """The client of one bucket. Several threads can use it at the same time. Until the store has answered, the timeouts
    are those of `FirstAnswer`; later they are those of the constructor."""

    def __init__(
        self,
        settings: GcsSettings,
        *,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        read_timeout_s: float = READ_TIMEOUT_S,
    ) -> None:
        """Sends no request to the store. Raises what `open_client` raises."""
        self.client = open_client(settings)
        super().__init__(
            settings, self.client.endpoint, connect_timeout_s=connect_timeout_s, read_timeout_s=read_timeout_s
        )

    @property
    def timeout(self) -> tuple[float, float]:
        """The timeouts of the next request in seconds: to connect, and to wait for a response."""
        return self._first_answer.timeouts

    def close(self) -> None:
        """Release the connections. May be called twice."""
        self.client.close()

    def check_is_of_gcs(self, response: object, names: tuple[str, ...], request: Request) -> None:
        """Raises the error of `unreadable_response` if the response is no mapping, or if one of these members is
        missing in it. Every response of the store has them, so another program answered then."""
        if not isinstance(response, Mapping) or any(name not in response for name in names):
            raise unreadable_response(request, has_answered=self._has_answered)

    @contextmanager
    def _sending(self, request: Request) -> Iterator[None]:
        with translated(request, has_answered=self._has_answered):
            self.client.renew_token(self.timeout)
            yield
