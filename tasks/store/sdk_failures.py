"""Why a connection to a store failed: the causes inside the exceptions of an SDK, and a reason in words for
messages."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from urllib3.exceptions import NewConnectionError

_E = TypeVar("_E", bound=BaseException)

NO_SUCH_HOST = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})
"""The numbers of `socket.gaierror` for a host that does not exist."""

UNREADABLE_FILE = (FileNotFoundError, PermissionError, IsADirectoryError)
NO_CERTIFICATE = frozenset({"NO_CERTIFICATE_OR_CRL_FOUND", "NO_START_LINE"})
"""The reasons of `ssl.SSLError` for a file of authorities that contains no certificate."""

NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"})
"""The reasons of `ssl.SSLError` for a port that does not use TLS."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SdkFailures:
    """Reads the exceptions of an SDK. `timeouts` are its classes for a response that did not come in time.
    `has_causes_in_args`: it is built on requests, whose exceptions keep a cause in `args`."""

    timeouts: tuple[type[BaseException], ...]
    has_causes_in_args: bool

    def causes(self, error: BaseException) -> Iterator[BaseException]:
        """The error and its causes, from the outermost to the innermost."""
        seen: set[int] = set()
        current: BaseException | None = error
        while current is not None and id(current) not in seen:
            seen.add(id(current))
            yield current
            current = next(self._kept(current), None) or current.__cause__ or current.__context__

    def cause(self, error: BaseException, kind: type[_E]) -> _E | None:
        """The innermost exception of this class among the error and its causes. None if there is none."""
        return next((one for one in reversed(list(self.causes(error))) if isinstance(one, kind)), None)

    def reason(self, error: BaseException) -> str:
        """Why the connection failed, in some words. Without any text of a library, which can contain a secret."""
        is_late = (
            isinstance(one, self.timeouts) and not isinstance(one, NewConnectionError) for one in self.causes(error)
        )
        cause = self.cause(error, OSError)
        if any(is_late) or isinstance(cause, TimeoutError):
            return "no response before the timeout"
        if isinstance(cause, ssl.SSLError):
            what = (cause.reason or "").lower().replace("_", " ")
            return f"the TLS handshake failed ({what or 'no reason'}); check that the port of the endpoint uses TLS"
        if cause is not None and cause.strerror:
            return cause.strerror.lower()
        return "the connection was cut"

    def _kept(self, error: BaseException) -> Iterator[BaseException]:
        """The exceptions that libraries keep inside this one: boto3 in `kwargs`, Azure's SDK in `inner_exception`,
        urllib3 in `reason`, and requests in `args`."""
        kwargs = getattr(error, "kwargs", None)
        kept = (
            kwargs.get("error") if isinstance(kwargs, Mapping) else None,
            getattr(error, "inner_exception", None),
            getattr(error, "reason", None),
            *(reversed(error.args) if self.has_causes_in_args else ()),
        )
        yield from (one for one in kept if isinstance(one, BaseException))
