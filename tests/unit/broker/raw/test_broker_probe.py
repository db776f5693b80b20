"""Every address of a cluster is reached once, and what is wrong with it is its result."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from pathlib import Path

import pytest

from tasks.broker.auth.security import Security
from tasks.broker.messages.api_keys import ApiKey
from tasks.broker.probe_values import VersionRange
from tasks.broker.raw.broker_probe import count_connections, describe_brokers
from tasks.model.errors import BrokerUnavailableError, ConfigError, InterruptedRunError, UnsupportedError
from tests.support.certificates import Authority
from tests.unit.broker.scripted_broker import ReceivedRequest, ScriptedBroker, options, versions
from tests.unit.broker.scripts import ScriptedMetadata

NEVER = threading.Event()


def _closed_address() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"127.0.0.1:{listener.getsockname()[1]}"


def test_bootstrap_addresses_and_advertised_addresses_are_described_in_order() -> None:
    with ScriptedBroker() as one, ScriptedBroker() as two:
        ScriptedMetadata({}, one, two)

        found = describe_brokers(options(two.address, one.address), NEVER)
        expected = [(None, two.address), (None, one.address), (1, one.address), (2, two.address)]

    assert expected == [(broker.node_id, broker.address) for broker in found]
    assert {VersionRange(4, 17)} == {broker.requests["Fetch"] for broker in found}
    assert [2, 2] == [one.connections, two.connections]


def test_an_address_that_cannot_be_reached_is_a_result_and_the_others_are_described() -> None:
    closed = _closed_address()
    with ScriptedBroker() as one, ScriptedBroker() as dead:
        ScriptedMetadata({}, one, dead)
        dead.answers.clear()

        found = describe_brokers(options(closed, one.address), NEVER)

    assert [True, False, False, True] == [broker.failure is not None for broker in found]
    assert f"Cannot connect to {closed}" in str(found[0].failure)
    assert isinstance(found[3].failure, BrokerUnavailableError)
    assert {} == found[3].requests


def test_a_cluster_that_nothing_reaches_has_a_failure_for_each_address() -> None:
    [found] = describe_brokers(options(_closed_address()), NEVER)
    assert isinstance(found.failure, BrokerUnavailableError)


def test_an_address_that_is_none_is_an_error() -> None:
    with pytest.raises(ConfigError, match="bootstrap_servers"):
        describe_brokers(options("nothing"), NEVER)


def test_a_listener_without_metadata_is_named_by_the_request_that_it_lacks() -> None:
    with ScriptedBroker({ApiKey.API_VERSIONS: versions({ApiKey.METADATA: (99, 99)})}) as broker:
        [found] = describe_brokers(options(broker.address), NEVER)

    assert isinstance(found.failure, UnsupportedError)
    assert "Metadata" in str(found.failure)


def test_the_end_of_the_brokers_certificate_is_told(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    leaf = authority.issue("server", ("127.0.0.1",))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(leaf.certificate, leaf.key)
    security = Security(security_protocol="SSL", ssl_ca_location=str(authority.ca))
    with ScriptedBroker(tls=context) as broker:
        ScriptedMetadata({}, broker)
        found = describe_brokers(options(broker.address, security=security), NEVER)

    assert all(one.certificate_ends_ms and one.certificate_ends_ms > time.time() * 1000 for one in found)


def test_connections_that_a_broker_refuses_are_not_counted() -> None:
    with ScriptedBroker() as broker:
        metadata = ScriptedMetadata({}, broker)

        def answer(received: ReceivedRequest) -> object:
            return metadata.answer(received) if broker.connections <= 3 else None

        broker.answers[ApiKey.METADATA] = answer

        assert 3 == count_connections(options(broker.address), 5)


def test_connections_that_one_broker_refuses_are_not_opened_to_another() -> None:
    with ScriptedBroker() as limited, ScriptedBroker() as other:
        ScriptedMetadata({}, limited, other)
        accept = versions()
        limited.answers[ApiKey.API_VERSIONS] = lambda one: accept(one) if limited.connections <= 3 else None

        assert 3 == count_connections(options(limited.address, other.address), 5)
        assert 0 == other.connections


def test_a_first_connection_that_fails_is_an_error() -> None:
    with pytest.raises(BrokerUnavailableError):
        count_connections(options(_closed_address()), 5)


def test_a_stop_request_does_not_wait_for_a_silent_address() -> None:
    stop, reached = threading.Event(), threading.Event()

    def silent(received: ReceivedRequest) -> object:
        reached.set()
        NEVER.wait(3)
        return None

    def stop_when_reached() -> None:
        reached.wait(10)
        stop.set()

    with ScriptedBroker({ApiKey.API_VERSIONS: silent}) as broker:
        threading.Thread(target=stop_when_reached, daemon=True).start()
        with pytest.raises(InterruptedRunError):
            describe_brokers(options(broker.address), stop)
