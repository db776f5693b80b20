"""Makes the boto3 client of a store: credentials, pooled connections, timeouts, no retries. Refuses control characters
in credentials, and keeps secrets out of logs. Imported only when a store is opened."""

from __future__ import annotations

import logging
import os
from base64 import b64encode
from collections.abc import Mapping
from hashlib import md5
from typing import Any

import boto3
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import BotoCoreError

from tasks.model.control_characters import control_character_problem
from tasks.model.errors import ConfigError
from tasks.store.endpoint import check_endpoint
from tasks.store.s3.boto3_errors import setup_error
from tasks.store.s3.settings import S3Settings

POOL_CONNECTIONS = 64
"""The largest number of connections in the pool: one for each worker of the largest run. Connections are opened when
they are needed."""

CONNECT_TIMEOUT_S = 20.0
"""The longest time to connect. It is also the longest pause while a body is sent."""

READ_TIMEOUT_S = 60.0
"""The longest wait for a response, or for the next bytes of a response."""

Client = Any
"""The type of a boto3 client. boto3 makes these classes at run time, so there is no class to name here."""


def open_client(settings: S3Settings, *, connect_timeout_s: float, read_timeout_s: float) -> Client:
    """A client for the settings. Sends no request to the store. Without `access_key`, boto3 looks for credentials here,
    and can wait for the machine's metadata service. Several threads can use the client at the same time. Raises
    `AccessError` if credentials of the environment, a profile or a role are incomplete or cannot be obtained.

    Raises `ConfigError` for an invalid name, region, profile or endpoint, for an http endpoint from the environment
    without `allow_http`, and for a control character in a variable `AWS_…` or in the credentials of a profile.
    """
    _keep_secrets_out_of_logs()
    _check_environment(os.environ)
    config = Config(
        retries={"total_max_attempts": 1, "mode": "standard"},  # because `RetryingStore` repeats requests
        connect_timeout=connect_timeout_s,
        read_timeout=read_timeout_s,
        max_pool_connections=POOL_CONNECTIONS,
        response_checksum_validation="when_required",  # because readers check the digests in the repository's index
        # Each body is sent with its SHA-256 in a signed header. Signing the body too would only hash it a second time.
        s3={"addressing_style": "path" if settings.path_style else "auto", "payload_signing_enabled": False},
    )
    try:
        session = boto3.session.Session(**_credentials(settings), region_name=settings.region)
        client = session.client("s3", endpoint_url=settings.endpoint, config=config)
        _check_credentials(session.get_credentials())
    except BotoCoreError as error:
        problem = setup_error(error, settings)
        if problem is None:
            name = type(error).__name__
            raise ConfigError(f"boto3 cannot make a client for S3 ({name}): correct the storage section.") from error
        raise problem from error
    except ValueError:  # botocore raises it for an invalid endpoint in the environment
        raise ConfigError("The endpoint of S3 in the environment or the profile is not a URL: correct it.") from None
    check_endpoint(client.meta.endpoint_url, allow_http=settings.allow_http)
    client.meta.events.register_first("before-call.s3", _follow_no_region_redirect)
    client.meta.events.register("before-call.s3.DeleteObjects", _add_content_md5)
    return client


def _check_environment(environment: Mapping[str, str]) -> None:
    """Raises `ConfigError` if a variable `AWS_…` contains a control character. Without this check, a line break in a
    key would make an invalid header, and the request would fail like one whose connection was cut."""
    for name, value in environment.items():
        problem = control_character_problem(value) if name.startswith("AWS_") else None
        if problem is not None:
            raise ConfigError(f"The environment variable {name} {problem}: remove it.")


def _credentials(settings: S3Settings) -> dict[str, str | None]:
    """The credentials of the settings. Empty if they have none: then boto3 takes them from the environment, a profile
    or a role."""
    if settings.access_key is None or settings.secret_key is None:
        return {}
    token = settings.session_token
    return {
        "aws_access_key_id": settings.access_key,
        "aws_secret_access_key": settings.secret_key.get_secret_value(),
        "aws_session_token": token.get_secret_value() if token else None,
    }


def _check_credentials(credentials: Any) -> None:
    """Raises `ConfigError` if credentials of the environment or of a profile contain a control character, because a
    header cannot contain it. Credentials of a role are not checked, because that would need a request."""
    if type(credentials) is not Credentials:
        return
    named = {"access key": credentials.access_key, "secret key": credentials.secret_key}
    for name, value in {**named, "session token": credentials.token}.items():
        if value and (problem := control_character_problem(value)):
            raise ConfigError(f"The {name} of S3 in the environment or the profile {problem}: remove it.")


def _add_content_md5(params: dict[str, Any], **_: object) -> None:
    """Add the header Content-MD5 to a bulk delete. boto3 sends a CRC32, but older stores require this header."""
    digest = md5(params["body"], usedforsecurity=False).digest()
    params["headers"]["Content-MD5"] = b64encode(digest).decode()


def _follow_no_region_redirect(params: dict[str, Any], **_: object) -> None:
    """Make a wrong region an error. By default botocore sends each request again to the right region. This costs one
    more request each time, and hides the wrong setting from the user."""
    params["context"].setdefault("s3_redirect", {})["redirected"] = True


def _keep_secrets_out_of_logs() -> None:
    """Give these loggers at least the level INFO, because at DEBUG botocore logs whole requests with their session
    tokens, and `-v` sets DEBUG for all loggers."""
    for name in ("botocore", "boto3", "urllib3"):
        logger = logging.getLogger(name)
        logger.setLevel(max(logger.getEffectiveLevel(), logging.INFO))
