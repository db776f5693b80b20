"""One boto3 client per store: pooled, impatient, and without retries of its own. Imported only where S3 is used."""

from __future__ import annotations

import logging
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from tasks.model.errors import ConfigError
from tasks.store.s3.failures import setup_failure
from tasks.store.s3.location import S3Location, check_endpoint

POOL_CONNECTIONS = 64
"""As many as there can be workers. A pool holds only connections that were used."""

CONNECT_TIMEOUT_S = 20.0
"""Also how long a send may stand still."""

READ_TIMEOUT_S = 60.0
"""How long an answer, or its next bytes, may take."""

Client = Any
"""boto3 makes its clients' classes when it makes the clients."""


def open_client(location: S3Location, *, connect_timeout_s: float, read_timeout_s: float) -> Client:
    """A client for the location; nothing is asked yet. Safe for several threads.

    Raises `ConfigError` for a name, region, profile or endpoint that cannot be right, and for an ambient endpoint over
    http that was not allowed.
    """
    if location.endpoint is not None:
        check_endpoint(location.endpoint, allow_http=location.allow_http)
    _keep_secrets_unlogged()
    config = Config(
        retries={"total_max_attempts": 1, "mode": "standard"},  # `RetryingStore` is the one that repeats
        connect_timeout=connect_timeout_s,
        read_timeout=read_timeout_s,
        max_pool_connections=POOL_CONNECTIONS,
        response_checksum_validation="when_required",  # readers hold bytes to the digests of their own index
        # Each body travels with its SHA-256 in a signed header, so that signing the body too would only hash it twice.
        s3={"addressing_style": "path" if location.path_style else "auto", "payload_signing_enabled": False},
    )
    try:
        client = boto3.session.Session(**_credentials(location), region_name=location.region).client(
            "s3", endpoint_url=location.endpoint, config=config
        )
    except BotoCoreError as error:
        problem = setup_failure(error, location)
        if problem is None:
            raise ConfigError(f"No client for S3 can be made ({type(error).__name__}): correct the section.") from error
        raise problem from error
    except ValueError:  # botocore's own, for an endpoint in the environment
        raise ConfigError("The endpoint of S3 in the environment or the profile is not a URL.") from None
    check_endpoint(client.meta.endpoint_url, allow_http=location.allow_http)
    client.meta.events.register_first("before-call.s3", _stay_in_region)
    return client


def _credentials(location: S3Location) -> dict[str, str | None]:
    own = location.credentials
    if own is None:
        return {}
    return {
        "aws_access_key_id": own.access_key,
        "aws_secret_access_key": own.secret_key,
        "aws_session_token": own.session_token,
    }


def _stay_in_region(params: dict[str, Any], **_: object) -> None:
    """botocore would follow a bucket into another region, request by request, and nobody would correct the file."""
    params["context"].setdefault("s3_redirect", {})["redirected"] = True


def _keep_secrets_unlogged() -> None:
    """At level DEBUG botocore logs whole requests, session tokens included; and `-v` turns that level on for all."""
    for name in ("botocore", "boto3", "urllib3"):
        logger = logging.getLogger(name)
        logger.setLevel(max(logger.getEffectiveLevel(), logging.INFO))
