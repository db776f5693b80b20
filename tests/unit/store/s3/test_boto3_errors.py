"""The error for each exception of boto3 that is not an error response."""

from __future__ import annotations

import socket
import ssl
from typing import Any

import pytest
from botocore import exceptions as foreign
from botocore.parsers import ResponseParserError
from urllib3.exceptions import ProtocolError, ReadTimeoutError

from tasks.model.errors import (
    AccessError,
    ConfigError,
    KafkaBackupError,
    OutcomeUnknownError,
    StoreError,
    StoreUnavailableError,
)
from tasks.store.s3.boto3_errors import FOREIGN, boto3_error
from tasks.store.s3.error_responses import Request
from tasks.store.s3.settings import S3Settings
from tasks.store.s3.translation import translated

URL = "https://key:geheim@minio.example.com"
SETTINGS = S3Settings(bucket="backups", region="us-west-2", endpoint="https://minio.example.com")
READ = Request(settings=SETTINGS, operation="GetObject", key="a")
WRITE = Request(settings=SETTINGS, operation="PutObject", key="a", is_write=True)


def _tls(reason: str) -> foreign.SSLError:
    cause = ssl.SSLError(1, reason)
    cause.reason = reason
    return foreign.SSLError(endpoint_url=URL, error=cause)


def _untrusted_certificate() -> foreign.SSLError:
    cause = ssl.SSLCertVerificationError(1, "certificate verify failed")
    cause.verify_message = "self-signed certificate."
    return foreign.SSLError(endpoint_url=URL, error=cause)


def _no_such_host() -> foreign.EndpointConnectionError:
    return foreign.EndpointConnectionError(endpoint_url=URL, error=socket.gaierror(socket.EAI_NONAME, "unknown"))


def _name_server_unreachable() -> foreign.EndpointConnectionError:
    return foreign.EndpointConnectionError(endpoint_url=URL, error=socket.gaierror(socket.EAI_AGAIN, "later"))


@pytest.mark.parametrize(
    ("error", "expected", "sentence"),
    [
        (foreign.NoCredentialsError(), AccessError, "There are no credentials for S3: set access_key"),
        (
            foreign.CredentialRetrievalError(provider="custom-process", error_msg="geheim"),
            *(AccessError, "cannot be obtained (CredentialRetrievalError): check the profile or the role."),
        ),
        (foreign.ProfileNotFound(profile="other"), ConfigError, "profile (other) could not be found: correct the var"),
        (foreign.InvalidRegionError(region_name="no region"), ConfigError, "There cannot be a bucket 'backups' in reg"),
        (
            _untrusted_certificate(),
            AccessError,
            "Cannot verify the certificate of s3://backups at https://minio.example.com: self-signed certificate",
        ),
        (_tls("WRONG_VERSION_NUMBER"), ConfigError, "does not speak TLS: correct `endpoint`, or use http and `allow"),
        (_tls("NO_CERTIFICATE_OR_CRL_FOUND"), ConfigError, "The file of AWS_CA_BUNDLE cannot be read"),
        (_no_such_host(), ConfigError, "the endpoint's host does not exist: correct `endpoint` and `region`."),
        (
            ResponseParserError("geheim"),
            ConfigError,
            "example.com does not speak S3. Check `endpoint`.",
        ),
    ],
)
def test_a_configuration_error_is_one_sentence_without_a_secret(
    error: Exception, expected: type[KafkaBackupError], sentence: str
) -> None:
    for request in (READ, WRITE):
        problem = boto3_error(error, request, has_answered=False)
        assert expected is type(problem)
        assert sentence in str(problem)
        assert "geheim" not in str(problem)
        assert 1 == len(str(problem).splitlines())


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (_name_server_unreachable(), "later"),
        (
            foreign.EndpointConnectionError(endpoint_url=URL, error=ConnectionRefusedError(111, "Connection refused")),
            "connection refused",
        ),
        (foreign.ConnectTimeoutError(endpoint_url=URL, error=None), "no response before the timeout"),
        (foreign.ProxyConnectionError(proxy_url=URL, error=None), "the connection was cut"),
    ],
)
def test_without_a_connection_nothing_was_changed(error: Exception, reason: str) -> None:
    for request in (READ, WRITE):
        problem = boto3_error(error, request, has_answered=True)
        assert StoreUnavailableError is type(problem)
        assert f"s3://backups at https://minio.example.com cannot be reached: {reason}" == str(problem)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (foreign.ReadTimeoutError(endpoint_url=URL, error=None), "no response before the timeout"),
        (foreign.ConnectionClosedError(endpoint_url=URL, error=None), "the connection was cut"),
        (
            _tls("UNEXPECTED_EOF_WHILE_READING"),
            "the TLS handshake failed (unexpected eof while reading); check that the port of the endpoint uses TLS",
        ),
        (
            foreign.HTTPClientError(
                error=ProtocolError("geheim", ConnectionResetError(104, "Connection reset by peer"))
            ),
            "the connection was cut",
        ),
        (
            foreign.HTTPClientError(error=ConnectionResetError(104, "Connection reset by peer")),
            "connection reset by peer",
        ),
        (foreign.IncompleteReadError(actual_bytes=1, expected_bytes=2), "the connection was cut"),
        (foreign.ResponseStreamingError(error="geheim"), "the connection was cut"),
        (_tls("SSLV3_ALERT_BAD_RECORD_MAC"), ""),
        (ReadTimeoutError(None, URL, "geheim"), ""),  # type: ignore[arg-type]
        (ResponseParserError("geheim"), "the response cannot be read"),
    ],
)
def test_without_a_response_the_outcome_of_a_write_is_unknown(error: Exception, reason: str) -> None:
    for request, expected in ((READ, StoreUnavailableError), (WRITE, OutcomeUnknownError)):
        problem = boto3_error(error, request, has_answered=True)
        assert expected is type(problem)
        assert f"a in s3://backups at https://minio.example.com: {reason}" in str(problem)
        assert "geheim" not in str(problem)


def test_an_unknown_host_is_a_temporary_failure_once_the_store_has_answered() -> None:
    assert StoreUnavailableError is type(boto3_error(_no_such_host(), WRITE, has_answered=True))


def test_every_exception_of_boto3_becomes_an_error_of_ours() -> None:
    kinds = [kind for kind in _below(foreign.BotoCoreError) if kind.__module__ == foreign.__name__]
    assert len(kinds) > 80
    for kind in kinds:
        assert issubclass(kind, FOREIGN)
        problem = boto3_error(_made(kind), WRITE, has_answered=True)
        assert isinstance(problem, KafkaBackupError)
        if issubclass(kind, foreign.HTTPClientError):
            assert isinstance(problem, StoreError), f"{kind.__name__} is a failure of the network"
            assert problem.retryable, f"{kind.__name__} is a failure of the network"


def _below(kind: type[Any]) -> list[type[Any]]:
    return [one for child in kind.__subclasses__() for one in (child, *_below(child))]


def _made(kind: Any) -> Exception:
    """An instance, made without the arguments that its message needs."""
    error: Exception = kind.__new__(kind)
    error.kwargs = {}  # type: ignore[attr-defined]
    return error


def test_error_responses_and_missing_responses_are_translated_in_one_place() -> None:
    response = {"Error": {"Code": "SlowDown"}, "ResponseMetadata": {"HTTPStatusCode": 503}}
    for error in (
        foreign.ClientError(response, "PutObject"),
        foreign.ConnectTimeoutError(endpoint_url=URL, error=None),
    ):
        with pytest.raises(StoreUnavailableError) as raised, translated(WRITE, has_answered=True):
            raise error
        assert error is raised.value.__cause__
        assert "a" == raised.value.key


def test_an_error_of_ours_is_not_changed() -> None:
    own = StoreError("own")
    with pytest.raises(StoreError) as raised, translated(WRITE, has_answered=True):
        raise own
    assert own is raised.value
