"""The error of `tasks.model.errors` for each exception of Google's libraries, and of the libraries below them, that is
not an error response: credentials, TLS, endpoints, broken connections.

Without a response, the outcome of a write is unknown, unless the connection was not established. A request is sent only
with a token, so after a failure to obtain one nothing was changed.
"""

from __future__ import annotations

import socket
import ssl

from google.api_core.exceptions import GoogleAPIError
from google.auth import exceptions as auth
from google.cloud.storage import exceptions as storage
from requests import exceptions as foreign
from urllib3 import exceptions as http

from tasks.model.errors import AccessError, ConfigError, KafkaBackupError, StoreUnavailableError
from tasks.store.gcs.error_responses import Request, not_gcs, unreadable_response
from tasks.store.sdk_failures import NO_CERTIFICATE, NO_SUCH_HOST, NO_TLS, UNREADABLE_FILE, SdkFailures

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
_FAILURES = SdkFailures(timeouts=(foreign.Timeout, http.TimeoutError, auth.TimeoutError), has_causes_in_args=True)
_NO_TOKEN_NOW = (auth.TransportError, auth.TimeoutError, auth.ResponseError)
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
            f"No request to {request.place} can be made with these settings: look for invisible characters in the "
            "bucket, the project and the endpoint."
        )
    if not has_answered and (problem := _endpoint_error(error, request)):
        return problem
    if any(isinstance(one, _NOT_CONNECTED) for one in _FAILURES.causes(error)):
        return StoreUnavailableError(f"{request.place} cannot be reached: {_FAILURES.reason(error)}", key=request.key)
    if isinstance(error, _UNREADABLE):
        return unreadable_response(request, has_answered=has_answered)
    return request.temporary_error(f"{request.target}: {_FAILURES.reason(error)}")


def credentials_error(error: auth.GoogleAuthError) -> KafkaBackupError:
    """The error for credentials that are missing, refused, or not obtained now. Its message contains no text of the
    exception, because the text can contain a part of a token or of a key."""
    if isinstance(error, auth.DefaultCredentialsError):
        return AccessError(
            "There are no credentials for Google Cloud Storage: set service_account_path, or name a file of "
            "credentials in GOOGLE_APPLICATION_CREDENTIALS, or give the machine a service account."
        )
    if error.retryable or any(isinstance(one, _NO_TOKEN_NOW) for one in _FAILURES.causes(error)):
        return StoreUnavailableError(f"No access token for Google Cloud Storage: {_FAILURES.reason(error)}")
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
    cause = _FAILURES.cause(error, ssl.SSLError)
    if isinstance(cause, ssl.SSLCertVerificationError):
        reason = cause.verify_message.rstrip(".")
        return AccessError(
            f"Cannot verify the certificate of {request.place}: {reason}. Check this certificate. "
            "Set REQUESTS_CA_BUNDLE to the certificate of its authority if a private authority signed it."
        )
    is_of_file = any(map(_is_of_file, _FAILURES.causes(error)))
    if is_of_file or (cause is not None and cause.reason in NO_CERTIFICATE):
        return ConfigError("The file of REQUESTS_CA_BUNDLE cannot be read, or contains no certificate: correct it.")
    if cause is not None and cause.reason in NO_TLS:
        return ConfigError(
            f"{request.place} does not speak TLS: correct `endpoint`, or use http and `allow_http: true`."
        )
    return None


def _is_of_file(error: BaseException) -> bool:
    """Whether the error is about the file of REQUESTS_CA_BUNDLE. requests has no class for a missing one."""
    return isinstance(error, UNREADABLE_FILE) or (type(error) is OSError and "invalid path" in str(error))


def _endpoint_error(error: Exception, request: Request) -> KafkaBackupError | None:
    """The error if the endpoint is wrong; otherwise None. Called only until the store has answered for the first
    time."""
    unresolved = _FAILURES.cause(error, socket.gaierror)
    if unresolved is not None and unresolved.errno in NO_SUCH_HOST:
        return ConfigError(f"{request.place}: the endpoint's host does not exist: correct `endpoint`.")
    return not_gcs(request) if isinstance(error, _UNREADABLE) else None
