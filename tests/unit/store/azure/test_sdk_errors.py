"""The error for each exception of the SDK that is not an error response."""

from __future__ import annotations

import importlib
import pkgutil
import socket
import ssl
from types import ModuleType
from typing import Any

import azure.core
import azure.identity
import azure.storage.blob
import msal
import pytest
import requests
from azure.core import exceptions as foreign
from urllib3 import exceptions as http

from tasks.model.errors import (
    AccessError,
    ConfigError,
    KafkaBackupError,
    OutcomeUnknownError,
    StoreError,
    StoreUnavailableError,
)
from tasks.store.azure.credentials import Identity
from tasks.store.azure.error_responses import Request
from tasks.store.azure.sdk_errors import sdk_error
from tasks.store.azure.settings import AzureSettings
from tasks.store.azure.translation import translated

URL = "https://account.blob.core.windows.net/backups/a?sig=geheim"
SETTINGS = AzureSettings(account_name="account", container_name="backups")
READ = Request(settings=SETTINGS, operation="GetBlob", key="a")
WRITE = Request(settings=SETTINGS, operation="PutBlob", key="a", is_write=True)


def _request_error(cause: Exception) -> foreign.ServiceRequestError:
    """As the SDK wraps an exception of requests."""
    return foreign.ServiceRequestError(cause, error=cause)


def _response_error(cause: Exception) -> foreign.ServiceResponseError:
    return foreign.ServiceResponseError(cause, error=cause)


def _tls(reason: str) -> foreign.ServiceRequestError:
    cause = ssl.SSLError(1, reason)
    cause.reason = reason
    return _request_error(requests.exceptions.SSLError(http.SSLError(cause)))


def _untrusted_certificate() -> foreign.ServiceRequestError:
    cause = ssl.SSLCertVerificationError(1, "certificate verify failed")
    cause.verify_message = "self-signed certificate."
    return _request_error(requests.exceptions.SSLError(http.SSLError(cause)))


def _not_resolved(number: int, text: str) -> foreign.ServiceRequestError:
    cause: Any = http.NameResolutionError("account", None, socket.gaierror(number, text))  # type: ignore[arg-type]
    cause.__cause__ = socket.gaierror(number, text)
    return _request_error(cause)


def _refused() -> foreign.ServiceRequestError:
    cause = http.NewConnectionError(None, URL)  # type: ignore[arg-type]
    cause.__cause__ = ConnectionRefusedError(111, "Connection refused")
    return _request_error(cause)


@pytest.mark.parametrize(
    ("error", "expected", "sentence"),
    [
        (_untrusted_certificate(), AccessError, "Cannot verify the certificate of az://account/backups: self-signed"),
        (_tls("WRONG_VERSION_NUMBER"), ConfigError, "does not speak TLS: correct `endpoint`, or use http and `allow"),
        (_tls("NO_CERTIFICATE_OR_CRL_FOUND"), ConfigError, "The file of REQUESTS_CA_BUNDLE cannot be read"),
        (_not_resolved(socket.EAI_NONAME, "unknown"), ConfigError, "there is no such host, so there is no such stor"),
        (foreign.DecodeError("geheim"), ConfigError, "is not Azure Blob Storage. Check `endpoint`."),
        (ValueError("geheim"), ConfigError, "is not Azure Blob Storage. Check `endpoint`."),
        (foreign.ClientAuthenticationError("geheim"), AccessError, "no request can be signed with account_key"),
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
        (_not_resolved(socket.EAI_AGAIN, "Later"), "later"),
        (_refused(), "connection refused"),
        (_request_error(http.ConnectTimeoutError(None, URL)), "no response before the timeout"),
        (_request_error(http.ProxyError(URL, OSError(111, "Not there"))), "not there"),
    ],
)
def test_without_a_connection_nothing_was_changed(error: Exception, reason: str) -> None:
    for request in (READ, WRITE):
        problem = sdk_error(error, request, has_answered=True)
        assert StoreUnavailableError is type(problem)
        assert f"az://account/backups cannot be reached: {reason}" == str(problem)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (foreign.ServiceResponseTimeoutError("geheim"), "no response before the timeout"),
        (
            _response_error(http.ProtocolError("geheim", ConnectionResetError(104, "Connection reset by peer"))),
            "connec",
        ),
        (_response_error(requests.exceptions.ConnectionError(URL)), "the connection was cut"),
        (foreign.IncompleteReadError("geheim"), "the connection was cut"),
        (_tls("UNEXPECTED_EOF_WHILE_READING"), "the TLS handshake failed (unexpected eof while reading)"),
        (http.ReadTimeoutError(None, URL, "geheim"), "no response before the timeout"),  # type: ignore[arg-type]
        (foreign.HttpResponseError("geheim"), "the connection was cut"),
        (foreign.DecodeError("geheim"), "the response cannot be read"),
    ],
)
def test_without_a_response_the_outcome_of_a_write_is_unknown(error: Exception, reason: str) -> None:
    for request, expected in ((READ, StoreUnavailableError), (WRITE, OutcomeUnknownError)):
        problem = sdk_error(error, request, has_answered=True)
        assert expected is type(problem)
        assert f"a in az://account/backups: {reason}" in str(problem)
        assert "geheim" not in str(problem)


def test_an_unknown_host_is_a_temporary_failure_once_the_store_has_answered() -> None:
    assert StoreUnavailableError is type(sdk_error(_not_resolved(socket.EAI_NONAME, "x"), WRITE, has_answered=True))


# ── every class ─────────────────────────────────────────────────────────────────────────────────────────────────────

_LOADED_ONLY_BY_OTHERS = ("aio", "_async", "aiohttp", "asyncio", "trio", "opentelemetry", "opencensus")


def _modules(package: ModuleType) -> list[ModuleType]:
    """The modules of a package, except those for asynchronous use, which this program does not import."""
    found = [package]
    for one in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if not any(part in one.name for part in _LOADED_ONLY_BY_OTHERS):
            try:
                found.append(importlib.import_module(one.name))
            except ImportError:  # an optional library
                continue
    return found


def _exceptions() -> set[type[Exception]]:
    modules = [one for package in (azure.core, azure.identity, azure.storage.blob) for one in _modules(package)]
    modules += [msal.exceptions, requests.exceptions, http]
    return {
        one
        for module in modules
        for one in vars(module).values()
        if isinstance(one, type)
        and issubclass(one, Exception)
        and not issubclass(one, Warning)
        and one.__module__.partition(".")[0] in ("azure", "msal", "requests", "urllib3")
    }


def _made(kind: Any) -> Exception:
    """An instance, made without the arguments that its message needs."""
    error: Exception = kind.__new__(kind)
    error.args = ("geheim",)
    if issubclass(kind, http.IncompleteRead | http.InvalidChunkLength):
        error.partial, error.expected, error.length = 1, 2, b"3"  # type: ignore[attr-defined]
    if issubclass(kind, foreign.ODataV4Error):
        error._error_format = None  # type: ignore[attr-defined]
    for name in ("response", "inner_exception", "status_code", "message"):
        if issubclass(kind, foreign.AzureError):
            setattr(error, name, None)
    return error


def _translation(kind: type[Exception], request: Request) -> Exception | None:
    """What leaves the adapter if the SDK raises such an exception. None if the exception itself leaves it."""
    try:
        with translated(request, has_answered=True):
            raise _made(kind)
    except KafkaBackupError as problem:
        return problem
    except kind:
        return None


def test_every_exception_of_the_sdk_becomes_an_error_of_ours() -> None:
    kinds = {f"{kind.__module__}.{kind.__name__}": kind for kind in _exceptions()}
    assert len(kinds) > 60
    mapped = {name: _translation(kind, request) for name, kind in kinds.items() for request in (READ, WRITE)}

    assert sorted(UNMAPPED) == sorted(name for name, one in mapped.items() if one is None)
    assert [] == [name for name, one in mapped.items() if name not in UNMAPPED and "geheim" in str(one)]
    for name, kind in kinds.items():
        if issubclass(kind, foreign.ServiceRequestError | foreign.ServiceResponseError):
            assert getattr(mapped[name], "retryable", False), f"{name} is a failure of the network"


UNMAPPED = {
    **dict.fromkeys(
        (f"azure.core.polling.base_polling.{name}" for name in ("BadResponse", "BadStatus", "OperationFailed")),
        "for operations that take minutes, which this program does not start",
    ),
    **dict.fromkeys(
        (
            *(f"azure.storage.blob._shared.avro.schema.{name}" for name in ("AvroException", "Error")),
            "azure.storage.blob._shared.avro.schema.SchemaParseException",
            "azure.storage.blob._shared.avro.avro_io.SchemaResolutionException",
            "azure.storage.blob._shared.avro.datafile.DataFileException",
        ),
        "for queries inside of blobs, which this program does not send",
    ),
    **dict.fromkeys(
        ("msal.exceptions.MsalError", "msal.exceptions.MsalServiceError"), "see the test of azure-identity below"
    ),
}
"""The exceptions that cannot come out of a request of this program, each with the reason."""


def test_every_exception_of_azure_identity_becomes_an_error_of_ours() -> None:
    class Raising:
        def __init__(self, kind: type[Exception]) -> None:
            self._kind = kind

        def get_token(self, *scopes: str) -> None:
            raise _made(self._kind)

    for kind in (*_exceptions(), OSError, UnicodeDecodeError):
        with pytest.raises(KafkaBackupError) as raised:
            Identity(Raising(kind), SETTINGS).get_token("scope")
        assert isinstance(raised.value, AccessError | StoreUnavailableError)
        assert "geheim" not in str(raised.value)


def test_an_error_of_ours_is_not_changed() -> None:
    own = StoreError("own")
    with pytest.raises(StoreError) as raised, translated(WRITE, has_answered=True):
        raise own
    assert own is raised.value
