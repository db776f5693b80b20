"""The SASL exchange on a raw connection, and how sessions are renewed, against a scripted broker over real sockets."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterator
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
from tasks.broker.raw.connection import BrokerAddress, Connection
from tasks.model.errors import AccessError, BrokerUnavailableError, ConfigError
from tests.support.token_issuer import TokenIssuer
from tests.unit.broker.scripted_broker import Answer, Asked, ScriptedBroker, options

METADATA, HANDSHAKE, AUTHENTICATE = 3, 17, 36
MARKER = "hunter2"


def _security(mechanism: str = "PLAIN", username: str = "me") -> Security:
    said = {"security_protocol": "SASL_PLAINTEXT", "sasl_mechanism": mechanism}
    return Security.model_validate({**said, "sasl_username": username, "sasl_password": MARKER})


def _offer(code: int = 0, *mechanisms: str) -> Answer:
    return lambda asked: SaslHandshakeResponse(error_code=code, mechanisms=list(mechanisms))


def _say(*answers: bytes, code: int = 0, session_ms: int = 0) -> Answer:
    """The broker's parts of the exchange in turn; the last one says how long the session lasts."""
    left: Iterator[bytes] = iter(answers * 20)

    def answer(asked: Asked) -> Any:
        return SaslAuthenticateResponse(
            error_code=code,
            error_message="Authentication failed: no." if code else None,
            auth_bytes=next(left),
            session_lifetime_ms=session_ms,
        )

    return answer


def _broker(authenticate: Answer, offer: Answer | None = None) -> ScriptedBroker:
    answers: dict[int, Answer] = {HANDSHAKE: offer or _offer(), AUTHENTICATE: authenticate}
    return ScriptedBroker({**answers, METADATA: lambda asked: MetadataResponse(brokers=[], topics=[], cluster_id="c")})


def _connect(broker: ScriptedBroker, security: Security) -> Connection:
    return Connection(BrokerAddress("127.0.0.1", broker.port), options(broker.address, security=security))


def _request() -> Any:
    request = MetadataRequest(topics=[], allow_auto_topic_creation=False)
    request.API_VERSION = 12
    return request


def _sent(broker: ScriptedBroker) -> list[bytes]:
    return [asked.decoded(SaslAuthenticateRequest).auth_bytes for asked in broker.of(AUTHENTICATE)]


def test_plain_says_who_and_the_password_once() -> None:
    with _broker(_say(b"")) as broker:
        connection = _connect(broker, _security())

        assert "c" == connection.call(_request()).cluster_id
        assert ["PLAIN"] == [asked.decoded(SaslHandshakeRequest).mechanism for asked in broker.of(HANDSHAKE)]
        assert [b"me\0me\0" + MARKER.encode()] == _sent(broker)


def _scram(final: Callable[[bytes], bytes]) -> Answer:
    """A broker that asks for the proof, and answers it with `final` of the proof's message."""

    def answer(asked: Asked) -> Any:
        said = asked.decoded(SaslAuthenticateRequest).auth_bytes
        if said.startswith(b"n,,"):
            nonce = said.partition(b",r=")[2]
            said = b"r=" + nonce + b"more,s=" + base64.b64encode(b"salt") + b",i=4096"
        else:
            said = final(said)
        return SaslAuthenticateResponse(error_code=0, error_message=None, auth_bytes=said, session_lifetime_ms=0)

    return answer


def test_scram_escapes_the_name_and_never_sends_the_password() -> None:
    with _broker(_scram(lambda proof: b"v=AAAA")) as broker, pytest.raises(AccessError):
        _connect(broker, _security("SCRAM-SHA-256", "a,b=c"))
    first, second = _sent(broker)

    assert first.startswith(b"n,,n=a=2Cb=3Dc,r=")
    assert MARKER.encode() not in first + second


@pytest.mark.parametrize("final", [b"v=AAAA", b"e=other-error", b"nonsense", b"v=\xff"])
def test_a_broker_that_does_not_know_the_password_either_is_not_believed(final: bytes) -> None:
    with (
        _broker(_scram(lambda proof: final)) as broker,
        pytest.raises(AccessError, match=f"Broker {broker.address} does not prove that it knows the password"),
    ):
        _connect(broker, _security("SCRAM-SHA-512"))


def test_a_token_that_is_refused_is_told_in_the_brokers_words() -> None:
    """It answers the token with a reason, is told that this was heard, and only then refuses."""
    turns = iter([(0, b'{"status":"invalid_token"}'), (58, b"")])

    def answer(asked: Asked) -> Any:
        code, said = next(turns)
        return SaslAuthenticateResponse(error_code=code, error_message="invalid_token", auth_bytes=said)

    with TokenIssuer({"me": MARKER}) as issuer, _broker(answer) as broker:
        said = {"security_protocol": "SASL_PLAINTEXT", "sasl_mechanism": "OAUTHBEARER"}
        endpoint = {"sasl_oauth_token_endpoint_url": issuer.token_url, "sasl_oauth_client_id": "me"}
        security = Security.model_validate({**said, **endpoint, "sasl_oauth_client_secret": MARKER})
        with pytest.raises(AccessError, match=r"does not accept the credentials \(OAUTHBEARER\): invalid_token\."):
            _connect(broker, security)

    assert [b"n,,\1auth=Bearer " + issuer.issued[0].encode() + b"\1\1", b"\1"] == _sent(broker)


@pytest.mark.parametrize(
    ("offer", "authenticate", "kind", "expected"),
    [
        (_offer(33, "SCRAM-SHA-512", "OAUTHBEARER"), _say(), ConfigError, "it offers OAUTHBEARER, SCRAM-SHA-512"),
        (_offer(34), _say(), ConfigError, "set security_protocol to PLAINTEXT"),
        (
            _offer(),
            _say(b"", code=58),
            AccessError,
            "does not accept the credentials (PLAIN): Authentication failed: no.",
        ),
        (_offer(), _say(b"", code=14), BrokerUnavailableError, "authenticate to broker"),
        (_offer(), lambda asked: None, BrokerUnavailableError, "closed the connection"),
    ],
    ids=["mechanism", "no SASL", "wrong", "loading", "closes"],
)
def test_each_refusal_says_what_to_do(
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
    monkeypatch.setattr(sasl, "_BETWEEN_S", 0.0)
    with _broker(_say(b"", session_ms=200)) as broker:
        connection = _connect(broker, _security())
        connection.call(_request())
        assert 1 == len(broker.of(AUTHENTICATE)), "not before its time"

        time.sleep(0.18)  # most of the session
        connection.call(_request())

        assert [18, 17, 36, 3, 17, 36, 3] == [asked.api_key for asked in broker.asked]
        assert 1 == broker.connections


def test_nothing_is_renewed_while_answers_are_in_flight_and_who_pipelines_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sasl, "_BETWEEN_S", 0.0)
    with _broker(_say(b"", session_ms=200)) as broker:
        connection = _connect(broker, _security())
        connection.send(_request())
        assert not connection.is_draining
        time.sleep(0.18)  # most of the session

        assert connection.is_draining
        connection.send(_request())
        connection.receive()
        assert connection.is_draining
        connection.receive()
        assert not connection.is_draining, "nothing in flight: the next request is preceded by the renewal"
        connection.call(_request())

        assert [18, 17, 36, 3, 3, 17, 36, 3] == [asked.api_key for asked in broker.asked]


def test_a_session_without_an_end_is_never_renewed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sasl, "_BETWEEN_S", 0.0)
    with _broker(_say(b"", session_ms=0)) as broker:
        connection = _connect(broker, _security())
        for _ in range(3):
            connection.call(_request())

        assert 1 == len(broker.of(AUTHENTICATE))


def test_a_broker_takes_one_authentication_per_second_so_it_gets_no_more() -> None:
    with _broker(_say(b"", session_ms=10)) as broker:
        connection = _connect(broker, _security())
        connection.call(_request())

        assert 1 == len(broker.of(AUTHENTICATE))


def test_a_throttled_session_is_renewed_while_the_broker_still_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next request would be read only after the pause that the broker announced: after the session's end."""
    monkeypatch.setattr(sasl, "_BETWEEN_S", 0.0)
    with _broker(_say(b"", session_ms=60_000)) as broker:
        broker.answers[METADATA] = lambda asked: MetadataResponse(
            brokers=[], topics=[], cluster_id="c", throttle_time_ms=59_000
        )
        connection = _connect(broker, _security())
        connection.call(_request())
        connection.call(_request())

        assert 2 == len(broker.of(AUTHENTICATE))
