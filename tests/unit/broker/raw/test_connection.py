"""What a connection promises, against a scripted broker over real sockets."""

from __future__ import annotations

import socket
import struct
import threading
from typing import Any

import pytest
from kafka.protocol.metadata import MetadataRequest, MetadataResponse

from tasks.broker.raw.connection import BrokerAddress, Connection
from tasks.model.errors import BrokerUnavailableError, ConfigError, UnsupportedError
from tests.unit.broker.scripted_broker import API_VERSIONS, Asked, Raw, ScriptedBroker, options, versions

METADATA = 3


def _connection(broker: ScriptedBroker, request_timeout_ms: int = 5_000) -> Connection:
    settings = options(broker.address, request_timeout_ms=request_timeout_ms)
    return Connection(BrokerAddress("127.0.0.1", broker.port), settings)


def _framed(correlation_id: int, body: list[bytes]) -> list[bytes]:
    head = struct.pack(">hhih", METADATA, 12, correlation_id, 6) + b"tester"
    return [struct.pack(">i", len(head) + sum(map(len, body))), head, *body]


def _request() -> Any:
    request = MetadataRequest(topics=[], allow_auto_topic_creation=False)
    request.API_VERSION = 12
    return request


def _response(cluster_id: str = "c", throttle_time_ms: int = 0) -> Any:
    return MetadataResponse(
        throttle_time_ms=throttle_time_ms, brokers=[], cluster_id=cluster_id, controller_id=1, topics=[]
    )


def test_versions_are_negotiated_and_the_highest_that_both_know_is_picked() -> None:
    with ScriptedBroker({API_VERSIONS: versions({1: (4, 11), 99: (7, 9)})}) as broker:
        connection = _connection(broker)

        assert 11 == connection.pick(1, 4, 17)
        assert 5 == connection.pick(1, 4, 5)
        for key, lowest, highest in ((1, 12, 17), (99, 0, 6), (77, 0, 1)):
            with pytest.raises(UnsupportedError, match=broker.address):
                connection.pick(key, lowest, highest)
        assert "tester" == broker.asked[0].client_id
        connection.close()
        connection.close()


def test_an_old_broker_that_refuses_the_question_for_versions_is_asked_the_old_way() -> None:
    """KIP-511: to an unknown version it answers with version 0, whatever was asked."""

    def answer(asked: Asked) -> Any:
        body = struct.pack(">hihhh", 35, 1, API_VERSIONS, 0, 2)
        return Raw(struct.pack(">i", asked.correlation_id) + body) if asked.version else versions()(asked)

    with ScriptedBroker({API_VERSIONS: answer}) as broker:
        connection = _connection(broker)

    assert (4, 17) == connection.versions[1]
    assert [3, 0] == [asked.version for asked in broker.of(API_VERSIONS)]


def test_answers_come_in_the_order_of_the_requests() -> None:
    with ScriptedBroker({METADATA: lambda asked: _response(f"cluster-{asked.correlation_id}")}) as broker:
        connection = _connection(broker)
        for _ in range(3):
            connection.send(_request())

        assert 3 == connection.in_flight
        assert ["cluster-1", "cluster-2", "cluster-3"] == [connection.receive().cluster_id for _ in range(3)]
        assert 0 == connection.in_flight


def test_a_question_beside_answers_in_flight_gives_the_connection_up_instead_of_mistaking_one() -> None:
    with ScriptedBroker({METADATA: lambda asked: _response()}) as broker:
        connection = _connection(broker)
        connection.send(_request())

        with pytest.raises(BrokerUnavailableError, match="in flight"):
            connection.call(_request())

        assert not connection.is_open


def test_a_request_of_thousands_of_buffers_arrives_whole() -> None:
    """Larger than the socket's buffer and with more parts than the kernel takes at once."""
    arrived = threading.Event()

    def answer(asked: Asked) -> Any:
        arrived.set()
        return _response(str(len(asked.body)))

    with ScriptedBroker({METADATA: answer}) as broker:
        connection = _connection(broker)
        body = [bytes([number % 251]) * (number % 4_000) for number in range(3_000)]

        connection.send_encoded(lambda number: _framed(number, body), METADATA, 12)

        assert str(sum(map(len, body))) == connection.receive().cluster_id
        assert b"".join(body) == broker.of(METADATA)[0].body


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (lambda asked: None, "closed the connection"),
        (lambda asked: Raw(struct.pack(">i", asked.correlation_id + 1) + bytes(40)), "another request"),
        (lambda asked: Raw(struct.pack(">i", asked.correlation_id) + b"\xff" * 9), "cannot be read"),
        (lambda asked: Raw(b"\0"), "cannot be read"),
    ],
    ids=["closes", "another answer", "nonsense", "cut off"],
)
def test_whatever_is_wrong_with_an_answer_closes_the_connection_and_may_pass(answer: Any, complaint: str) -> None:
    with ScriptedBroker({METADATA: answer}) as broker:
        connection = _connection(broker)

        with pytest.raises(BrokerUnavailableError, match=complaint) as caught:
            connection.call(_request())

        assert broker.address in str(caught.value)
        assert not connection.is_open
        with pytest.raises(BrokerUnavailableError, match="is closed"):
            connection.call(_request())


@pytest.mark.parametrize(
    "talk", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x15\x03\x03\x00\x02\x02\x50", b"\xff\xff\xff\xff"]
)
def test_a_port_that_speaks_another_protocol_is_said_to_and_costs_no_memory(talk: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            sock, _ = listener.accept()
            with sock:
                sock.recv(1_000)
                sock.sendall(talk)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        port = listener.getsockname()[1]
        with pytest.raises(ConfigError, match=r"does not speak Kafka's protocol.*TLS"):
            Connection(BrokerAddress("127.0.0.1", port), options(f"127.0.0.1:{port}"))
        thread.join(5)


def test_nobody_listening_is_unavailable() -> None:
    with pytest.raises(BrokerUnavailableError, match=r"127\.0\.0\.1:1"):
        Connection(BrokerAddress("127.0.0.1", 1), options("127.0.0.1:1"))


def test_a_silent_broker_is_given_up_after_the_timeout_and_waited_for_as_long_as_it_throttles() -> None:
    silence = threading.Event()
    late = threading.Event()
    throttle = [2_000, 0]

    def answer(asked: Asked) -> Any:
        if len(throttle) == 1:
            late.wait(0.8)  # the muted channel: the answer after a throttled one is late
        if not throttle:
            silence.wait(5)
            return None
        return _response(throttle_time_ms=throttle.pop(0))

    with ScriptedBroker({METADATA: answer}) as broker:
        connection = _connection(broker, request_timeout_ms=500)
        assert 2_000 == connection.call(_request()).throttle_time_ms
        assert 0 == connection.call(_request()).throttle_time_ms

        with pytest.raises(BrokerUnavailableError, match="timed out"):
            connection.call(_request())
        silence.set()


def test_the_buffer_of_a_huge_answer_is_not_kept() -> None:
    sizes = [20 << 20, 10]

    with ScriptedBroker({METADATA: lambda asked: _response("x" * 10)}) as broker:
        connection = _connection(broker)
        broker.answers[METADATA] = lambda asked: _tagged(asked, sizes.pop(0))
        connection.call(_request())

        assert len(connection._buffer) < 1 << 20
        assert "c" == connection.call(_request()).cluster_id


def _tagged(asked: Asked, size: int) -> Raw:
    """An answer with a tagged field of `size` bytes, which no client knows."""
    response = _response()
    response.API_VERSION = asked.version
    response.with_header(correlation_id=asked.correlation_id)
    data = response.encode(header=True)[:-1]
    return Raw(data + b"\x01" + _uvarint(77) + _uvarint(size) + bytes(size))


def _uvarint(value: int) -> bytes:
    data = b""
    while value > 127:
        data += bytes([value & 127 | 128])
        value >>= 7
    return data + bytes([value])
