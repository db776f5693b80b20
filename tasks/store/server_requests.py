"""Sends the requests of an adapter to a server of objects: the shorter timeouts until its first answer, and the
translation of errors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Generic, TypeVar

from tasks.model.errors import StoreError
from tasks.store.first_answer import FirstAnswer
from tasks.store.request import StoreRequest
from tasks.store.settings import StoreSettings

_Settings = TypeVar("_Settings", bound=StoreSettings)


class ServerRequests(ABC, Generic[_Settings]):
    """The requests to one bucket or container. Several threads can use it at the same time. Until the server has
    answered, the timeouts are those of `FirstAnswer`; later they are those of the constructor. `endpoint` is the URL of
    the server, or empty."""

    def __init__(self, settings: _Settings, endpoint: str, *, connect_timeout_s: float, read_timeout_s: float) -> None:
        self.settings = settings
        self._first_answer = FirstAnswer(
            endpoint,
            first_answer_ms=settings.first_answer_ms,
            connect_timeout_s=connect_timeout_s,
            read_timeout_s=read_timeout_s,
        )

    @property
    def _has_answered(self) -> bool:
        return self._first_answer.has_answered

    @contextmanager
    def request(
        self,
        operation: str,
        key: str | None = None,
        *,
        is_write: bool = False,
        condition_error: type[StoreError] | None = None,
    ) -> Iterator[StoreRequest[_Settings]]:
        """A context whose body sends the request. Translates the errors of the body, and records that the server has
        answered."""
        request = StoreRequest(
            settings=self.settings, operation=operation, key=key, is_write=is_write, condition_error=condition_error
        )
        with self._first_answer.awaited(), self._sending(request):
            yield request

    @abstractmethod
    def _sending(self, request: StoreRequest[_Settings]) -> AbstractContextManager[None]:
        """A context that turns the exceptions of the SDK into errors of `tasks.model.errors`."""

    @abstractmethod
    def close(self) -> None:
        """Release the connections. May be called twice."""
