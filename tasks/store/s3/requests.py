"""Sends requests to S3 for the adapters of this folder: the shorter timeouts until the first answer, the translation of
errors, and the recognition of answers that are not from S3."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

from tasks.store.s3.client import CONNECT_TIMEOUT_S, READ_TIMEOUT_S, Client, open_client
from tasks.store.s3.error_responses import Request, unreadable_response
from tasks.store.s3.settings import S3Settings
from tasks.store.s3.translation import translated
from tasks.store.server_requests import ServerRequests


class S3Requests(ServerRequests[S3Settings]):
    """The clients of one bucket. Several threads can use them at the same time. Until S3 has answered, the timeouts are
    those of `FirstAnswer`; later they are those of the constructor."""

    def __init__(
        self,
        settings: S3Settings,
        *,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        read_timeout_s: float = READ_TIMEOUT_S,
    ) -> None:
        """Sends no request to S3. Raises what `open_client` raises."""
        super().__init__(
            settings, settings.endpoint or "", connect_timeout_s=connect_timeout_s, read_timeout_s=read_timeout_s
        )
        self._first_client = self._opened_client(*self._first_answer.first_timeouts)
        self._later_client: Client = None
        self._lock = threading.Lock()

    @property
    def client(self) -> Client:
        """The client for the next request."""
        if not self._first_answer.has_answered:
            return self._first_client
        with self._lock:
            if self._later_client is None:
                self._later_client = self._opened_client(*self._first_answer.later_timeouts)
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

    def _sending(self, request: Request) -> AbstractContextManager[None]:
        return translated(request, has_answered=self._has_answered)

    def _opened_client(self, connect_timeout_s: float, read_timeout_s: float) -> Client:
        return open_client(self.settings, connect_timeout_s=connect_timeout_s, read_timeout_s=read_timeout_s)
