"""OAuth tokens for SASL OAUTHBEARER: from an endpoint by client credentials (RFC 6749), or from a file.

A token of an endpoint serves this whole process until shortly before it expires. A file is read for each
authentication: whoever rotates it need not tell us.
"""

from __future__ import annotations

import binascii
import json
import ssl
import threading
import time
from base64 import urlsafe_b64decode
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote_plus

from tasks.broker.auth.security import Security
from tasks.model.errors import AccessError, BrokerUnavailableError, ConfigError, KafkaBackupError

if TYPE_CHECKING:
    from httpx import Response

_USED_PART = 0.75
"""Of its lifetime; less than the part of a session after which connections authenticate anew, so that they then get a
new token."""

_UNKNOWN_LIFETIME_S = 300
_PASSING_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
_TIMEOUT_S = 10.0


class Token(NamedTuple):
    """A bearer token, and until when it is good, in Unix seconds."""

    value: str
    expires_s: float

    def __repr__(self) -> str:
        return f"Token(expires_s={self.expires_s})"


def current_token(security: Security) -> Token:
    """A token that is good now, of the source that `security` names.

    Raises `AccessError` when there is none to be had, `ConfigError` when the source is not what it should be, and
    `BrokerUnavailableError` when the endpoint cannot answer now.
    """
    if security.sasl_oauth_token_file is not None:
        return _from_file(security.sasl_oauth_token_file)
    return _endpoint(security).token()


def expiry_s(token: str) -> float | None:
    """What a JWT itself says of its end; None when it is none or does not say. The signature is the broker's matter."""
    try:
        claims = token.split(".")[1]
        expires = json.loads(urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["exp"]
        return float(expires)
    except (IndexError, KeyError, TypeError, ValueError, binascii.Error):
        return None


def _from_file(path: str) -> Token:
    try:
        text = Path(path).read_bytes().decode("ascii").strip()
    except OSError as error:
        raise ConfigError(f"sasl_oauth_token_file: {path}: {error.strerror or 'cannot be read'}.") from None
    except UnicodeDecodeError:
        text = ""
    if not _is_token(text):
        raise AccessError(f"sasl_oauth_token_file: {path} does not hold one token.")
    expires_s = expiry_s(text) or time.time() + _UNKNOWN_LIFETIME_S
    if expires_s <= time.time():
        raise AccessError(f"sasl_oauth_token_file: the token in {path} has expired; renew it.")
    return Token(text, expires_s)


def _is_token(text: str) -> bool:
    return bool(text) and text.isascii() and text.isprintable() and " " not in text


@lru_cache(maxsize=16)
def _endpoint(security: Security) -> _Endpoint:
    return _Endpoint(security)


class _Endpoint:
    """Tokens of one client at one endpoint. Threads that need a new one wait for the same request."""

    def __init__(self, security: Security) -> None:
        self._security = security
        self._url = str(security.sasl_oauth_token_endpoint_url)
        self._lock = threading.Lock()
        self._token: Token | None = None
        self._renew_at = 0.0

    def token(self) -> Token:
        with self._lock:
            if self._token is None or time.monotonic() >= self._renew_at:
                self._token, lifetime_s = self._fetch()
                self._renew_at = time.monotonic() + _USED_PART * lifetime_s
            return self._token

    def _fetch(self) -> tuple[Token, float]:
        response = self._post()
        if response.status_code != 200:
            raise self._refused(response)
        document = _document(response)
        value = document.get("access_token")
        if not isinstance(value, str) or not _is_token(value):
            raise AccessError(f"The token endpoint {self._url} answers without an access_token.")
        lifetime_s = _lifetime_s(document.get("expires_in"), value)
        return Token(value, time.time() + lifetime_s), lifetime_s

    def _post(self) -> Response:
        import httpx

        secret = self._security.sasl_oauth_client_secret
        assert secret is not None
        form = {"grant_type": "client_credentials"}
        if self._security.sasl_oauth_scope is not None:
            form["scope"] = self._security.sasl_oauth_scope
        # RFC 6749, 2.3.1: encoded like a form, then Basic.
        user = (quote_plus(str(self._security.sasl_oauth_client_id)), quote_plus(secret.get_secret_value()))
        try:
            with httpx.Client(verify=self._context(), timeout=_TIMEOUT_S) as client:
                return client.post(self._url, data=form, auth=user)
        except httpx.TransportError as error:
            raise BrokerUnavailableError(f"The token endpoint {self._url} cannot be reached: {error}.") from None

    def _context(self) -> ssl.SSLContext:
        """The endpoint may have a certificate of the cluster's authority or of a public one."""
        context = ssl.create_default_context()
        if self._security.ssl_ca_location is not None:
            context.load_verify_locations(self._security.ssl_ca_location)
        return context

    def _refused(self, response: Response) -> KafkaBackupError:
        status = response.status_code
        if status in _PASSING_STATUSES:
            return BrokerUnavailableError(f"The token endpoint {self._url} answers with status {status}.")
        said = _document(response).get("error")
        reason = f" ({said})" if isinstance(said, str) and said.isidentifier() else ""
        client = f"client {self._security.sasl_oauth_client_id}"
        if status in (400, 401, 403):
            return AccessError(f"The token endpoint {self._url} gives {client} no token: status {status}{reason}.")
        return ConfigError(f"The token endpoint {self._url} is none: it answers with status {status}.")


def _document(response: Response) -> dict[str, object]:
    try:
        document = response.json()
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _lifetime_s(expires_in: object, value: str) -> float:
    if isinstance(expires_in, (int, float, str)):
        try:
            return max(0.0, float(expires_in))
        except ValueError:
            pass
    expires = expiry_s(value)
    return _UNKNOWN_LIFETIME_S if expires is None else max(0.0, expires - time.time())
