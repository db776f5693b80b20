"""The SASL exchange on a raw connection, and the renewal of sessions, with a scripted broker over real sockets."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kafka.protocol.metadata import MetadataRequest, MetadataResponse
from kafka.protocol.sasl import (
    SaslAuthenticateRequest,
    SaslAuthenticateResponse,
    SaslHandshakeRequest,
    SaslHandshakeResponse,
)

from tasks.broker.auth import sasl
from tasks.broker.auth.security import Security
from tasks.broker.error_codes import ErrorCode
from tasks.broker.messages.api_keys import ApiKey
from tasks.broker.raw.connection import BrokerAddress, Connection
from tasks.model.errors import AccessError, BrokerUnavailableError, ConfigError
from tests.support.token_issuer import TokenIssuer
from tests.unit.broker.scripted_broker import Answer, ReceivedRequest, ScriptedBroker, options

MARKER = "hunter2"
RENEWAL = [ApiKey.SASL_HANDSHAKE, ApiKey.SASL_AUTHENTICATE]
SETUP = [ApiKey.API_VERSIONS, *RENEWAL]


def _security(mechanism: str = "PLAIN", username: str = "me") -> Security:
    values = {"security_protocol": "SASL_PLAINTEXT", "sasl_mechanism": mechanism}
    return Security.model_validate({**values, "sasl_username": username, "sasl_password": MARKER})


def _offer(code: ErrorCode = ErrorCode.NONE, *mechanisms: str) -> Answer:
    return lambda request: SaslHandshakeResponse(error_code=code, mechanisms=list(mechanisms))


def _answers(*answers: bytes, code: ErrorCode = ErrorCode.NONE, session_ms: int = 0) -> Answer:
    """Answers with these bytes in turn, with the error code and with the session's lifetime."""
    left: Iterator[bytes] = iter(answers * 20)

    def answer(request: ReceivedRequest) -> Any:
        return SaslAuthenticateResponse(
            error_code=code,
            error_message="Authentication failed: no." if code else None,
            auth_bytes=next(left),
            session_lifetime_ms=session_ms,
        )

    return answer


def _broker(authenticate: Answer, offer: Answer | None = None) -> ScriptedBroker:
    answers: dict[int, Answer] = {ApiKey.SASL_HANDSHAKE: offer or _offer(), ApiKey.SASL_AUTHENTICATE: authenticate}
    return ScriptedBroker(
        {**answers, ApiKey.METADATA: lambda request: MetadataResponse(brokers=[], topics=[], cluster_id="c")}
    )


def _connect(broker: ScriptedBroker, security: Security) -> Connection:
    return Connection(BrokerAddress("127.0.0.1", broker.port), options(broker.address, security=security))


def _request() -> Any:
    request = MetadataRequest(topics=[], allow_auto_topic_creation=False)
    request.API_VERSION = 12
    return request


def _sent(broker: ScriptedBroker) -> list[bytes]:
    return [
        request.decoded(SaslAuthenticateRequest).auth_bytes for request in broker.requests(ApiKey.SASL_AUTHENTICATE)
    ]


def test_extensions_are_sent_with_the_token(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("a.b.c")
    values = {"security_protocol": "SASL_PLAINTEXT", "sasl_mechanism": "OAUTHBEARER"}
    extensions = {"sasl_oauth_extensions": "logicalCluster=lkc-1,identityPoolId=pool-1"}
    security = Security.model_validate({**values, "sasl_oauth_token_file": str(token), **extensions})
    with _broker(_answers(b"")) as broker:
        _connect(broker, security)

        assert [b"n,,\x01auth=Bearer a.b.c\x01logicalCluster=lkc-1\x01identityPoolId=pool-1\x01\x01"] == _sent(broker)


def test_plain_sends_the_user_and_the_password_once() -> None:
    with _broker(_answers(b"")) as broker:
        connection = _connect(broker, _security())

        assert "c" == connection.call(_request()).cluster_id
        assert ["PLAIN"] == [
            request.decoded(SaslHandshakeRequest).mechanism for request in broker.requests(ApiKey.SASL_HANDSHAKE)
        ]
        assert [b"me\0me\0" + MARKER.encode()] == _sent(broker)


def _scram(final: Callable[[bytes], bytes]) -> Answer:
    """A broker that requests the proof, and answers it with `final(proof)`."""

    def answer(request: ReceivedRequest) -> Any:
        data = request.decoded(SaslAuthenticateRequest).auth_bytes
        if data.startswith(b"n,,"):
            nonce = data.partition(b",r=")[2]
            data = b"r=" + nonce + b"more,s=" + base64.b64encode(b"salt") + b",i=4096"
        else:
            data = final(data)
        return SaslAuthenticateResponse(error_code=0, error_message=None, auth_bytes=data, session_lifetime_ms=0)

    return answer


def test_scram_escapes_the_name_and_never_sends_the_password() -> None:
    with _broker(_scram(lambda proof: b"v=AAAA")) as broker, pytest.raises(AccessError):
        _connect(broker, _security("SCRAM-SHA-256", "a,b=c"))
    first, second = _sent(broker)

    assert first.startswith(b"n,,n=a=2Cb=3Dc,r=")
    assert MARKER.encode() not in first + second


@pytest.mark.parametrize("final", [b"v=AAAA", b"e=other-error", b"nonsense", b"v=\xff"])
def test_a_broker_that_does_not_prove_that_it_knows_the_password_is_an_access_error(final: bytes) -> None:
    with (
        _broker(_scram(lambda proof: final)) as broker,
        pytest.raises(AccessError, match=f"Broker {broker.address} did not prove that it knows the password"),
    ):
        _connect(broker, _security("SCRAM-SHA-512"))


def test_the_error_of_a_rejected_token_contains_the_brokers_reason() -> None:
    """The broker answers the token with a reason, the client confirms it, and only then the broker rejects it."""
    turns = iter([(ErrorCode.NONE, b'{"status":"invalid_token"}'), (ErrorCode.SASL_AUTHENTICATION_FAILED, b"")])

    def answer(request: ReceivedRequest) -> Any:
        code, data = next(turns)
        return SaslAuthenticateResponse(error_code=code, error_message="invalid_token", auth_bytes=data)

    with TokenIssuer({"me": MARKER}) as issuer, _broker(answer) as broker:
        values = {"security_protocol": "SASL_PLAINTEXT", "sasl_mechanism": "OAUTHBEARER"}
        endpoint = {"sasl_oauth_token_endpoint_url": issuer.token_url, "sasl_oauth_client_id": "me"}
        security = Security.model_validate({**values, **endpoint, "sasl_oauth_client_secret": MARKER})
        with pytest.raises(AccessError, match=r"does not accept the credentials \(OAUTHBEARER\): invalid_token\."):
            _connect(broker, security)

    assert [b"n,,\1auth=Bearer " + issuer.issued[0].encode() + b"\1\1", b"\1"] == _sent(broker)


@pytest.mark.parametrize(
    ("offer", "authenticate", "kind", "expected"),
    [
        (
            _offer(ErrorCode.UNSUPPORTED_SASL_MECHANISM, "SCRAM-SHA-512", "OAUTHBEARER"),
            _answers(),
            ConfigError,
            "it offers OAUTHBEARER, SCRAM-SHA-512",
        ),
        (
            _offer(ErrorCode.ILLEGAL_SASL_STATE),
            _answers(),
            ConfigError,
            "does not use SASL on this port: set security_protocol to PLAINTEXT",
        ),
        (
            _offer(),
            _answers(b"", code=ErrorCode.SASL_AUTHENTICATION_FAILED),
            AccessError,
            "does not accept the credentials (PLAIN): Authentication failed: no.",
        ),
        (
            _offer(),
            _answers(b"", code=ErrorCode.COORDINATOR_LOAD_IN_PROGRESS),
            BrokerUnavailableError,
            "authenticate to broker",
        ),
        (_offer(), lambda request: None, BrokerUnavailableError, "closed the connection"),
    ],
    ids=["mechanism", "no SASL", "wrong", "loading", "closes"],
)
def test_each_failed_authentication_says_what_to_do(
    offer: Answer, authenticate: Answer, kind: type[Exception], expected: str
) -> None:
    with _broker(authenticate, offer) as broker:
        with pytest.raises(kind) as caught:
            _connect(broker, _security())
        assert broker.address in str(caught.value)

    assert type(caught.value) is kind
    assert expected in str(caught.value)
    assert MARKER not in str(caught.value)


def test_a_session_is_renewed_on_the_same_connection_before_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sasl, "_MIN_INTERVAL_S", 0.0)
    with _broker(_answers(b"", session_ms=200)) as broker:
        connection = _connect(broker, _security())
        connection.call(_request())
        assert 1 == len(broker.requests(ApiKey.SASL_AUTHENTICATE)), "not before its time"

        time.sleep(0.18)  # most of the session
        connection.call(_request())

        assert [*SETUP, ApiKey.METADATA, *RENEWAL, ApiKey.METADATA] == [one.api_key for one in broker.received]
        assert 1 == broker.connections


def test_a_session_is_not_renewed_while_answers_are_in_flight_and_the_connection_reports_that_it_is_draining(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sasl, "_MIN_INTERVAL_S", 0.0)
    with _broker(_answers(b"", session_ms=200)) as broker:
        connection = _connect(broker, _security())
        connection.send(_request())
        assert not connection.is_draining
        time.sleep(0.18)  # most of the session

        assert connection.is_draining
        connection.send(_request())
        connection.receive()
        assert connection.is_draining
        connection.receive()
        assert not connection.is_draining, "with nothing in flight the next request renews the session"
        connection.call(_request())

        assert [*SETUP, ApiKey.METADATA, ApiKey.METADATA, *RENEWAL, ApiKey.METADATA] == [
            one.api_key for one in broker.received
        ]


def test_a_session_without_an_end_is_never_renewed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sasl, "_MIN_INTERVAL_S", 0.0)
    with _broker(_answers(b"", session_ms=0)) as broker:
        connection = _connect(broker, _security())
        for _ in range(3):
            connection.call(_request())

        assert 1 == len(broker.requests(ApiKey.SASL_AUTHENTICATE))


def test_a_session_is_renewed_at_most_once_per_second() -> None:
    with _broker(_answers(b"", session_ms=10)) as broker:
        connection = _connect(broker, _security())
        connection.call(_request())

        assert 1 == len(broker.requests(ApiKey.SASL_AUTHENTICATE))


def test_a_throttled_session_is_renewed_before_the_broker_reads_too_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """The broker would read the next request only after its announced pause, which is after the session's end."""
    monkeypatch.setattr(sasl, "_MIN_INTERVAL_S", 0.0)
    with _broker(_answers(b"", session_ms=60_000)) as broker:
        broker.answers[ApiKey.METADATA] = lambda request: MetadataResponse(
            brokers=[], topics=[], cluster_id="c", throttle_time_ms=59_000
        )
        connection = _connect(broker, _security())
        connection.call(_request())
        connection.call(_request())

        assert 2 == len(broker.requests(ApiKey.SASL_AUTHENTICATE))
