"""A cluster's security as properties of librdkafka, for the client that checks this program independently."""

from __future__ import annotations

from typing import Any

from tasks.broker.auth.security import Security
from tasks.broker.auth.tokens import current_token

_FILES = {
    "ssl_ca_location": "ssl.ca.location",
    "ssl_certificate_location": "ssl.certificate.location",
    "ssl_key_location": "ssl.key.location",
}


def client_settings(security: Security) -> dict[str, Any]:
    """The properties, with secrets: pass them to the client only. Tokens come from the raw side's source."""
    settings: dict[str, Any] = {"security.protocol": security.security_protocol}
    if security.has_tls:
        settings |= _tls(security)
    if security.sasl_mechanism is not None:
        settings["sasl.mechanism"] = security.sasl_mechanism
    if security.sasl_mechanism == "OAUTHBEARER":
        extensions = security.oauth_extensions
        more = ("", extensions) if extensions else ()  # the principal, which brokers do not use, and the extensions
        settings["oauth_cb"] = lambda _: (*current_token(security), *more)
    elif security.sasl_password is not None:
        settings["sasl.username"] = security.sasl_username
        settings["sasl.password"] = security.sasl_password.get_secret_value()
    return settings


def _tls(security: Security) -> dict[str, Any]:
    named = {theirs: getattr(security, ours) for ours, theirs in _FILES.items()}
    settings = {name: path for name, path in named.items() if path is not None}
    if security.ssl_key_password is not None:
        settings["ssl.key.password"] = security.ssl_key_password.get_secret_value()
    return {**settings, "ssl.endpoint.identification.algorithm": "https"}
