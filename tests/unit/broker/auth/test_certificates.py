"""Certificates on real connections: their names, their age, and extensions that not every authority writes."""

from __future__ import annotations

import ipaddress
import os
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography import x509
from kafka.protocol.metadata import MetadataRequest, MetadataResponse

from tasks.broker.auth.certificates import Validity, validity
from tasks.broker.auth.security import Security
from tasks.broker.auth.tls import check_files
from tasks.broker.kafka_access import KafkaAccess
from tasks.broker.messages.api_keys import ApiKey
from tasks.broker.raw.connection import BrokerAddress, Connection
from tasks.model.errors import AccessError
from tests.support.certificates import Authority, Leaf
from tests.unit.broker.auth.made_certificates import PlainAuthority
from tests.unit.broker.scripted_broker import ScriptedBroker, options


def server(leaf: Leaf, *, clients_of: Path | None = None, host: str = "127.0.0.1") -> ScriptedBroker:
    """A broker with this certificate. With `clients_of` it requires a client certificate of that authority."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(leaf.certificate, leaf.key)
    if clients_of is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(clients_of)

    def answer(received: object) -> Any:
        return MetadataResponse(brokers=[], topics=[], cluster_id="c")

    return ScriptedBroker({ApiKey.METADATA: answer}, tls=context, host=host)


def connect(broker: ScriptedBroker, files: Mapping[str, Path], host: str = "127.0.0.1") -> None:
    security = Security.model_validate(
        {"security_protocol": "SSL", **{name: str(path) for name, path in files.items()}}
    )
    connection = Connection(BrokerAddress(host, broker.port), options(broker.address, security=security))
    request = MetadataRequest(topics=[], allow_auto_topic_creation=False)
    request.API_VERSION = 12
    assert "c" == connection.call(request).cluster_id
    connection.close()


def test_a_certificate_for_other_names_is_refused_with_the_names_that_it_has(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with server(authority.issue("other", ("kafka.internal", "10.0.0.1"))) as broker:
        with pytest.raises(AccessError) as refused:
            connect(broker, {"ssl_ca_location": authority.ca})
        assert (
            f"Broker {broker.address} has a certificate for other names: the certificate does not name 127.0.0.1; it "
            "names kafka.internal, 10.0.0.1. Connect with a name that the certificate has, or give the broker a "
            "certificate with 127.0.0.1 in its subjectAltName."
        ) == str(refused.value)


def test_a_certificate_without_subject_alt_name_is_refused_with_this_reason(tmp_path: Path) -> None:
    authority = PlainAuthority(tmp_path)
    with (
        server(authority.issue("127.0.0.1", None)) as broker,
        pytest.raises(AccessError, match=r"has no subjectAltName, only the common name 127\.0\.0\.1, which clients do"),
    ):
        connect(broker, {"ssl_ca_location": authority.ca})


def strict_context(create: Callable[..., ssl.SSLContext]) -> Callable[..., ssl.SSLContext]:
    """`ssl.create_default_context` as Python 3.13 has it."""

    def create_strict(*arguments: Any, **named: Any) -> ssl.SSLContext:
        context = create(*arguments, **named)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        return context

    return create_strict


def test_a_private_authority_without_key_identifiers_is_trusted_also_by_newer_pythons(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = PlainAuthority(tmp_path)
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    with server(authority.issue("server", names)) as broker:
        monkeypatch.setattr(ssl, "create_default_context", strict_context(ssl.create_default_context))

        connect(broker, {"ssl_ca_location": authority.ca})


def expired(folder: Path, name: str, authority: trustme.CA, not_after: datetime) -> Leaf:
    made = authority.issue_cert("client", not_after=not_after)
    leaf = Leaf(*(folder / f"{name}{ending}" for ending in (".crt", ".key", ".pem")))
    made.private_key_pem.write_to_path(str(leaf.key))
    leaf.certificate.write_bytes(b"".join(pem.bytes() for pem in made.cert_chain_pems))
    return leaf


def test_an_expired_client_certificate_is_refused_with_its_end_and_renewed_files_are_used(tmp_path: Path) -> None:
    servers, clients = Authority(tmp_path / "servers"), trustme.CA()
    clients.cert_pem.write_to_path(str(tmp_path / "clients.pem"))
    ended = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
    old = expired(tmp_path, "old", clients, ended)
    new = expired(tmp_path, "new", clients, datetime.now(UTC) + timedelta(days=1))
    certificate, key = tmp_path / "client.crt", tmp_path / "client.key"
    certificate.symlink_to(old.certificate)
    key.symlink_to(old.key)
    files = {"ssl_ca_location": servers.ca, "ssl_certificate_location": certificate, "ssl_key_location": key}
    with server(servers.issue("server", ("127.0.0.1",)), clients_of=tmp_path / "clients.pem") as broker:
        with pytest.raises(
            AccessError, match=rf"client certificate in {certificate} .*: it expired on 2024-05-06 07:08"
        ):
            connect(broker, files)
        for link, target in ((certificate, new.certificate), (key, new.key)):
            (tmp_path / "next").symlink_to(target)
            os.replace(tmp_path / "next", link)

        connect(broker, files)


def test_a_pair_that_is_read_between_the_renewals_of_its_files_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path)
    old, new = authority.issue("old"), authority.issue("new")
    key = tmp_path / "client.key"
    key.write_bytes(old.key.read_bytes())
    monkeypatch.setattr(time, "sleep", lambda seconds: key.write_bytes(new.key.read_bytes()))

    check_files(
        Security.model_validate(
            {
                "security_protocol": "SSL",
                "ssl_certificate_location": str(new.certificate),
                "ssl_key_location": str(key),
            }
        )
    )
    assert new.key.read_bytes() == key.read_bytes()


def test_the_validity_of_a_certificate_is_read_from_its_bytes(tmp_path: Path) -> None:
    authority = trustme.CA()
    for ends in (datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC), datetime(2050, 1, 1, tzinfo=UTC)):
        leaf = expired(tmp_path, "leaf", authority, ends)
        made = x509.load_pem_x509_certificate(leaf.certificate.read_bytes())

        found = validity(leaf.certificate.read_bytes())

        assert Validity(made.not_valid_before_utc, ends) == found
        assert found is not None
        assert found.problem(ends) is None
        assert "it expired on 20" in str(found.problem(ends + timedelta(seconds=1)))
        assert "it is valid only from 2" in str(found.problem(datetime(1999, 1, 1, tzinfo=UTC)))
    cut = ssl.DER_cert_to_PEM_cert(ssl.PEM_cert_to_DER_cert(leaf.certificate.read_text())[:60])
    for damaged in (b"", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", cut.encode()):
        assert validity(damaged) is None


def test_an_advertised_name_that_the_certificate_lacks_is_named_with_the_names_that_it_has(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with server(authority.issue("server", ("127.0.0.1",))) as broker:

        def answer(received: object) -> Any:
            node = MetadataResponse.MetadataResponseBroker(node_id=1, host="localhost", port=broker.port)
            return MetadataResponse(brokers=[node], topics=[], cluster_id="c")

        broker.answers[ApiKey.METADATA] = answer
        security = Security.model_validate({"security_protocol": "SSL", "ssl_ca_location": str(authority.ca)})
        access = KafkaAccess(options(broker.address, security=security, retry_deadline_ms=3_600_000))
        with pytest.raises(AccessError) as refused:
            access.check_reachable(threading.Event(), is_writing=False)
        assert str(refused.value).startswith(
            f"Broker 1 advertises the address localhost:{broker.port}, which does not work from this machine. Broker "
            f"localhost:{broker.port} has a certificate for other names: the certificate does not name localhost; it "
            "names 127.0.0.1."
        )
        assert str(refused.value).endswith("If the address is wrong, correct `advertised.listeners` of the broker.")
        assert broker.connections < 6


def test_an_ipv6_address_is_a_name_of_a_certificate(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with server(authority.issue("server", ("::1",)), host="::1") as broker:
        connect(broker, {"ssl_ca_location": authority.ca}, "::1")
