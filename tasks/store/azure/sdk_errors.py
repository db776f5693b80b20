"""The error of `tasks.model.errors` for each exception of the SDK that is not an error response: identities, TLS,
endpoints, broken connections.

Without a response, the outcome of a write is unknown, unless the connection was not established.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from typing import TypeVar

from azure.core import exceptions as foreign
from requests import RequestException
from urllib3 import exceptions as http

from tasks.model.errors import AccessError, ConfigError, KafkaBackupError, StoreUnavailableError
from tasks.store.azure.error_responses import Request, not_azure, temporary_error, unreadable_response

_E = TypeVar("_E", bound=BaseException)

FOREIGN = (foreign.AzureError, RequestException, http.HTTPError, OSError, ValueError)
"""The classes of all exceptions of the SDK and of the libraries below it. `OSError` is raised for a missing
file of trusted authorities, and `ValueError` for responses without the headers or the XML of Azure."""

_UNREADABLE = (foreign.DecodeError, foreign.TooManyRedirectsError, foreign.ODataV4Error, ValueError)
_NOT_CONNECTED = (http.NewConnectionError, http.ConnectTimeoutError, http.NameResolutionError, http.ProxyError)
_NO_SUCH_HOST = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})
_UNREADABLE_FILE = (FileNotFoundError, PermissionError, IsADirectoryError)
_NO_CERTIFICATE = frozenset({"NO_CERTIFICATE_OR_CRL_FOUND", "NO_START_LINE"})
_NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"})


def sdk_error(error: Exception, request: Request, *, has_answered: bool) -> KafkaBackupError:
    """The error for one of `FOREIGN` that is not an error response. `has_answered`: see `response_error`."""
    if problem := _tls_error(error, request):
        return problem
    if not has_answered and (problem := _endpoint_error(error, request)):
        return problem
    if isinstance(error, foreign.ClientAuthenticationError):  # the request cannot be signed
        return AccessError(f"{request.container}: no request can be signed with account_key: check it.")
    if any(isinstance(one, _NOT_CONNECTED) for one in _causes(error)):
        return StoreUnavailableError(f"{request.container} cannot be reached: {reason_of(error)}", key=request.key)
    if _is_unreadable(error):
        return unreadable_response(request, has_answered=has_answered)
    return temporary_error(f"{request.target}: {reason_of(error)}", request)


def reason_of(error: BaseException) -> str:
    """Why a connection failed, in some words. Without any text of the SDK, which can contain a URL with a signature."""
    cause = cause_of(error, OSError)
    names = (foreign.ServiceRequestTimeoutError, foreign.ServiceResponseTimeoutError, http.TimeoutError)
    if any(isinstance(one, names) and not isinstance(one, http.NewConnectionError) for one in _causes(error)):
        return "no response before the timeout"
    if isinstance(cause, TimeoutError):
        return "no response before the timeout"
    if isinstance(cause, ssl.SSLError):
        what = (cause.reason or "").lower().replace("_", " ")
        return f"the TLS handshake failed ({what or 'no reason'}); check that the port of the endpoint uses TLS"
    if cause is not None and cause.strerror:
        return cause.strerror.lower()
    return "the connection was cut"


def cause_of(error: BaseException, kind: type[_E]) -> _E | None:
    """The innermost exception of this class among the error and its causes. None if there is none."""
    return next((one for one in reversed(list(_causes(error))) if isinstance(one, kind)), None)


def _tls_error(error: Exception, request: Request) -> KafkaBackupError | None:
    cause = cause_of(error, ssl.SSLError)
    if isinstance(cause, ssl.SSLCertVerificationError):
        reason = cause.verify_message.rstrip(".")
        return AccessError(
            f"Cannot verify the certificate of {request.container}: {reason}. Check this certificate. "
            "Set REQUESTS_CA_BUNDLE to the certificate of its authority if a private authority signed it."
        )
    if _is_of_file(error) or (cause is not None and cause.reason in _NO_CERTIFICATE):
        return ConfigError("The file of REQUESTS_CA_BUNDLE cannot be read, or contains no certificate: correct it.")
    if cause is not None and cause.reason in _NO_TLS:
        return ConfigError(
            f"{request.container} does not speak TLS: correct `endpoint`, or use http and `allow_http: true`."
        )
    return None


def _is_of_file(error: Exception) -> bool:
    """Whether the file with the trusted authorities cannot be read. A firewall also can refuse a connection with the
    error for a missing permission."""
    causes = list(_causes(error))
    if any(isinstance(one, _NOT_CONNECTED) for one in causes):
        return False
    files = [one for one in causes if isinstance(one, OSError)]
    return any(isinstance(one, _UNREADABLE_FILE) or "invalid path" in str(one) for one in files)


def _endpoint_error(error: Exception, request: Request) -> KafkaBackupError | None:
    """The error if the endpoint is wrong; otherwise None. Called only until the store has answered for the first
    time."""
    unresolved = cause_of(error, socket.gaierror)
    if unresolved is not None and unresolved.errno in _NO_SUCH_HOST:
        return ConfigError(
            f"{request.container}: there is no such host, so there is no such storage account: correct `account_name` "
            "or `endpoint`."
        )
    if isinstance(error, UnicodeEncodeError):
        return ConfigError(
            f"No request to {request.container} can be made with these settings: look for letters with accents and "
            "invisible characters in the credentials and the endpoint."
        )
    return not_azure(request) if _is_unreadable(error) else None


def _is_unreadable(error: Exception) -> bool:
    """Whether the response has come whole, but is not one of Azure."""
    if isinstance(error, foreign.IncompleteReadError):
        return False
    return isinstance(error, _UNREADABLE) or getattr(error, "response", None) is not None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and its causes. The SDK keeps a cause in `inner_exception`, urllib3 in `reason`, requests in `args`,
    and Python in `__cause__` or `__context__`."""
    seen: set[int] = set()
    current: object = error
    while isinstance(current, BaseException) and id(current) not in seen:
        seen.add(id(current))
        yield current
        inside = next((one for one in reversed(current.args) if isinstance(one, BaseException)), None)
        kept = (getattr(current, "inner_exception", None), getattr(current, "reason", None), inside)
        inner = next((one for one in kept if isinstance(one, BaseException)), None)
        current = inner or current.__cause__ or current.__context__
