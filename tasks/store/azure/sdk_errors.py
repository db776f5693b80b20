"""The error of `tasks.model.errors` for each exception of the SDK that is not an error response: identities, TLS,
endpoints, broken connections.

Without a response, the outcome of a write is unknown, unless the connection was not established.
"""

from __future__ import annotations

import socket
import ssl

from azure.core import exceptions as foreign
from requests import RequestException
from urllib3 import exceptions as http

from tasks.model.errors import AccessError, ConfigError, KafkaBackupError, StoreUnavailableError
from tasks.store.azure.error_responses import Request, not_azure, unreadable_response
from tasks.store.sdk_failures import NO_CERTIFICATE, NO_SUCH_HOST, NO_TLS, UNREADABLE_FILE, SdkFailures

FOREIGN = (foreign.AzureError, RequestException, http.HTTPError, OSError, ValueError)
"""The classes of all exceptions of the SDK and of the libraries below it. `OSError` is raised for a missing
file of trusted authorities, and `ValueError` for responses without the headers or the XML of Azure."""

_UNREADABLE = (foreign.DecodeError, foreign.TooManyRedirectsError, foreign.ODataV4Error, ValueError)
_NOT_CONNECTED = (http.NewConnectionError, http.ConnectTimeoutError, http.NameResolutionError, http.ProxyError)
FAILURES = SdkFailures(
    timeouts=(foreign.ServiceRequestTimeoutError, foreign.ServiceResponseTimeoutError, http.TimeoutError),
    has_causes_in_args=True,
)


def sdk_error(error: Exception, request: Request, *, has_answered: bool) -> KafkaBackupError:
    """The error for one of `FOREIGN` that is not an error response. `has_answered`: see `response_error`."""
    if problem := _tls_error(error, request):
        return problem
    if not has_answered and (problem := _endpoint_error(error, request)):
        return problem
    if isinstance(error, foreign.ClientAuthenticationError):  # the request cannot be signed
        return AccessError(f"{request.place}: no request can be signed with account_key: check it.")
    if any(isinstance(one, _NOT_CONNECTED) for one in FAILURES.causes(error)):
        return StoreUnavailableError(f"{request.place} cannot be reached: {FAILURES.reason(error)}", key=request.key)
    if _is_unreadable(error):
        return unreadable_response(request, has_answered=has_answered)
    return request.temporary_error(f"{request.target}: {FAILURES.reason(error)}")


def _tls_error(error: Exception, request: Request) -> KafkaBackupError | None:
    cause = FAILURES.cause(error, ssl.SSLError)
    if isinstance(cause, ssl.SSLCertVerificationError):
        reason = cause.verify_message.rstrip(".")
        return AccessError(
            f"Cannot verify the certificate of {request.place}: {reason}. Check this certificate. "
            "Set REQUESTS_CA_BUNDLE to the certificate of its authority if a private authority signed it."
        )
    if _is_of_file(error) or (cause is not None and cause.reason in NO_CERTIFICATE):
        return ConfigError("The file of REQUESTS_CA_BUNDLE cannot be read, or contains no certificate: correct it.")
    if cause is not None and cause.reason in NO_TLS:
        return ConfigError(
            f"{request.place} does not speak TLS: correct `endpoint`, or use http and `allow_http: true`."
        )
    return None


def _is_of_file(error: Exception) -> bool:
    """Whether the file with the trusted authorities cannot be read. A firewall also can refuse a connection with the
    error for a missing permission."""
    found = list(FAILURES.causes(error))
    if any(isinstance(one, _NOT_CONNECTED) for one in found):
        return False
    files = [one for one in found if isinstance(one, OSError)]
    return any(isinstance(one, UNREADABLE_FILE) or "invalid path" in str(one) for one in files)


def _endpoint_error(error: Exception, request: Request) -> KafkaBackupError | None:
    """The error if the endpoint is wrong; otherwise None. Called only until the store has answered for the first
    time."""
    unresolved = FAILURES.cause(error, socket.gaierror)
    if unresolved is not None and unresolved.errno in NO_SUCH_HOST:
        return ConfigError(
            f"{request.place}: there is no such host, so there is no such storage account: correct `account_name` "
            "or `endpoint`."
        )
    if isinstance(error, UnicodeEncodeError):
        return ConfigError(
            f"No request to {request.place} can be made with these settings: look for letters with accents and "
            "invisible characters in the credentials and the endpoint."
        )
    return not_azure(request) if _is_unreadable(error) else None


def _is_unreadable(error: Exception) -> bool:
    """Whether the response has come whole, but is not one of Azure."""
    if isinstance(error, foreign.IncompleteReadError):
        return False
    return isinstance(error, _UNREADABLE) or getattr(error, "response", None) is not None
