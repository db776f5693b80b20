"""The error for each exception of Google's libraries that is not an error response."""

from __future__ import annotations

import importlib
import inspect
import socket
import ssl
from collections.abc import Iterator
from typing import Any

import pytest
from google.api_core import exceptions as api
from google.auth import exceptions
from requests import exceptions as foreign
from urllib3 import exceptions as http

from tasks.model.errors import (
    AccessError,
    ConfigError,
    KafkaBackupError,
    ObjectExistsError,
    OutcomeUnknownError,
    StoreError,
    StoreUnavailableError,
)
from tasks.store.gcs.error_responses import Request
from tasks.store.gcs.sdk_errors import credentials_error, sdk_error
from tasks.store.gcs.settings import GcsSettings
from tasks.store.gcs.translation import translated

SETTINGS = GcsSettings(bucket="backups", endpoint="https://storage.example.com")
auth: Any = exceptions  # because its classes are not typed
READ = Request(settings=SETTINGS, operation="objects.get", key="a")
WRITE = Request(settings=SETTINGS, operation="objects.insert", key="a", is_write=True)
MODULES = (
    "google.auth.exceptions",
    "google.api_core.exceptions",
    "google.cloud.exceptions",
    "google.cloud.storage.exceptions",
    "google.resumable_media.common",
    "requests.exceptions",
    "urllib3.exceptions",
)
UNMAPPED = {
    "google.api_core.exceptions.AsyncRestUnsupportedParameterError": "only the clients for asyncio raise it",
    **dict.fromkeys(
        (f"google.resumable_media.common.{name}" for name in ("DataCorruption", "InvalidResponse")),
        "only their subclasses in google.cloud.storage.exceptions are raised",
    ),
}
"""The exceptions that cannot come out of a request of this program, each with the reason. Warnings are left out."""


def _with_cause(error: Exception, cause: BaseException) -> Exception:
    error.__cause__ = cause
    return error


def _tls(reason: str) -> Exception:
    cause = ssl.SSLError(1, reason)
    cause.reason = reason
    return _with_cause(foreign.SSLError("geheim"), cause)


def _untrusted_certificate() -> Exception:
    cause = ssl.SSLCertVerificationError(1, "certificate verify failed")
    cause.verify_message = "self-signed certificate."
    return _with_cause(foreign.SSLError("geheim"), cause)


def _not_connected(cause: OSError) -> Exception:
    inner = http.NewConnectionError(None, "geheim")  # type: ignore[arg-type]
    return foreign.ConnectionError(http.MaxRetryError(None, "/", _with_cause(inner, cause)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("error", "expected", "sentence"),
    [
        (_untrusted_certificate(), AccessError, "Cannot verify the certificate of gs://backups at https://storage.exa"),
        (_tls("WRONG_VERSION_NUMBER"), ConfigError, "does not speak TLS: correct `endpoint`, or use http and `allow"),
        (_tls("NO_CERTIFICATE_OR_CRL_FOUND"), ConfigError, "The file of REQUESTS_CA_BUNDLE cannot be read"),
        (_not_connected(socket.gaierror(socket.EAI_NONAME, "no")), ConfigError, "the endpoint's host does not exist"),
        (foreign.JSONDecodeError("geheim", "geheim", 0), ConfigError, "does not speak Google Cloud Storage. Check"),
        (foreign.TooManyRedirects("geheim"), ConfigError, "does not speak Google Cloud Storage. Check `endpoint`."),
        (foreign.InvalidHeader("geheim"), ConfigError, "look for invisible characters in the bucket, the project"),
    ],
)
def test_a_configuration_error_is_one_sentence_without_a_secret(
    error: Exception, expected: type[KafkaBackupError], sentence: str
) -> None:
    for request in (READ, WRITE):
        problem = sdk_error(error, request, has_answered=False)
        assert expected is type(problem)
        assert sentence in str(problem)
        assert "geheim" not in str(problem)
        assert 1 == len(str(problem).splitlines())


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (_not_connected(ConnectionRefusedError(111, "Connection refused")), "connection refused"),
        (_not_connected(socket.gaierror(socket.EAI_AGAIN, "later")), "later"),
        (foreign.ConnectTimeout(http.ConnectTimeoutError("geheim")), "no response before the timeout"),
    ],
)
def test_without_a_connection_nothing_was_changed(error: Exception, reason: str) -> None:
    for request in (READ, WRITE):
        problem = sdk_error(error, request, has_answered=True)
        assert StoreUnavailableError is type(problem)
        assert f"gs://backups at https://storage.example.com cannot be reached: {reason}" == str(problem)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (foreign.ReadTimeout("geheim"), "no response before the timeout"),
        (foreign.ConnectionError("geheim", ConnectionResetError(104, "Connection reset by peer")), "reset by peer"),
        (foreign.ChunkedEncodingError("geheim"), "the connection was cut"),
        (_tls("UNEXPECTED_EOF_WHILE_READING"), "the TLS handshake failed (unexpected eof while reading); check that"),
        (foreign.JSONDecodeError("geheim", "geheim", 0), "the response cannot be read"),
    ],
)
def test_without_a_response_the_outcome_of_a_write_is_unknown(error: Exception, reason: str) -> None:
    for request, expected in ((READ, StoreUnavailableError), (WRITE, OutcomeUnknownError)):
        problem = sdk_error(error, request, has_answered=True)
        assert expected is type(problem)
        assert reason in str(problem)
        assert "geheim" not in str(problem)


@pytest.mark.parametrize(
    ("error", "expected", "sentence"),
    [
        (auth.DefaultCredentialsError("geheim"), AccessError, "There are no credentials for Google Cloud Storage: set"),
        (auth.MalformedError("geheim"), AccessError, "There are no credentials for Google Cloud Storage: set"),
        (
            auth.RefreshError("invalid_grant: geheim", {"error": "invalid_grant", "error_description": "geheim"}),
            *(AccessError, "does not give an access token for these credentials (invalid_grant): check the service"),
        ),
        (
            auth.RefreshError("invalid_grant: Invalid JWT: Token must be in a reasonable timeframe. Check iat and exp"),
            *(AccessError, "This machine's clock differs from Google's by many minutes: correct the clock."),
        ),
        (auth.OAuthError("Error code geheim"), AccessError, "for these credentials (OAuthError): check the service"),
        (auth.RefreshError("geheim", retryable=True), StoreUnavailableError, "No access token for Google Cloud Stor"),
        (_with_cause(auth.RefreshError("geheim"), auth.TransportError("geheim")), StoreUnavailableError, "No access"),
        (auth.TransportError("geheim"), StoreUnavailableError, "No access token for Google Cloud Storage: the conn"),
    ],
)
def test_credentials_that_are_refused_end_at_once_and_a_failure_of_the_network_is_repeated(
    error: Any, expected: type[KafkaBackupError], sentence: str
) -> None:
    for problem in (credentials_error(error), sdk_error(error, WRITE, has_answered=True)):
        assert expected is type(problem)
        assert sentence in str(problem)
        assert "geheim" not in str(problem)


def test_every_exception_of_googles_libraries_and_of_those_below_becomes_an_error_of_ours() -> None:
    kinds = dict(_kinds())
    assert len(kinds) > 100
    mapped = {name: _translation(kind, request) for name, kind in kinds.items() for request in (READ, WRITE)}

    assert sorted(UNMAPPED) == sorted(name for name, one in mapped.items() if one is None)
    assert [] == [name for name, one in mapped.items() if "geheim" in str(one) and "api_core" not in name]
    network = (foreign.ConnectionError, foreign.Timeout, http.ProtocolError, http.TimeoutError)
    for name, kind in kinds.items():
        if issubclass(kind, network):
            assert getattr(mapped[name], "retryable", False), f"{name} is a failure of the network"


def test_a_response_of_the_api_is_an_error_by_its_status() -> None:
    error = api.from_http_status(412, "geheim", errors=[{"reason": "conditionNotMet", "message": "geheim"}])  # type: ignore[no-untyped-call]
    request = Request(
        settings=SETTINGS, operation="objects.insert", key="a", is_write=True, condition_error=ObjectExistsError
    )
    with pytest.raises(ObjectExistsError), translated(request, has_answered=False):
        raise error


def test_an_error_of_ours_is_not_changed() -> None:
    own = StoreError("own")
    with pytest.raises(StoreError) as raised, translated(WRITE, has_answered=True):
        raise own
    assert own is raised.value


def _kinds() -> Iterator[tuple[str, type[Exception]]]:
    """All exceptions that these modules define, by name."""
    for module in MODULES:
        for name, kind in inspect.getmembers(importlib.import_module(module), inspect.isclass):
            if issubclass(kind, Exception) and not issubclass(kind, Warning) and kind.__module__ == module:
                yield f"{module}.{name}", kind


def _translation(kind: type[Exception], request: Request) -> KafkaBackupError | None:
    """The error for an exception of this class. None if it is not translated."""
    try:
        with translated(request, has_answered=True):
            raise _made(kind)
    except KafkaBackupError as problem:
        return problem
    except kind:
        return None


def _made(kind: type[Exception]) -> Exception:
    """An exception of this class, with text in it that is to be kept secret."""
    if issubclass(kind, api.GoogleAPICallError):
        return kind("geheim")
    if issubclass(kind, api.RetryError):
        return kind("geheim", ConnectionResetError("geheim"))
    error: Any = kind.__new__(kind, "geheim")
    error.args = ("geheim",)
    error._retryable = False
    return error  # type: ignore[no-any-return]
