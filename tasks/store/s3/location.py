"""Where a bucket is and as whom it is reached. No SDK is imported here."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

from tasks.model.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Credentials:
    """A key pair, with a session token when it is a temporary one."""

    access_key: str
    secret_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Location:
    """The keys under `prefix` of a bucket.

    What is None is taken from the environment, from the files of the AWS tools, or from the machine's role.
    `path_style` asks for the bucket in the path instead of in the host's name; `allow_http` permits an endpoint that
    is not encrypted.
    """

    bucket: str
    prefix: str = ""
    region: str | None = None
    endpoint: str | None = None
    path_style: bool = False
    allow_http: bool = False
    credentials: S3Credentials | None = None


def s3_location(parts: SplitResult) -> S3Location:
    """From `s3://bucket/prefix`; everything else is ambient. Raises `ConfigError`, whose text shows nothing of it."""
    if parts.query or parts.fragment or "@" in parts.netloc or ":" in parts.netloc or not parts.netloc:
        raise ConfigError(
            "An S3 URL is s3://bucket/prefix and no more: credentials come from the environment, a profile or a role."
        )
    return S3Location(bucket=parts.netloc, prefix=parts.path)


def check_endpoint(endpoint: str, *, allow_http: bool) -> str:
    """The endpoint itself. Raises `ConfigError` unless it is an https URL, or an http one that was asked for.

    Only an endpoint that holds no password is shown.
    """
    try:
        parts = urlsplit(endpoint)
        is_url = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_url = False
    if not is_url or "@" in parts.netloc or parts.query or parts.fragment:
        raise ConfigError(
            "The endpoint should be a URL without user and password, as in https://minio.example.com:9000"
        )
    if parts.scheme == "http" and not allow_http:
        raise ConfigError(
            f"The endpoint {endpoint} would carry every record unencrypted: use https, or set allow_http: true"
        )
    return endpoint
