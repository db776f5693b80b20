"""A broker that lacks a necessary request is refused with the request's name, both versions and the oldest Kafka."""

from __future__ import annotations

import threading

import pytest

from tasks.broker.kafka_access import KafkaAccess
from tasks.broker.messages.api_keys import ApiKey
from tasks.model.errors import ConfigError, UnsupportedError
from tests.unit.broker.scripted_broker import SUPPORTED, ReceivedRequest, ScriptedBroker, options, versions
from tests.unit.broker.scripts import FIRST, ScriptedMetadata

NOT_AT_ALL = (0, -1)


def check(broker: ScriptedBroker, *, is_writing: bool) -> None:
    ScriptedMetadata({FIRST: 1}, broker)
    KafkaAccess(options(broker.address)).check_reachable(threading.Event(), is_writing=is_writing)


@pytest.mark.parametrize(
    ("api_key", "newest", "name", "wanted"),
    [
        (ApiKey.METADATA, 9, "Metadata", "a version from 10 to 12"),
        (ApiKey.FETCH, 11, "Fetch", "a version from 12 to 17"),
        (ApiKey.LIST_OFFSETS, 1, "ListOffsets", "a version from 2 to 7"),
        (ApiKey.PRODUCE, 7, "Produce", "version 8"),
    ],
)
def test_an_old_version_of_a_necessary_request_is_named(api_key: ApiKey, newest: int, name: str, wanted: str) -> None:
    with ScriptedBroker({ApiKey.API_VERSIONS: versions({api_key: (0, newest)})}) as broker:
        address = broker.address
        with pytest.raises(UnsupportedError) as refused:
            check(broker, is_writing=True)
    assert (
        f"This program needs {wanted} of the request {name}, but broker {address} supports versions 0 to {newest} "
        "of it. Use Kafka 2.8 or newer; if a proxy is in front of it, configure the proxy to pass this request."
    ) == str(refused.value)


def test_a_request_that_the_broker_does_not_know_is_named() -> None:
    supported = {key: value for key, value in SUPPORTED.items() if key != ApiKey.INIT_PRODUCER_ID}
    with ScriptedBroker({ApiKey.API_VERSIONS: versions(only=supported)}) as broker:
        check(broker, is_writing=False)
        with pytest.raises(UnsupportedError, match=f"InitProducerId, but broker {broker.address} does not support it"):
            check(broker, is_writing=True)


def test_a_broker_that_is_too_new_needs_a_newer_program() -> None:
    with (
        ScriptedBroker({ApiKey.API_VERSIONS: versions({ApiKey.FETCH: (18, 20)})}) as broker,
        pytest.raises(UnsupportedError, match=r"versions 18 to 20 of the request Fetch.*newer version of this program"),
    ):
        check(broker, is_writing=False)


def test_a_controllers_listener_is_recognized() -> None:
    controller = {ApiKey.API_VERSIONS: (0, 4), ApiKey.FETCH: (0, 17), 52: (0, 2), 62: (0, 4), 63: (0, 1)}

    def answer(received: ReceivedRequest) -> object:
        return versions(only=controller)(received)

    with ScriptedBroker({ApiKey.API_VERSIONS: answer}) as broker:
        address = broker.address
        with pytest.raises(ConfigError) as refused:
            check(broker, is_writing=False)
    assert f"{address} is a controller's listener. Use the address of a broker's listener." == str(refused.value)


def test_a_controllers_listener_that_a_broker_advertises_is_called_advertised() -> None:
    controller = {ApiKey.API_VERSIONS: (0, 4), ApiKey.FETCH: (0, 17), 52: (0, 2), 62: (0, 4), 63: (0, 1)}
    with ScriptedBroker() as broker, ScriptedBroker({ApiKey.API_VERSIONS: versions(only=controller)}) as other:
        ScriptedMetadata({FIRST: 1}, broker).brokers = {1: other}
        with pytest.raises(ConfigError) as refused:
            KafkaAccess(options(broker.address)).check_reachable(threading.Event(), is_writing=False)
        address = other.address
    assert (
        f"Broker 1 advertises the address {address}, which does not work from this machine. {address} is a "
        "controller's listener. Use the address of a broker's listener. Correct `advertised.listeners` of the broker."
    ) == str(refused.value)
