"""The error of `tasks.model.errors` for each exception of boto3 that is not an error response: credentials, AWS files,
TLS, endpoints, broken connections.

Without a response, the outcome of a write is unknown, unless the connection was not established.
"""

from __future__ import annotations

import socket
import ssl

from botocore import exceptions as foreign
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError

from tasks.model.errors import AccessError, ConfigError, KafkaBackupError, StoreError, StoreUnavailableError
from tasks.store.s3.error_responses import Request, not_s3
from tasks.store.s3.settings import S3Settings
from tasks.store.sdk_failures import NO_CERTIFICATE, NO_SUCH_HOST, NO_TLS, UNREADABLE_FILE, SdkFailures

_NO_CREDENTIALS = (
    *(foreign.NoCredentialsError, foreign.PartialCredentialsError, foreign.CredentialRetrievalError),
    *(foreign.TokenRetrievalError, foreign.NoAuthTokenError, foreign.MetadataRetrievalError),
    *(foreign.SSOError, foreign.LoginError, foreign.RefreshWithMFAUnsupportedError, foreign.UnknownCredentialError),
    foreign.InvalidConfigError,
)
_WRONG_AWS_FILES = (
    *(foreign.ProfileNotFound, foreign.ConfigParseError, foreign.ConfigNotFound),
    foreign.InvalidProxiesConfigError,
)
_INVALID_NAMES = (
    *(foreign.ValidationError, foreign.ParamValidationError, foreign.BaseEndpointResolverError),
    *(foreign.EndpointProviderError, foreign.InvalidHostLabelError, foreign.InvalidDNSNameError),
    *(foreign.UnsupportedS3ArnError, foreign.UnsupportedS3ConfigurationError),
)
_NOT_CONNECTED = (foreign.EndpointConnectionError, foreign.ConnectTimeoutError, foreign.ProxyConnectionError)
_CONNECTION_BROKEN = (
    *(foreign.HTTPClientError, foreign.SSLError, foreign.IncompleteReadError, foreign.ChecksumError),
    *(ResponseParserError, HTTPError),
)
_FAILURES = SdkFailures(timeouts=(foreign.ReadTimeoutError, foreign.ConnectTimeoutError), has_causes_in_args=False)

FOREIGN = (foreign.BotoCoreError, ResponseParserError, HTTPError)
"""The classes of all exceptions of boto3 except `ClientError`, which is an error response."""


def boto3_error(error: Exception, request: Request, *, has_answered: bool) -> KafkaBackupError:
    """The error for one of `FOREIGN`. `has_answered`: see `response_error`."""
    if problem := setup_error(error, request.settings):
        return problem
    if isinstance(error, foreign.SSLError) and (problem := _tls_error(error, request)):
        return problem
    if not has_answered and (problem := _endpoint_error(error, request)):
        return problem
    if isinstance(error, _NOT_CONNECTED):
        return StoreUnavailableError(f"{request.place} cannot be reached: {_reason(error)}", key=request.key)
    if isinstance(error, _CONNECTION_BROKEN):
        return request.temporary_error(f"{request.target}: {_reason(error)}")
    return StoreError(f"{request.target}: boto3 failed with {type(error).__name__}", key=request.key)


def setup_error(error: Exception, settings: S3Settings) -> KafkaBackupError | None:
    """The error for missing credentials, wrong files of the AWS tools, or an invalid bucket, region or endpoint. boto3
    raises these before it sends a request to the store. None for any other exception."""
    if isinstance(error, _NO_CREDENTIALS):
        return AccessError(_no_credentials(error))
    if isinstance(error, _WRONG_AWS_FILES):
        return ConfigError(f"{str(error).rstrip('.')}: correct the variables and files of the AWS tools.")
    if isinstance(error, _INVALID_NAMES):
        region = f" in region {settings.region!r}" if settings.region else ""
        return ConfigError(
            f"There cannot be a bucket {settings.bucket!r}{region}: correct `bucket`, `region` and `endpoint`."
        )
    return None


def _no_credentials(error: Exception) -> str:
    """The message for missing credentials. It does not contain the exception's own text, because the text can contain a
    secret from a credential helper program."""
    if isinstance(error, foreign.NoCredentialsError):
        return (
            "There are no credentials for S3: set access_key and secret_key, or AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY, or name a profile in AWS_PROFILE, or give the machine a role."
        )
    return f"The credentials for S3 cannot be obtained ({type(error).__name__}): check the profile or the role."


def _tls_error(error: foreign.SSLError, request: Request) -> KafkaBackupError | None:
    cause = _FAILURES.cause(error, ssl.SSLError)
    if isinstance(cause, ssl.SSLCertVerificationError):
        reason = cause.verify_message.rstrip(".")
        return AccessError(
            f"Cannot verify the certificate of {request.place}: {reason}. Check this certificate. "
            "Set AWS_CA_BUNDLE to the certificate of its authority if a private authority signed it."
        )
    if isinstance(_FAILURES.cause(error, OSError), UNREADABLE_FILE) or (
        cause is not None and cause.reason in NO_CERTIFICATE
    ):
        return ConfigError("The file of AWS_CA_BUNDLE cannot be read, or contains no certificate: correct it.")
    if cause is not None and cause.reason in NO_TLS:
        return ConfigError(
            f"{request.place} does not speak TLS: correct `endpoint`, or use http and `allow_http: true`."
        )
    return None


def _endpoint_error(error: Exception, request: Request) -> ConfigError | None:
    """The error if the endpoint is wrong; otherwise None. Called only until the store has answered for the first
    time."""
    unresolved = _FAILURES.cause(error, socket.gaierror)
    if unresolved is not None and unresolved.errno in NO_SUCH_HOST:
        return ConfigError(f"{request.place}: the endpoint's host does not exist: correct `endpoint` and `region`.")
    if isinstance(error, ResponseParserError):
        return not_s3(request)
    if type(error) is foreign.HTTPClientError and type(_FAILURES.cause(error, ValueError)) in (
        ValueError,
        UnicodeEncodeError,
    ):
        return ConfigError(
            f"No request to {request.place} can be made with these settings: look for line breaks and other invisible "
            "characters in the credentials, the region and the endpoint."
        )
    return None


def _reason(error: Exception) -> str:
    return "the response cannot be read" if isinstance(error, ResponseParserError) else _FAILURES.reason(error)
