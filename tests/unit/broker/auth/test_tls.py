"""TLS on raw connections over real sockets: certificates, data transfer, and the error of each failure."""

from __future__ import annotations

import ssl
import struct
from pathlib import Path
from typing import Any

import pytest
from kafka.protocol.metadata import MetadataRequest, MetadataResponse

from tasks.broker.auth.security import Security
from tasks.broker.auth.tls import check_files
from tasks.broker.messages.api_keys import ApiKey
from tasks.broker.raw.connection import BrokerAddress, Connection
from tasks.model.errors import AccessError, ConfigError, KafkaBackupError
from tests.support.certificates import Authority, Leaf
from tests.unit.broker.scripted_broker import ReceivedRequest, ScriptedBroker, options

PASSWORD = "hunter2"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def leaf(authority: Authority) -> Leaf:
    return authority.issue("server", ("127.0.0.1",))


def _server_context(leaf: Leaf) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(leaf.certificate, leaf.key)
    return context


def _broker(tls: ssl.SSLContext | None) -> ScriptedBroker:
    def answer(request: ReceivedRequest) -> Any:
        return MetadataResponse(brokers=[], topics=[], cluster_id=str(len(request.body)))

    return ScriptedBroker({ApiKey.METADATA: answer}, tls=tls)


def _security(ca: Path | None, **values: str) -> Security:
    located = {"ssl_ca_location": str(ca)} if ca else {}
    return Security.model_validate({"security_protocol": "SSL", **located, **values})


def _connect(
    broker: ScriptedBroker, security: Security, host: str = "127.0.0.1", request_timeout_ms: int = 5_000
) -> Connection:
    settings = options(broker.address, security=security, request_timeout_ms=request_timeout_ms)
    return Connection(BrokerAddress(host, broker.port), settings)


def test_large_and_small_buffers_arrive_whole_and_in_order(authority: Authority, leaf: Leaf) -> None:
    """A TLS socket sends one buffer per call. Small buffers are joined and large ones are not."""
    sizes = [number % 4_000 for number in range(1_000)] + [3_000_000, 7, 2_000_000] + [10] * 100
    body = [bytes([number % 251]) * size for number, size in enumerate(sizes)]
    with _broker(_server_context(leaf)) as broker:
        connection = _connect(broker, _security(authority.ca))

        def encode(correlation_id: int) -> list[bytes]:
            head = struct.pack(">hhih", ApiKey.METADATA, 12, correlation_id, 6) + b"tester"
            return [struct.pack(">i", len(head) + sum(sizes)), head, *body]

        connection.send_encoded(encode, ApiKey.METADATA, 12)

        assert str(sum(sizes)) == connection.receive().cluster_id
        assert b"".join(body) == broker.requests(ApiKey.METADATA)[0].body


def test_a_certificate_of_an_unknown_authority_or_for_another_name_is_an_access_error(
    authority: Authority, leaf: Leaf, tmp_path: Path
) -> None:
    other = Authority(tmp_path)
    with _broker(_server_context(leaf)) as broker:
        for ca, expected in ((None, "Set ssl_ca_location"), (other.ca, f"with {other.ca}: ")):
            with pytest.raises(
                AccessError, match=f"Cannot verify the certificate of broker {broker.address}"
            ) as caught:
                _connect(broker, _security(ca))
            assert expected in str(caught.value)
        with pytest.raises(AccessError, match=r"does not name localhost; it names 127\.0\.0\.1\. Connect with a name"):
            _connect(broker, _security(authority.ca), host="localhost")


def test_a_required_client_certificate_is_sent_also_with_an_encrypted_key(
    authority: Authority, leaf: Leaf, tmp_path: Path
) -> None:
    strict = _server_context(leaf)
    strict.verify_mode = ssl.CERT_REQUIRED
    strict.load_verify_locations(authority.ca)
    client = authority.issue("client", password=PASSWORD)
    stranger = Authority(tmp_path).issue("client")
    with _broker(strict) as broker:
        shown = {"ssl_certificate_location": str(client.certificate), "ssl_key_location": str(client.key)}
        connection = _connect(broker, _security(authority.ca, **shown, ssl_key_password=PASSWORD))
        request = MetadataRequest(topics=[], allow_auto_topic_creation=False)
        request.API_VERSION = 12
        assert int(connection.call(request).cluster_id) > 0

        unknown = {"ssl_certificate_location": str(stranger.certificate), "ssl_key_location": str(stranger.key)}
        for values, expected in (({}, "requires a client certificate"), (unknown, "does not accept the client cert")):
            with pytest.raises(AccessError, match=expected):
                _connect(broker, _security(authority.ca, **values))


def test_a_plaintext_port_is_distinguished_from_a_retryable_failure(authority: Authority) -> None:
    """The scripted broker waits for the rest of a request; Kafka closes the connection."""
    with (
        _broker(None) as broker,
        pytest.raises(ConfigError, match=f"Broker {broker.address} does not use TLS on this port"),
    ):
        _connect(broker, _security(authority.ca), request_timeout_ms=300)


def test_a_plaintext_connection_to_a_tls_port_is_a_config_error(leaf: Leaf) -> None:
    with (
        _broker(_server_context(leaf)) as broker,
        pytest.raises(ConfigError, match="if the port expects TLS, set security_protocol to SSL"),
    ):
        _connect(broker, Security())


def test_each_unusable_file_is_named_by_its_key(authority: Authority, tmp_path: Path) -> None:
    plain, encrypted = authority.issue("plain"), authority.issue("encrypted", password=PASSWORD)
    nothing = tmp_path / "nothing.pem"
    nothing.write_text("nothing")

    def problem(**values: Path | str) -> str:
        given = {name: str(value) for name, value in values.items()}
        with pytest.raises(ConfigError) as caught:
            check_files(
                _security(authority.ca, **given) if "ssl_ca_location" not in given else _security(None, **given)
            )
        assert PASSWORD not in str(caught.value)
        return str(caught.value)

    key_of: dict[str, Path | str] = {
        "ssl_certificate_location": encrypted.certificate,
        "ssl_key_location": encrypted.key,
    }
    assert "ssl_ca_location: /none: No such file" in problem(ssl_ca_location="/none")
    assert "is neither a PEM file nor a key store" in problem(ssl_ca_location=nothing)
    assert "ssl_key_location: /none: No such file" in problem(**{**key_of, "ssl_key_location": "/none"})
    assert "needs an ssl_key_password" in problem(**key_of)
    assert "does not open it" in problem(**key_of, ssl_key_password=f"{PASSWORD}x")
    assert "is not the key of" in problem(**{**key_of, "ssl_key_location": plain.key})
    assert f"ssl_certificate_location: {nothing} is neither" in problem(
        **{**key_of, "ssl_certificate_location": nothing}
    )
    check_files(
        _security(authority.ca, **{name: str(path) for name, path in key_of.items()}, ssl_key_password=PASSWORD)
    )


def test_a_folder_is_not_a_valid_file(tmp_path: Path) -> None:
    with pytest.raises(KafkaBackupError, match=f"ssl_ca_location: {tmp_path}: Is a directory"):
        check_files(_security(tmp_path))
