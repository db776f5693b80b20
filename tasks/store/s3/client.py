"""Makes the boto3 client of a store: pooled connections, timeouts, endpoint, no retries. Keeps secrets out of logs.
Imported only when a store is opened."""

from __future__ import annotations

import logging
from base64 import b64encode
from hashlib import md5
from pathlib import Path
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError

from tasks.model.errors import ConfigError
from tasks.store.endpoint import check_endpoint
from tasks.store.s3.boto3_errors import setup_error
from tasks.store.s3.common_parameters import add_common_parameters
from tasks.store.s3.session import open_session
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
    _check_ca_bundle(settings.ca_bundle)
    config = Config(
        retries={"total_max_attempts": 1, "mode": "standard"},  # because `RetryingStore` repeats requests
        connect_timeout=connect_timeout_s,
        read_timeout=read_timeout_s,
        max_pool_connections=POOL_CONNECTIONS,
        response_checksum_validation="when_required",  # because readers check the digests in the repository's index
        # Each body is sent with its SHA-256 in a signed header. Signing the body too would only hash it a second time.
        s3={"addressing_style": "path" if settings.path_style else "auto", "payload_signing_enabled": False},
        use_fips_endpoint=settings.use_fips_endpoint or None,  # None: the environment or a profile decides
        use_dualstack_endpoint=settings.use_dualstack_endpoint or None,
    )
    try:
        session = open_session(settings)
        client = session.client("s3", endpoint_url=settings.endpoint, config=config, verify=settings.ca_bundle)
    except BotoCoreError as error:
        problem = setup_error(error, settings)
        if problem is None:
            name = type(error).__name__
            raise ConfigError(f"boto3 cannot make a client for S3 ({name}): correct the storage section.") from error
        raise problem from error
    except ValueError:  # botocore raises it for an invalid endpoint in the environment
        raise ConfigError("The endpoint of S3 in the environment or the profile is not a URL: correct it.") from None
    check_endpoint(client.meta.endpoint_url, allow_http=settings.allow_http)
    add_common_parameters(client, settings)
    client.meta.events.register_first("before-call.s3", _follow_no_region_redirect)
    client.meta.events.register("before-call.s3.DeleteObjects", _add_content_md5)
    return client


def _check_ca_bundle(path: str | None) -> None:
    """Raises `ConfigError` if the file cannot be read. Otherwise the first request would fail like one that was not
    answered."""
    if path is None:
        return
    try:
        Path(path).open("rb").close()
    except OSError as error:
        raise ConfigError(f"ca_bundle {path} cannot be read: {error.strerror}.") from None


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
