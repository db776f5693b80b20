"""SASL on a raw connection: the handshake, the exchange of a mechanism, and the renewal time of a session (KIP-368)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tasks.broker.auth.security import Security
from tasks.broker.auth.tokens import current_token
from tasks.broker.error_codes import ErrorCode
from tasks.broker.messages.wire import SaslAuthenticateRequest, SaslHandshakeRequest, sasl_mechanism
from tasks.broker.translation import Action, error_for_code
from tasks.model.errors import AccessError, ConfigError

_RENEW_AFTER = 0.85
"""The part of a session's lifetime after which it is renewed."""

_NEVER = float("inf")
_MIN_INTERVAL_S = 1.1
"""The shortest time between two authentications on a connection. A broker accepts at most one per second."""

Call = Callable[[Any, int, int], Any]
"""Sends a request in the highest version from the first to the second number that the broker supports, and returns its
answer."""


@dataclass(frozen=True, slots=True)
class SaslSession:
    """The times of a session, in seconds of `time.monotonic`. `renew_at`: from then on the session should be renewed.
    `not_before`: earlier, the broker does not accept a renewal. Both are infinite if the broker does not limit the
    session. `lifetime_ms` is the broker's limit; 0 means no limit."""

    renew_at: float = _NEVER
    not_before: float = _NEVER
    lifetime_ms: int = 0

    def is_ending(self, *, muted_ms: int = 0) -> bool:
        """Whether to renew the session before the next request. `muted_ms`: the delay in milliseconds before the broker
        reads that request."""
        if self.renew_at == _NEVER:  # most clusters do not limit sessions, and this is called for each request
            return False
        now = time.monotonic()
        return now + muted_ms / 1000 >= self.renew_at and now >= self.not_before


def authenticate(call: Call, security: Security, *, where: str) -> SaslSession:
    """Authenticate on a new connection, or again on a connection without requests in flight.

    Raises `AccessError` if the broker does not accept the credentials, or does not prove that it knows the password.
    Raises `ConfigError` if the port does not use SASL or does not offer the mechanism, and the errors of `call` and
    `current_token`. `where` is the address for messages.
    """
    name = str(security.sasl_mechanism)
    handshake = call(SaslHandshakeRequest(mechanism=name), 1, 1)
    if handshake.error_code == ErrorCode.UNSUPPORTED_SASL_MECHANISM:
        others = ", ".join(sorted(handshake.mechanisms)) or "none"
        raise ConfigError(f"Broker {where} does not offer the sasl_mechanism {name}; it offers {others}.")
    if handshake.error_code == ErrorCode.ILLEGAL_SASL_STATE:
        raise ConfigError(
            f"Broker {where} does not use SASL on this port: "
            f"set security_protocol to {_protocol_without_sasl(security)}."
        )
    _check(handshake.error_code, None, name, where)
    began = time.monotonic()
    lifetime_ms = _exchange(call, sasl_mechanism(name, **_credentials(security)), name, where)
    if not lifetime_ms:
        return SaslSession()
    return SaslSession(began + _RENEW_AFTER * lifetime_ms / 1000, began + _MIN_INTERVAL_S, lifetime_ms)


def _exchange(call: Call, mechanism: Any, name: str, where: str) -> int:
    """Exchange the messages of the mechanism. Returns the session's lifetime in milliseconds; 0 means no limit."""
    while True:
        answer = call(SaslAuthenticateRequest(auth_bytes=mechanism.auth_bytes()), 0, 2)
        _check(answer.error_code, answer.error_message, name, where)
        try:
            mechanism.receive(answer.auth_bytes)
        except (ValueError, KeyError) as error:  # from kafka-python, for a wrong proof and for invalid bytes
            raise AccessError(
                f"Broker {where} did not prove that it knows the password ({name}). "
                "Another program possibly answers at this address: check bootstrap_servers."
            ) from error
        if mechanism.is_done():
            return int(getattr(answer, "session_lifetime_ms", 0) or 0)


def _check(code: int, message: str | None, name: str, where: str) -> None:
    if code == ErrorCode.SASL_AUTHENTICATION_FAILED:
        reason = f": {message.rstrip('.')}" if message else ""
        raise AccessError(
            f"Broker {where} does not accept the credentials ({name}){reason}. Check the SASL settings of this cluster."
        )
    if code:
        raise error_for_code(code, Action("authenticate to", f"broker {where}"), message)


def _credentials(security: Security) -> dict[str, Any]:
    if security.sasl_mechanism == "OAUTHBEARER":
        return {"token": current_token(security).value, "extensions": security.oauth_extensions}
    assert security.sasl_password is not None
    return {"username": str(security.sasl_username), "password": security.sasl_password.get_secret_value()}


def _protocol_without_sasl(security: Security) -> str:
    return "SSL" if security.has_tls else "PLAINTEXT"
