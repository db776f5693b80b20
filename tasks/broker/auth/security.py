"""The settings for encryption and authentication of connections, with their defaults. Checks that no setting is missing
that another one requires, and that none is set without effect. Fields have the names of the keys in YAML files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, SecretStr, model_validator

_ALIASES = {"SCRAM-SHA256": "SCRAM-SHA-256", "SCRAM-SHA512": "SCRAM-SHA-512"}
_EXTENSION_NAME = re.compile("[A-Za-z]+")
"""The names of SASL extensions (RFC 7628, 3.1). The name `auth` is not allowed, because it is the name of the token."""

_PASSWORD_MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


def _mechanism(value: object) -> object:
    if not isinstance(value, str) or not value:
        return None if value == "" else value
    name = value.upper().replace("_", "-")
    if name == "GSSAPI":
        raise ValueError(
            "this version has no Kerberos client, so it cannot use GSSAPI. "
            "Use SCRAM, OAUTHBEARER or client certificates"
        )
    return _ALIASES.get(name, name)


def _none_if_empty(value: object) -> object:
    return None if value == "" else value


def _check_endpoint_url(text: str | None) -> str | None:
    """Return a valid URL unchanged. Raises `ValueError` without the value, because a URL can contain a password."""
    try:
        parts = urlsplit(text or "http://none")
        is_url = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        is_url = False
    if not is_url or parts.username is not None or parts.fragment:
        raise ValueError("should be an http or https URL without user, password and fragment")
    return text


def _check_extensions(text: str | None) -> str | None:
    if text is not None:
        for part in text.split(","):
            name, separator, value = part.strip().partition("=")
            if not separator or not _EXTENSION_NAME.fullmatch(name) or name == "auth" or not _is_extension(value):
                raise ValueError(
                    "should be name=value, several of them separated by commas, for example "
                    "logicalCluster=lkc-1,identityPoolId=pool-1"
                )
    return text


def _is_extension(value: str) -> bool:
    return bool(value) and value.isascii() and value.isprintable()


Protocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"]
Text = Annotated[str | None, BeforeValidator(_none_if_empty)]
Secret = Annotated[SecretStr | None, BeforeValidator(_none_if_empty)]


class Security(BaseModel):
    """The protection of connections to a cluster. Frozen and picklable. Its repr and its errors do not show secrets.

    Without `ssl_ca_location` the system's certificate authorities are trusted. A value that would not be used is an
    error, because a user would think that it protects the connection. Raises `pydantic.ValidationError`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    security_protocol: Annotated[Protocol, BeforeValidator(_upper)] = "PLAINTEXT"
    sasl_mechanism: Annotated[Mechanism | None, BeforeValidator(_mechanism)] = None
    sasl_username: Text = None
    sasl_password: Secret = None
    ssl_ca_location: Text = None
    ssl_certificate_location: Text = None
    ssl_key_location: Text = None
    ssl_key_password: Secret = None
    sasl_oauth_token_endpoint_url: Annotated[Text, AfterValidator(_check_endpoint_url)] = None
    sasl_oauth_client_id: Text = None
    sasl_oauth_client_secret: Secret = None
    sasl_oauth_scope: Text = None
    sasl_oauth_token_file: Text = None
    sasl_oauth_extensions: Annotated[Text, AfterValidator(_check_extensions)] = None

    @property
    def oauth_extensions(self) -> dict[str, str]:
        """The SASL extensions (RFC 7628) that are sent with each token, for example `logicalCluster`."""
        parts = [part.strip().partition("=") for part in (self.sasl_oauth_extensions or "").split(",") if part]
        return {name: value for name, _, value in parts}

    @property
    def has_tls(self) -> bool:
        """Whether connections are encrypted."""
        return self.security_protocol in ("SSL", "SASL_SSL")

    @property
    def has_sasl(self) -> bool:
        """Whether connections begin with a SASL exchange."""
        return self.security_protocol in ("SASL_PLAINTEXT", "SASL_SSL")

    @model_validator(mode="after")
    def _is_consistent(self) -> Security:
        for problem in (*self._missing(), *self._unused()):
            raise ValueError(problem)
        return self

    def _missing(self) -> Iterator[str]:
        if self.has_sasl and self.sasl_mechanism is None:
            mechanisms = ", ".join((*_PASSWORD_MECHANISMS, "OAUTHBEARER"))
            yield f"{self.security_protocol} needs a sasl_mechanism: {mechanisms}"
        if self.sasl_mechanism in _PASSWORD_MECHANISMS:
            yield from self._needs("sasl_username", "sasl_password", by=str(self.sasl_mechanism))
        if self.sasl_mechanism == "OAUTHBEARER" and self.sasl_oauth_token_file is None:
            names = ("sasl_oauth_token_endpoint_url", "sasl_oauth_client_id", "sasl_oauth_client_secret")
            yield from self._needs(*names, by="OAUTHBEARER without a sasl_oauth_token_file")
        if self.ssl_key_location is not None:
            yield from self._needs("ssl_certificate_location", by="ssl_key_location")
        if self.ssl_certificate_location is not None:
            yield from self._needs("ssl_key_location", by="ssl_certificate_location")
        if self.ssl_key_password is not None:
            yield from self._needs("ssl_key_location", by="ssl_key_password")

    def _needs(self, *names: str, by: str) -> Iterator[str]:
        absent = [name for name in names if getattr(self, name) is None]
        if absent:
            yield f"{by} needs {' and '.join(absent)}"

    def _unused(self) -> Iterator[str]:
        """A sentence for each value that is set and would not be used."""
        names = [name for name in Security.model_fields if getattr(self, name) is not None]
        for name in names:
            if name.startswith("ssl_") and not self.has_tls:
                yield f"{name} is not used with {self.security_protocol}: set security_protocol to SSL or SASL_SSL"
            if name.startswith("sasl_") and not self.has_sasl:
                yield (
                    f"{name} is not used with {self.security_protocol}: "
                    "set security_protocol to SASL_SSL or SASL_PLAINTEXT"
                )
            if name in ("sasl_username", "sasl_password") and self.sasl_mechanism == "OAUTHBEARER":
                yield f"{name} is not used with OAUTHBEARER: remove it"
            if name.startswith("sasl_oauth_") and self.sasl_mechanism != "OAUTHBEARER":
                yield f"{name} is not used with {self.sasl_mechanism}: it belongs to OAUTHBEARER"
        with_file = ("sasl_oauth_token_file", "sasl_oauth_extensions")
        others = [name for name in names if name.startswith("sasl_oauth_") and name not in with_file]
        if self.sasl_oauth_token_file is not None and others:
            yield f"{others[0]} is not used with sasl_oauth_token_file: remove one of the two"


UNPROTECTED = Security()
"""Connections without encryption and authentication."""
