"""Checks endpoint URLs of stores: https, or http with `allow_http`."""

from __future__ import annotations

from urllib.parse import urlsplit

from tasks.model.control_characters import control_character_problem
from tasks.model.errors import ConfigError


def check_endpoint(endpoint: str, *, allow_http: bool) -> str:
    """Return the endpoint. Raises `ConfigError` unless it is an https URL, or an http URL and `allow_http` is set.

    The message contains the endpoint only if it has no user and no password.
    """
    if problem := control_character_problem(endpoint):  # because urlsplit removes line breaks
        raise ConfigError(f"The endpoint {problem}: remove it")
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
            f"The endpoint {endpoint} uses http, so every record would be sent unencrypted: use https, or set "
            "allow_http: true"
        )
    return endpoint
