"""The promises of a connection, with a scripted broker over real sockets."""

from __future__ import annotations

import socket
import struct
import threading
from typing import Any

import pytest
from kafka.protocol.metadata import MetadataRequest, MetadataResponse

from tasks.broker.error_codes import ErrorCode
from tasks.broker.messages.api_keys import ApiKey
from tasks.broker.raw.connection import BrokerAddress, Connection
from tasks.model.errors import BrokerUnavailableError, ConfigError, UnsupportedError
from tests.unit.broker.scripted_broker import Held, Raw, ReceivedRequest, ScriptedBroker, options, versions


def _connection(broker: ScriptedBroker, request_timeout_ms: int = 5_000) -> Connection:
    settings = options(broker.address, request_timeout_ms=request_timeout_ms)
    return Connection(BrokerAddress("127.0.0.1", broker.port), settings)


def _framed(correlation_id: int, body: list[bytes]) -> list[bytes]:
    head = struct.pack(">hhih", ApiKey.METADATA, 12, correlation_id, 6) + b"tester"
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
    supported: dict[int, tuple[int, int]] = {ApiKey.FETCH: (4, 11), ApiKey.LIST_OFFSETS: (7, 9)}
    with ScriptedBroker({ApiKey.API_VERSIONS: versions(supported)}) as broker:
        connection = _connection(broker)

        assert 11 == connection.pick(ApiKey.FETCH, 4, 17)
        assert 5 == connection.pick(ApiKey.FETCH, 4, 5)
        for key, lowest, highest, expected in (
            (
                ApiKey.FETCH,
                12,
                17,
                r"12 to 17 of the request Fetch, but broker \S+ supports versions 4 to 11 of it\. Use Kafka 2\.8 or",
            ),
            (ApiKey.LIST_OFFSETS, 0, 6, r"versions 7 to 9 of the request ListOffsets.*newer version of this program"),
            (ApiKey.DESCRIBE_ACLS, 0, 1, r"0 to 1 of the request DescribeAcls, but broker \S+ does not support it"),
        ):
            with pytest.raises(UnsupportedError, match=expected):
                connection.pick(key, lowest, highest)
        assert "tester" == broker.received[0].client_id
        connection.close()
        connection.close()


def test_a_broker_that_does_not_know_the_version_of_api_versions_gets_version_0() -> None:
    """KIP-511: it answers to an unknown version in version 0."""

    def answer(request: ReceivedRequest) -> Any:
        body = struct.pack(">hihhh", ErrorCode.UNSUPPORTED_VERSION, 1, ApiKey.API_VERSIONS, 0, 2)
        return Raw(struct.pack(">i", request.correlation_id) + body) if request.version else versions()(request)

    with ScriptedBroker({ApiKey.API_VERSIONS: answer}) as broker:
        connection = _connection(broker)

    assert (4, 17) == connection.versions[ApiKey.FETCH]
    assert [3, 0] == [request.version for request in broker.requests(ApiKey.API_VERSIONS)]


def test_answers_are_received_in_the_order_of_the_requests() -> None:
    with ScriptedBroker({ApiKey.METADATA: lambda request: _response(f"cluster-{request.correlation_id}")}) as broker:
        connection = _connection(broker)
        for _ in range(3):
            connection.send(_request())

        assert 3 == connection.in_flight
        assert ["cluster-1", "cluster-2", "cluster-3"] == [connection.receive().cluster_id for _ in range(3)]
        assert 0 == connection.in_flight


def _post(connection: Connection, body: list[bytes]) -> None:
    connection.post(lambda number: _framed(number, body), ApiKey.METADATA, 12)


def test_posted_requests_are_sent_by_flush_and_are_answered_in_order() -> None:
    with ScriptedBroker({ApiKey.METADATA: lambda request: _response(request.body.decode())}) as broker:
        connection = _connection(broker)
        for text in (b"one", b"two", b"three"):
            _post(connection, [text])

        assert 3 == connection.in_flight
        connection.flush()
        connection.flush()

        assert ["one", "two", "three"] == [connection.receive().cluster_id for _ in range(3)]
        assert not connection.has_answer


def test_posted_requests_that_are_not_flushed_do_not_reach_the_broker() -> None:
    with ScriptedBroker({ApiKey.METADATA: lambda request: _response()}) as broker:
        connection = _connection(broker)
        _post(connection, [b"small"])

        connection.close()
        connection.flush()

    assert [] == broker.requests(ApiKey.METADATA)


def test_a_large_posted_request_is_sent_without_flush() -> None:
    with ScriptedBroker({ApiKey.METADATA: lambda request: _response(str(len(request.body)))}) as broker:
        connection = _connection(broker)
        _post(connection, [bytes(300_000)])

        assert "300000" == connection.receive().cluster_id


def test_an_answer_that_arrived_with_the_one_before_is_available_without_waiting() -> None:
    def answer(request: ReceivedRequest) -> Any:
        response = _response(request.body.decode())
        return Held(response) if request.body == b"one" else response

    with ScriptedBroker({ApiKey.METADATA: answer}) as broker:
        connection = _connection(broker)
        for text in (b"one", b"two"):
            _post(connection, [text])
        connection.flush()

        assert not connection.has_answer
        assert "one" == connection.receive().cluster_id
        assert connection.has_answer
        assert "two" == connection.receive().cluster_id
        assert not connection.has_answer


def test_a_call_with_other_answers_in_flight_closes_the_connection_and_returns_none_of_them() -> None:
    with ScriptedBroker({ApiKey.METADATA: lambda request: _response()}) as broker:
        connection = _connection(broker)
        connection.send(_request())

        with pytest.raises(BrokerUnavailableError, match="in flight"):
            connection.call(_request())

        assert not connection.is_open


def test_a_request_of_thousands_of_buffers_arrives_whole() -> None:
    """Larger than the socket's buffer, and with more buffers than the kernel accepts in one call."""
    arrived = threading.Event()

    def answer(request: ReceivedRequest) -> Any:
        arrived.set()
        return _response(str(len(request.body)))

    with ScriptedBroker({ApiKey.METADATA: answer}) as broker:
        connection = _connection(broker)
        body = [bytes([number % 251]) * (number % 4_000) for number in range(3_000)]

        connection.send_encoded(lambda number: _framed(number, body), ApiKey.METADATA, 12)

        assert str(sum(map(len, body))) == connection.receive().cluster_id
        assert b"".join(body) == broker.requests(ApiKey.METADATA)[0].body


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda request: None, "closed the connection"),
        (lambda request: Raw(struct.pack(">i", request.correlation_id + 1) + bytes(40)), "another request"),
        (lambda request: Raw(struct.pack(">i", request.correlation_id) + b"\xff" * 9), "cannot be read"),
        (lambda request: Raw(b"\0"), "cannot be read"),
    ],
    ids=["closes", "another answer", "nonsense", "cut off"],
)
def test_a_wrong_answer_closes_the_connection_and_is_a_retryable_error(answer: Any, message: str) -> None:
    with ScriptedBroker({ApiKey.METADATA: answer}) as broker:
        connection = _connection(broker)

        with pytest.raises(BrokerUnavailableError, match=message) as caught:
            connection.call(_request())

        assert broker.address in str(caught.value)
        assert not connection.is_open
        with pytest.raises(BrokerUnavailableError, match="is closed"):
            connection.call(_request())


@pytest.mark.parametrize(
    "sent", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x15\x03\x03\x00\x02\x02\x50", b"\xff\xff\xff\xff"]
)
def test_a_port_that_speaks_another_protocol_is_a_config_error_and_costs_no_memory(sent: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            sock, _ = listener.accept()
            with sock:
                sock.recv(1_000)
                sock.sendall(sent)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        port = listener.getsockname()[1]
        with pytest.raises(ConfigError, match=r"does not speak Kafka's protocol.*TLS"):
            Connection(BrokerAddress("127.0.0.1", port), options(f"127.0.0.1:{port}"))
        thread.join(5)


def test_a_port_without_listener_is_unavailable() -> None:
    with pytest.raises(BrokerUnavailableError, match=r"127\.0\.0\.1:1"):
        Connection(BrokerAddress("127.0.0.1", 1), options("127.0.0.1:1"))


def test_a_receive_ends_after_the_timeout_and_the_announced_throttle_time() -> None:
    silence = threading.Event()
    late = threading.Event()
    throttle = [2_000, 0]

    def answer(request: ReceivedRequest) -> Any:
        if len(throttle) == 1:
            late.wait(0.8)  # a throttling broker mutes the channel, so the answer after a throttled one is late
        if not throttle:
            silence.wait(5)
            return None
        return _response(throttle_time_ms=throttle.pop(0))

    with ScriptedBroker({ApiKey.METADATA: answer}) as broker:
        connection = _connection(broker, request_timeout_ms=500)
        assert 2_000 == connection.call(_request()).throttle_time_ms
        assert 0 == connection.call(_request()).throttle_time_ms

        with pytest.raises(BrokerUnavailableError, match="timed out"):
            connection.call(_request())
        silence.set()


def test_the_buffer_of_a_large_answer_is_not_kept() -> None:
    sizes = [20 << 20, 10]

    with ScriptedBroker({ApiKey.METADATA: lambda request: _response("x" * 10)}) as broker:
        connection = _connection(broker)
        broker.answers[ApiKey.METADATA] = lambda request: _tagged(request, sizes.pop(0))
        connection.call(_request())

        assert len(connection._buffer) < 1 << 20
        assert "c" == connection.call(_request()).cluster_id


def _tagged(request: ReceivedRequest, size: int) -> Raw:
    """An answer with an unknown tagged field of `size` bytes."""
    response = _response()
    response.API_VERSION = request.version
    response.with_header(correlation_id=request.correlation_id)
    data = response.encode(header=True)[:-1]
    return Raw(data + b"\x01" + _uvarint(77) + _uvarint(size) + bytes(size))


def _uvarint(value: int) -> bytes:
    data = b""
    while value > 127:
        data += bytes([value & 127 | 128])
        value >>= 7
    return data + bytes([value])
