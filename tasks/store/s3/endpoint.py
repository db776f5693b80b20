"""The rule for endpoint URLs of S3."""

from __future__ import annotations

from urllib.parse import urlsplit

from tasks.model.errors import ConfigError
from tasks.store.text_values import control_character


def check_endpoint(endpoint: str, *, allow_http: bool) -> str:
    """The endpoint itself. Raises `ConfigError` unless it is an https URL, or an http URL and `allow_http` is set.

    The message shows the endpoint only after the check that it contains no password.
    """
    if problem := control_character(endpoint):  # urlsplit would drop line breaks
        raise ConfigError(f"The endpoint {problem}")
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
