"""SASL on a raw connection: the handshake, then the mechanism's exchange. Also how a session is renewed (KIP-368)."""

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

_SESSION_PART = 0.85
"""Of a session's lifetime, after which it is renewed."""

_NEVER = float("inf")
_BETWEEN_S = 1.1
"""A broker takes at most one authentication per second."""

Ask = Callable[[Any, int, int], Any]
"""Sends a request in the highest version that both sides know between two, and returns its answer."""


@dataclass(frozen=True, slots=True)
class Session:
    """How long an authentication counts: when it should be renewed, and not before when, by the monotonic clock."""

    renew_at: float = _NEVER
    not_before: float = _NEVER

    def is_ending(self, *, muted_ms: int = 0) -> bool:
        """Whether what is sent now might arrive too late; `muted_ms`: for how long the broker will not read it."""
        if self.renew_at == _NEVER:  # the hot path of most clusters
            return False
        now = time.monotonic()
        return now + muted_ms / 1000 >= self.renew_at and now >= self.not_before


def authenticate(ask: Ask, security: Security, *, where: str) -> Session:
    """Prove who we are, on a new connection or again on one with nothing in flight.

    Raises `AccessError` when the
    broker does not accept it, or cannot prove in turn that it knows the password; `ConfigError` when it does not offer
    the mechanism or no SASL at all.
    """
    name = str(security.sasl_mechanism)
    offer = ask(SaslHandshakeRequest(mechanism=name), 1, 1)
    if offer.error_code == ErrorCode.UNSUPPORTED_SASL_MECHANISM:
        others = ", ".join(sorted(offer.mechanisms)) or "none"
        raise ConfigError(f"Broker {where} does not offer the sasl_mechanism {name}; it offers {others}.")
    if offer.error_code == ErrorCode.ILLEGAL_SASL_STATE:
        raise ConfigError(f"Broker {where} does without SASL there: set security_protocol to {_without(security)}.")
    _check(offer.error_code, None, name, where)
    began = time.monotonic()
    session_ms = _exchange(ask, sasl_mechanism(name, **_credentials(security)), name, where)
    return Session(began + _SESSION_PART * session_ms / 1000, began + _BETWEEN_S) if session_ms else Session()


def _exchange(ask: Ask, mechanism: Any, name: str, where: str) -> int:
    """Returns for how many milliseconds it counts, 0: for as long as the connection lives."""
    while True:
        with_bytes = SaslAuthenticateRequest(auth_bytes=mechanism.auth_bytes())
        answer = ask(with_bytes, 0, 2)
        _check(answer.error_code, answer.error_message, name, where)
        try:
            mechanism.receive(answer.auth_bytes)
        except (ValueError, KeyError) as error:  # what the library's parsers stumble over; a wrong proof is one of them
            raise AccessError(
                f"Broker {where} does not prove that it knows the password too ({name}): it may not be the broker."
            ) from error
        if mechanism.is_done():
            return int(getattr(answer, "session_lifetime_ms", 0) or 0)


def _check(code: int, message: str | None, name: str, where: str) -> None:
    if code == ErrorCode.SASL_AUTHENTICATION_FAILED:
        said = f": {message.rstrip('.')}" if message else ""
        raise AccessError(f"Broker {where} does not accept the credentials ({name}){said}.")
    if code:
        raise error_for_code(code, Action("authenticate to", f"broker {where}"), message)


def _credentials(security: Security) -> dict[str, str]:
    if security.sasl_mechanism == "OAUTHBEARER":
        return {"token": current_token(security).value}
    assert security.sasl_password is not None
    return {"username": str(security.sasl_username), "password": security.sasl_password.get_secret_value()}


def _without(security: Security) -> str:
    return "SSL" if security.has_tls else "PLAINTEXT"
