"""Sends requests to Azure for the adapters of this folder: the shorter timeouts until the first answer, and the
translation of errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from azure.storage.blob import BlobProperties

from tasks.model.errors import StoreError
from tasks.store.azure.client import CONNECT_TIMEOUT_S, READ_TIMEOUT_S, open_client
from tasks.store.azure.error_responses import Request, unreadable_response
from tasks.store.azure.settings import AzureSettings
from tasks.store.azure.translation import translated
from tasks.store.first_answer import FirstAnswer


class AzureRequests:
    """The client of one container. Several threads can use it at the same time. Until Azure has answered, the timeouts
    are those of `FirstAnswer`; later they are those of the constructor."""

    def __init__(
        self,
        settings: AzureSettings,
        *,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        read_timeout_s: float = READ_TIMEOUT_S,
    ) -> None:
        """Sends no request to Azure. Raises what `open_client` raises."""
        self.settings = settings
        self.client = open_client(settings)
        self._first_answer = FirstAnswer(
            settings.account.url,
            first_answer_ms=settings.connect_timeout_ms,
            connect_timeout_s=connect_timeout_s,
            read_timeout_s=read_timeout_s,
        )

    @property
    def timeouts(self) -> dict[str, Any]:
        """The timeouts of the next request, as arguments of the SDK's methods."""
        connect_s, read_s = self._first_answer.timeouts
        return {"connection_timeout": connect_s, "read_timeout": read_s}

    def close(self) -> None:
        """Release the connections. May be called twice."""
        self.client.close()
        if self.settings.uses_tokens:
            self.client.credential.close()

    def check_is_of_azure(self, properties: BlobProperties, request: Request) -> None:
        """Raises the error of `unreadable_response` if the properties have no ETag. Every blob has one, so another
        program answered then."""
        if properties.etag is None or properties.last_modified is None:
            raise unreadable_response(request, has_answered=self._first_answer.has_answered)

    @contextmanager
    def pages_of_azure(self, request: Request) -> Iterator[None]:
        """A context whose body reads a page of a listing. Raises the error of `unreadable_response` if the page is XML
        of another program, on which the SDK fails with an `AttributeError`."""
        try:
            yield
        except AttributeError:
            raise unreadable_response(request, has_answered=self._first_answer.has_answered) from None

    @contextmanager
    def request(
        self,
        operation: str,
        key: str | None = None,
        *,
        is_write: bool = False,
        condition_error: type[StoreError] | None = None,
    ) -> Iterator[Request]:
        """A context whose body sends the request. Translates the errors of the body, and records that Azure has
        answered."""
        request = Request(
            settings=self.settings, operation=operation, key=key, is_write=is_write, condition_error=condition_error
        )
        with self._first_answer.awaited(), translated(request, has_answered=self._first_answer.has_answered):
            yield request
