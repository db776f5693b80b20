"""One request to a server of objects, as its errors describe it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from tasks.model.errors import OutcomeUnknownError, StoreError, StoreUnavailableError
from tasks.store.settings import StoreSettings

_Settings = TypeVar("_Settings", bound=StoreSettings)


@dataclass(frozen=True, kw_only=True)  # Python 3.11 cannot make a frozen generic class with slots
class StoreRequest(Generic[_Settings]):
    """`operation` is its name in the server's API. `condition_error` is the error to raise if its condition fails."""

    settings: _Settings
    operation: str
    key: str | None = None
    is_write: bool = False
    condition_error: type[StoreError] | None = None

    @property
    def place(self) -> str:
        """The bucket or container and its endpoint, for messages."""
        return self.settings.address

    @property
    def target(self) -> str:
        """The object in its bucket or container, or the bucket or container, for messages."""
        return f"{self.key} in {self.place}" if self.key else self.place

    def temporary_error(self, reason: str, *, is_answer: bool = False) -> StoreError:
        """The error for a temporary failure after the request was sent. For a write it is `OutcomeUnknownError`,
        because the write can have been carried out; for a read it is `StoreUnavailableError`. `is_answer`: the server
        sent this failure."""
        if self.is_write:
            return OutcomeUnknownError(reason, key=self.key)
        return StoreUnavailableError(reason, key=self.key, is_answer=is_answer)


def printable(text: str) -> str:
    """Text of a response without control characters, and at most 300 characters of it."""
    return "".join(letter for letter in text if letter.isprintable())[:300]
