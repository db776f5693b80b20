"""Sends requests to Azure for the adapters of this folder: the shorter timeouts until the first answer, and the
translation of errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from azure.storage.blob import BlobProperties

from tasks.store.azure.client import CONNECT_TIMEOUT_S, READ_TIMEOUT_S, open_client
from tasks.store.azure.error_responses import Request, unreadable_response
from tasks.store.azure.settings import AzureSettings
from tasks.store.azure.translation import translated
from tasks.store.server_requests import ServerRequests


class AzureRequests(ServerRequests[AzureSettings]):
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
        self.client = open_client(settings)
        super().__init__(
            settings, settings.account.url, connect_timeout_s=connect_timeout_s, read_timeout_s=read_timeout_s
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
            raise unreadable_response(request, has_answered=self._has_answered)

    @contextmanager
    def pages_of_azure(self, request: Request) -> Iterator[None]:
        """A context whose body reads a page of a listing. Raises the error of `unreadable_response` if the page is XML
        of another program, on which the SDK fails with an `AttributeError`."""
        try:
            yield
        except AttributeError:
            raise unreadable_response(request, has_answered=self._has_answered) from None

    def _sending(self, request: Request) -> AbstractContextManager[None]:
        return translated(request, has_answered=self._has_answered)
