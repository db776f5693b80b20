"""OAuth tokens for SASL OAUTHBEARER: from an endpoint with client credentials (RFC 6749), or from a file. Decides how
long a token is used, and which answers of an endpoint are retried.

A token from an endpoint is used for 75 % of its lifetime; then the process requests a new one. A token file is read for
each authentication, so no restart is needed when the file is renewed.
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
from tasks.broker.auth.tls import trusting_context
from tasks.model.errors import AccessError, BrokerUnavailableError, ConfigError, KafkaBackupError

if TYPE_CHECKING:
    from httpx import Response

_USE_UP_TO = 0.75
"""The part of a token's lifetime in which it is used. It is smaller than the part of a session after which a connection
authenticates again (`sasl`), so that the connection gets a new token then."""

_ASSUMED_LIFETIME_S = 300
"""The lifetime of a token that does not contain its expiry time."""

_OK = 200
_DENIED_STATUSES = frozenset({400, 401, 403})
_RETRYABLE_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
_TIMEOUT_S = 10.0


class Token(NamedTuple):
    """A bearer token, and the time in Unix seconds at which it expires. Its repr does not contain the token."""

    value: str
    expires_s: float

    def __repr__(self) -> str:
        return f"Token(expires_s={self.expires_s})"


def current_token(security: Security) -> Token:
    """A valid token from the file or the endpoint that `security` names. A token of an endpoint is kept in memory and
    returned again for 75 % of its lifetime.

    Raises `AccessError` if the file or the answer contains no valid token, or the endpoint denies it. Raises
    `ConfigError` if the file cannot be read or the URL is not a token endpoint, and `BrokerUnavailableError` if the
    endpoint cannot be reached or is not available now.
    """
    if security.sasl_oauth_token_file is not None:
        return _from_file(security.sasl_oauth_token_file)
    return _endpoint(security).token()


def expiry_s(token: str) -> float | None:
    """The expiry time in a JWT, in Unix seconds. None for other tokens, and for a JWT without expiry time. The
    signature is not checked, because brokers check it."""
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
        raise AccessError(
            f"sasl_oauth_token_file: {path} does not contain exactly one token. Write only one token into it."
        )
    expires_s = expiry_s(text) or time.time() + _ASSUMED_LIFETIME_S
    if expires_s <= time.time():
        raise AccessError(f"sasl_oauth_token_file: the token in {path} has expired; renew it.")
    return Token(text, expires_s)


def _is_token(text: str) -> bool:
    return bool(text) and text.isascii() and text.isprintable() and " " not in text


@lru_cache(maxsize=16)
def _endpoint(security: Security) -> _Endpoint:
    return _Endpoint(security)


class _Endpoint:
    """The tokens of one client from one endpoint. If several threads need a new token, one requests it and the others
    wait for it."""

    def __init__(self, security: Security) -> None:
        self._security = security
        self._url = str(security.sasl_oauth_token_endpoint_url)
        self._lock = threading.Lock()
        self._token: Token | None = None
        self._renew_at = 0.0

    def token(self) -> Token:
        with self._lock:
            if self._token is None or time.monotonic() >= self._renew_at:
                self._token, lifetime_s = self._request_token()
                self._renew_at = time.monotonic() + _USE_UP_TO * lifetime_s
            return self._token

    def _request_token(self) -> tuple[Token, float]:
        response = self._post()
        if response.status_code != _OK:
            raise self._error_for(response)
        document = _document(response)
        value = document.get("access_token")
        if not isinstance(value, str) or not _is_token(value):
            raise AccessError(
                f"The answer of token endpoint {self._url} contains no access_token. "
                "Check sasl_oauth_token_endpoint_url."
            )
        lifetime_s = _lifetime_s(document.get("expires_in"), value)
        return Token(value, time.time() + lifetime_s), lifetime_s

    def _post(self) -> Response:
        import httpx

        secret = self._security.sasl_oauth_client_secret
        assert secret is not None
        form = {"grant_type": "client_credentials"}
        if self._security.sasl_oauth_scope is not None:
            form["scope"] = self._security.sasl_oauth_scope
        # Both are form-encoded before Basic authentication (RFC 6749, 2.3.1).
        user = (quote_plus(str(self._security.sasl_oauth_client_id)), quote_plus(secret.get_secret_value()))
        try:
            with httpx.Client(verify=self._context(), timeout=_TIMEOUT_S) as client:
                return client.post(self._url, data=form, auth=user)
        except httpx.TransportError as error:
            raise BrokerUnavailableError(f"The token endpoint {self._url} cannot be reached: {error}.") from None

    def _context(self) -> ssl.SSLContext:
        """A context that trusts the authorities of the system and of `ssl_ca_location`, because the endpoint can have a
        certificate of either."""
        context = trusting_context(None)
        if self._security.ssl_ca_location is not None:
            context.load_verify_locations(self._security.ssl_ca_location)
        return context

    def _error_for(self, response: Response) -> KafkaBackupError:
        status = response.status_code
        if status in _RETRYABLE_STATUSES:
            return BrokerUnavailableError(f"The token endpoint {self._url} is not available (HTTP {status}).")
        if status in _DENIED_STATUSES:
            code = _document(response).get("error")
            reason = f", {code}" if isinstance(code, str) and code.isidentifier() else ""
            return AccessError(
                f"The token endpoint {self._url} gives no token to client {self._security.sasl_oauth_client_id} "
                f"(HTTP {status}{reason}). Check sasl_oauth_client_id, sasl_oauth_client_secret and sasl_oauth_scope."
            )
        return ConfigError(f"{self._url} is not a token endpoint (HTTP {status}). Check sasl_oauth_token_endpoint_url.")


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
    return _ASSUMED_LIFETIME_S if expires is None else max(0.0, expires - time.time())
