"""What it means when S3 gives no answer, or could not be asked: by boto3's own exceptions."""

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
from tasks.store.s3.answers import Asked
from tasks.store.s3.errors import translated
from tasks.store.s3.failures import FOREIGN, failure
from tasks.store.s3.location import S3Location

URL = "https://key:geheim@minio.example.com"
LOCATION = S3Location(bucket="backups", region="us-west-2", endpoint="https://minio.example.com")
READ = Asked(location=LOCATION, operation="GetObject", key="a")
WRITE = Asked(location=LOCATION, operation="PutObject", key="a", is_write=True)


def _tls(reason: str) -> foreign.SSLError:
    cause = ssl.SSLError(1, reason)
    cause.reason = reason
    return foreign.SSLError(endpoint_url=URL, error=cause)


def _distrust() -> foreign.SSLError:
    cause = ssl.SSLCertVerificationError(1, "certificate verify failed")
    cause.verify_message = "self-signed certificate."
    return foreign.SSLError(endpoint_url=URL, error=cause)


def _no_such_host() -> foreign.EndpointConnectionError:
    return foreign.EndpointConnectionError(endpoint_url=URL, error=socket.gaierror(socket.EAI_NONAME, "unknown"))


def _name_server_away() -> foreign.EndpointConnectionError:
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
        (_distrust(), AccessError, "not trusted: self-signed certificate. Name the certificate of its authority in"),
        (_tls("WRONG_VERSION_NUMBER"), ConfigError, "does not speak TLS: correct the endpoint, or use http and allow"),
        (_tls("NO_CERTIFICATE_OR_CRL_FOUND"), ConfigError, "AWS_CA_BUNDLE names a file that cannot be read"),
        (_no_such_host(), ConfigError, "no host has the endpoint's name: correct endpoint and region."),
        (ResponseParserError("geheim"), ConfigError, "is no S3 store: correct the endpoint."),
    ],
)
def test_a_mistake_is_one_sentence_that_shows_no_secret(
    error: Exception, expected: type[KafkaBackupError], sentence: str
) -> None:
    for asked in (READ, WRITE):
        problem = failure(error, asked, has_answered=False)
        assert expected is type(problem)
        assert sentence in str(problem)
        assert "geheim" not in str(problem)
        assert 1 == len(str(problem).splitlines())


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (_name_server_away(), "later"),
        (
            foreign.EndpointConnectionError(endpoint_url=URL, error=ConnectionRefusedError(111, "Connection refused")),
            "connection refused",
        ),
        (foreign.ConnectTimeoutError(endpoint_url=URL, error=None), "no answer in time"),
        (foreign.ProxyConnectionError(proxy_url=URL, error=None), "the connection was cut"),
    ],
)
def test_without_a_connection_nothing_was_done(error: Exception, reason: str) -> None:
    for asked in (READ, WRITE):
        problem = failure(error, asked, has_answered=True)
        assert StoreUnavailableError is type(problem)
        assert f"s3://backups at https://minio.example.com cannot be reached: {reason}" == str(problem)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (foreign.ReadTimeoutError(endpoint_url=URL, error=None), "no answer in time"),
        (foreign.ConnectionClosedError(endpoint_url=URL, error=None), "the connection was cut"),
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
        (ResponseParserError("geheim"), "the answer cannot be read"),
    ],
)
def test_an_answer_that_does_not_come_leaves_a_write_unknown(error: Exception, reason: str) -> None:
    for asked, expected in ((READ, StoreUnavailableError), (WRITE, OutcomeUnknownError)):
        problem = failure(error, asked, has_answered=True)
        assert expected is type(problem)
        assert f"a in s3://backups at https://minio.example.com: {reason}" in str(problem)
        assert "geheim" not in str(problem)


def test_once_the_store_has_answered_a_name_that_is_not_found_is_trouble_that_passes() -> None:
    assert StoreUnavailableError is type(failure(_no_such_host(), WRITE, has_answered=True))


def test_every_exception_of_boto3_ends_as_one_of_ours() -> None:
    kinds = [kind for kind in _below(foreign.BotoCoreError) if kind.__module__ == foreign.__name__]
    assert len(kinds) > 80
    for kind in kinds:
        assert issubclass(kind, FOREIGN)
        problem = failure(_made(kind), WRITE, has_answered=True)
        assert isinstance(problem, KafkaBackupError)
        if issubclass(kind, foreign.HTTPClientError):
            assert isinstance(problem, StoreError), f"{kind.__name__} is trouble on the way"
            assert problem.retryable, f"{kind.__name__} is trouble on the way"


def _below(kind: type[Any]) -> list[type[Any]]:
    return [one for child in kind.__subclasses__() for one in (child, *_below(child))]


def _made(kind: Any) -> Exception:
    """An instance, whatever words its message wants."""
    error: Exception = kind.__new__(kind)
    error.kwargs = {}  # type: ignore[attr-defined]
    return error


def test_the_answer_and_the_lack_of_one_end_in_the_same_place() -> None:
    answer = {"Error": {"Code": "SlowDown"}, "ResponseMetadata": {"HTTPStatusCode": 503}}
    for error in (
        foreign.ClientError(answer, "PutObject"),
        foreign.ConnectTimeoutError(endpoint_url=URL, error=None),
    ):
        with pytest.raises(StoreUnavailableError) as raised, translated(WRITE, has_answered=True):
            raise error
        assert error is raised.value.__cause__
        assert "a" == raised.value.key


def test_our_own_errors_pass_unchanged() -> None:
    own = StoreError("own")
    with pytest.raises(StoreError) as raised, translated(WRITE, has_answered=True):
        raise own
    assert own is raised.value
