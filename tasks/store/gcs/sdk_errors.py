"""The error of `tasks.model.errors` for each exception of Google's libraries, and of the libraries below them, that is
not an error response: credentials, TLS, endpoints, broken connections.

Without a response, the outcome of a write is unknown, unless the connection was not established. A request is sent only
with a token, so after a failure to obtain one nothing was changed.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from typing import TypeVar

from google.api_core.exceptions import GoogleAPIError
from google.auth import exceptions as auth
from google.cloud.storage import exceptions as storage
from requests import exceptions as foreign
from urllib3 import exceptions as http

from tasks.model.errors import AccessError, ConfigError, KafkaBackupError, StoreUnavailableError
from tasks.store.gcs.error_responses import Request, not_gcs, temporary_error, unreadable_response

_E = TypeVar("_E", bound=BaseException)

FOREIGN = (
    *(auth.GoogleAuthError, GoogleAPIError),
    *(storage.InvalidPathError, storage.InvalidResponse, storage.DataCorruption),
    *(foreign.RequestException, http.HTTPError),
    *(OSError, ValueError),
)
"""The classes of all exceptions of Google's libraries and of the libraries below them. requests raises an `OSError` for
a file of authorities that it cannot read. A `ValueError` is a response whose numbers or times cannot be read."""

_UNREADABLE = (
    *(foreign.InvalidJSONError, foreign.ContentDecodingError, foreign.TooManyRedirects),
    *(storage.InvalidResponse, http.DecodeError, ValueError),
)
_INVALID_REQUEST = (
    *(foreign.InvalidHeader, foreign.InvalidURL, foreign.MissingSchema, foreign.InvalidSchema, foreign.URLRequired),
    *(http.InvalidHeader, http.LocationValueError),
)
_NOT_CONNECTED = (http.NewConnectionError, http.ConnectTimeoutError, http.NameResolutionError, http.ProxyError)
_NO_TOKEN_NOW = (auth.TransportError, auth.TimeoutError, auth.ResponseError)
_NO_SUCH_HOST = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})
_UNREADABLE_FILE = (FileNotFoundError, PermissionError, IsADirectoryError)
_NO_CERTIFICATE = frozenset({"NO_CERTIFICATE_OR_CRL_FOUND", "NO_START_LINE"})
_NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"})
_OAUTH_CODES = (
    *("access_denied", "invalid_client", "invalid_grant", "invalid_request", "invalid_scope", "invalid_target"),
    *("unauthorized_client", "unsupported_grant_type"),
)


def sdk_error(error: Exception, request: Request, *, has_answered: bool) -> KafkaBackupError:
    """The error for one of `FOREIGN` that is not an error response. `has_answered`: see `response_error`."""
    if isinstance(error, auth.GoogleAuthError):
        return credentials_error(error)
    if problem := _tls_error(error, request):
        return problem
    if isinstance(error, (*_INVALID_REQUEST, UnicodeError)):
        return ConfigError(
            f"No request to {request.bucket} can be made with these settings: look for invisible characters in the "
            "bucket, the project and the endpoint."
        )
    if not has_answered and (problem := _endpoint_error(error, request)):
        return problem
    if any(isinstance(one, _NOT_CONNECTED) for one in _causes(error)):
        return StoreUnavailableError(f"{request.bucket} cannot be reached: {_reason(error)}", key=request.key)
    if isinstance(error, _UNREADABLE):
        return unreadable_response(request, has_answered=has_answered)
    return temporary_error(f"{request.target}: {_reason(error)}", request)


def credentials_error(error: auth.GoogleAuthError) -> KafkaBackupError:
    """The error for credentials that are missing, refused, or not obtained now. Its message contains no text of the
    exception, because the text can contain a part of a token or of a key."""
    if isinstance(error, auth.DefaultCredentialsError):
        return AccessError(
            "There are no credentials for Google Cloud Storage: set service_account_path, or name a file of "
            "credentials in GOOGLE_APPLICATION_CREDENTIALS, or give the machine a service account."
        )
    if error.retryable or any(isinstance(one, _NO_TOKEN_NOW) for one in _causes(error)):
        return StoreUnavailableError(f"No access token for Google Cloud Storage: {_reason(error)}")
    text = str(error)
    if "iat and exp" in text or "reasonable timeframe" in text:
        return AccessError("This machine's clock differs from Google's by many minutes: correct the clock.")
    return AccessError(
        f"Google does not give an access token for these credentials ({_code(error)}): check the service account and "
        "its key."
    )


def _code(error: auth.GoogleAuthError) -> str:
    """The error code of OAuth in the exception, for example `invalid_grant`, or the name of the exception's class."""
    text = str(error)
    return next((code for code in _OAUTH_CODES if code in text), type(error).__name__)


def _tls_error(error: Exception, request: Request) -> KafkaBackupError | None:
    cause = _cause(error, ssl.SSLError)
    if isinstance(cause, ssl.SSLCertVerificationError):
        reason = cause.verify_message.rstrip(".")
        return AccessError(
            f"Cannot verify the certificate of {request.bucket}: {reason}. Check this certificate. "
            "Set REQUESTS_CA_BUNDLE to the certificate of its authority if a private authority signed it."
        )
    if any(_is_of_file(one) for one in _causes(error)) or (cause is not None and cause.reason in _NO_CERTIFICATE):
        return ConfigError("The file of REQUESTS_CA_BUNDLE cannot be read, or contains no certificate: correct it.")
    if cause is not None and cause.reason in _NO_TLS:
        return ConfigError(
            f"{request.bucket} does not speak TLS: correct `endpoint`, or use http and `allow_http: true`."
        )
    return None


def _is_of_file(error: BaseException) -> bool:
    """Whether the error is about the file of REQUESTS_CA_BUNDLE. requests has no class for a missing one."""
    return isinstance(error, _UNREADABLE_FILE) or (type(error) is OSError and "invalid path" in str(error))


def _endpoint_error(error: Exception, request: Request) -> KafkaBackupError | None:
    """The error if the endpoint is wrong; otherwise None. Called only until the store has answered for the first
    time."""
    unresolved = _cause(error, socket.gaierror)
    if unresolved is not None and unresolved.errno in _NO_SUCH_HOST:
        return ConfigError(f"{request.bucket}: the endpoint's host does not exist: correct `endpoint`.")
    return not_gcs(request) if isinstance(error, _UNREADABLE) else None


def _reason(error: BaseException) -> str:
    """Why a connection failed, in some words and without any text of a library."""
    cause = _cause(error, OSError)
    names = (foreign.Timeout, http.TimeoutError, auth.TimeoutError)
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


def _cause(error: BaseException, kind: type[_E]) -> _E | None:
    """The innermost exception of this class among the error and its causes. None if there is none."""
    return next((one for one in reversed(list(_causes(error))) if isinstance(one, kind)), None)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and its causes. urllib3 keeps a cause in `reason`, requests and Google's libraries in `args`, and
    Python in `__cause__` or `__context__`."""
    seen: set[int] = set()
    current: object = error
    while isinstance(current, BaseException) and id(current) not in seen:
        seen.add(id(current))
        yield current
        inside = next((one for one in reversed(current.args) if isinstance(one, BaseException)), None)
        kept = getattr(current, "reason", None)
        inner = kept if isinstance(kept, BaseException) else inside
        current = inner or current.__cause__ or current.__context__
