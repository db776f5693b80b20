"""What it means when S3 gives no answer, or could not be asked.

A write without an answer has an unknown outcome, unless no connection came about.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from typing import TypeVar

from botocore import exceptions as foreign
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError

from tasks.model.errors import AccessError, ConfigError, KafkaBackupError, StoreError, StoreUnavailableError
from tasks.store.s3.answers import Asked, no_store, passing
from tasks.store.s3.location import S3Location

_E = TypeVar("_E", bound=BaseException)

_NO_CREDENTIALS = (
    *(foreign.NoCredentialsError, foreign.PartialCredentialsError, foreign.CredentialRetrievalError),
    *(foreign.TokenRetrievalError, foreign.NoAuthTokenError, foreign.MetadataRetrievalError),
    *(foreign.SSOError, foreign.LoginError, foreign.RefreshWithMFAUnsupportedError, foreign.UnknownCredentialError),
    foreign.InvalidConfigError,
)
_AMBIENT = (
    *(foreign.ProfileNotFound, foreign.ConfigParseError, foreign.ConfigNotFound),
    foreign.InvalidProxiesConfigError,
)
_IMPOSSIBLE = (
    *(foreign.ValidationError, foreign.ParamValidationError, foreign.BaseEndpointResolverError),
    *(foreign.EndpointProviderError, foreign.InvalidHostLabelError, foreign.InvalidDNSNameError),
    *(foreign.UnsupportedS3ArnError, foreign.UnsupportedS3ConfigurationError),
)
_NOT_CONNECTED = (foreign.EndpointConnectionError, foreign.ConnectTimeoutError, foreign.ProxyConnectionError)
_BROKEN_OFF = (
    *(foreign.HTTPClientError, foreign.SSLError, foreign.IncompleteReadError, foreign.ChecksumError),
    *(ResponseParserError, HTTPError),
)
_NO_SUCH_HOST = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})
_UNREADABLE = (FileNotFoundError, PermissionError, IsADirectoryError)
_NO_CERTIFICATE = frozenset({"NO_CERTIFICATE_OR_CRL_FOUND", "NO_START_LINE"})
_NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"})

FOREIGN = (foreign.BotoCoreError, ResponseParserError, HTTPError)
"""Everything that boto3 raises, but for the answers of the store."""


def failure(error: Exception, asked: Asked, *, has_answered: bool) -> KafkaBackupError:
    """The error that one of `FOREIGN` comes to. `has_answered`: see `s3_answers.refusal`."""
    if problem := setup_failure(error, asked.location):
        return problem
    if isinstance(error, foreign.SSLError) and (problem := _tls_problem(error, asked)):
        return problem
    if not has_answered and (problem := _endpoint_problem(error, asked)):
        return problem
    if isinstance(error, _NOT_CONNECTED):
        return StoreUnavailableError(f"{asked.where} cannot be reached: {_reason(error)}", key=asked.key)
    if isinstance(error, _BROKEN_OFF):
        return passing(f"{asked.what}: {_reason(error)}", asked)
    return StoreError(f"{asked.what}: {type(error).__name__}", key=asked.key)


def setup_failure(error: Exception, location: S3Location) -> KafkaBackupError | None:
    """The error of a request that could not even be made; None for any other."""
    if isinstance(error, _NO_CREDENTIALS):
        return AccessError(_without_credentials(error))
    if isinstance(error, _AMBIENT):
        return ConfigError(f"{str(error).rstrip('.')}: correct the variables and files of the AWS tools.")
    if isinstance(error, _IMPOSSIBLE):
        region = f" in region {location.region!r}" if location.region else ""
        return ConfigError(
            f"There cannot be a bucket {location.bucket!r}{region}: correct bucket, region and endpoint."
        )
    return None


def _without_credentials(error: Exception) -> str:
    """The error's own text is not shown: a helper program may have said anything."""
    if isinstance(error, foreign.NoCredentialsError):
        return (
            "There are no credentials for S3: set access_key and secret_key, or AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY, or name a profile in AWS_PROFILE, or give the machine a role."
        )
    return f"The credentials for S3 cannot be obtained ({type(error).__name__}): check the profile or the role."


def _tls_problem(error: foreign.SSLError, asked: Asked) -> KafkaBackupError | None:
    cause = _cause(error, ssl.SSLError)
    if isinstance(cause, ssl.SSLCertVerificationError):
        said = cause.verify_message.rstrip(".")
        return AccessError(
            f"{asked.where} shows a certificate that is not trusted: {said}. "
            "Name the certificate of its authority in AWS_CA_BUNDLE."
        )
    if isinstance(_cause(error, OSError), _UNREADABLE) or (cause is not None and cause.reason in _NO_CERTIFICATE):
        return ConfigError("AWS_CA_BUNDLE names a file that cannot be read, or holds no certificate: correct it.")
    if cause is not None and cause.reason in _NO_TLS:
        return ConfigError(f"{asked.where} does not speak TLS: correct the endpoint, or use http and allow_http: true.")
    return None


def _endpoint_problem(error: Exception, asked: Asked) -> ConfigError | None:
    """A mistake that shows at the first request."""
    unresolved = _cause(error, socket.gaierror)
    if unresolved is not None and unresolved.errno in _NO_SUCH_HOST:
        return ConfigError(f"{asked.where}: no host has the endpoint's name: correct endpoint and region.")
    if isinstance(error, ResponseParserError):
        return no_store(asked)
    return None


def _reason(error: Exception) -> str:
    cause = _cause(error, OSError)
    if isinstance(error, (foreign.ReadTimeoutError, foreign.ConnectTimeoutError)) or isinstance(cause, TimeoutError):
        return "no answer in time"
    if isinstance(error, ResponseParserError):
        return "the answer cannot be read"
    if cause is not None and cause.strerror:
        return cause.strerror.lower()
    return "the connection was cut"


def _cause(error: BaseException, kind: type[_E]) -> _E | None:
    """The innermost exception of the kind among those that led to the error."""
    return next((one for one in reversed(list(_causes(error))) if isinstance(one, kind)), None)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what it came of: boto3 keeps that among its words, urllib3 in `reason`, Python in `__cause__`."""
    seen: set[int] = set()
    current: object = error
    while isinstance(current, BaseException) and id(current) not in seen:
        seen.add(id(current))
        yield current
        told = getattr(current, "kwargs", {}).get("error")
        current = told or getattr(current, "reason", None) or current.__cause__ or current.__context__
