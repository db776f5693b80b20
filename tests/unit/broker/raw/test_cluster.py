"""Metadata by topic id, leaders, and the choice of a broker when some do not answer."""

from __future__ import annotations

import threading

import pytest

from tasks.broker.error_codes import ErrorCode
from tasks.broker.log_values import ProducerIdentity
from tasks.broker.messages.api_keys import ApiKey
from tasks.broker.raw.addresses import bootstrap_addresses
from tasks.broker.raw.cluster import Cluster, Leader
from tasks.broker.raw.connection import BrokerAddress
from tasks.broker.raw.produce import init_producer_id
from tasks.model.errors import (
    AccessError,
    BrokerUnavailableError,
    ConfigError,
    InterruptedRunError,
    TopicGoneError,
)
from tasks.model.partition import Partition
from tests.unit.broker.scripted_broker import ReceivedRequest, ScriptedBroker, options, versions
from tests.unit.broker.scripts import FIRST, SECOND, TOPIC, ScriptedMetadata


def test_leaders_are_looked_up_once_and_again_after_they_are_forgotten() -> None:
    with ScriptedBroker() as one, ScriptedBroker() as two, Cluster(options(one.address)) as cluster:
        metadata = ScriptedMetadata({FIRST: 1, SECOND: 2}, one, two)

        assert [Leader(1, 0), Leader(2, 0)] == [cluster.leader(FIRST), cluster.leader(SECOND)]
        assert 1 == len(one.requests(ApiKey.METADATA))
        metadata.leaders[FIRST] = 2
        assert 1 == cluster.leader(FIRST).node_id
        cluster.forget([FIRST])
        assert 2 == cluster.leader(FIRST).node_id
        assert cluster.connection(2).address.port == two.port
        assert cluster.connection(2) is cluster.connection(2)


@pytest.mark.parametrize("newest_metadata", [12, 11])
def test_deleted_and_re_created_topics_are_failures_and_existing_ones_are_not(newest_metadata: int) -> None:
    again = Partition("again", "AAAAAAAAAAAAAAAAAAAAAQ", 0)
    gone = Partition("gone", "AAAAAAAAAAAAAAAAAAAAAg", 0)
    forbidden = Partition("forbidden", "AAAAAAAAAAAAAAAAAAAAAw", 0)
    with ScriptedBroker({ApiKey.API_VERSIONS: versions({ApiKey.METADATA: (0, newest_metadata)})}) as broker:
        new = again._replace(topic_id="AAAAAAAAAAAAAAAAAAAABA")
        metadata = ScriptedMetadata({FIRST: 1, new: 1, forbidden: 1}, broker)
        metadata.errors["forbidden"] = ErrorCode.TOPIC_AUTHORIZATION_FAILED
        with Cluster(options(broker.address)) as cluster:
            failures = cluster.look_up([FIRST, again, gone, forbidden])

            assert {
                again.incarnation: TopicGoneError,
                gone.incarnation: TopicGoneError,
                forbidden.incarnation: AccessError,
            } == {topic: type(error) for topic, error in failures.items()}
            assert f"again ({again.topic_id})" in str(failures[again.incarnation])
            assert Leader(1, 0) == cluster.known_leader(FIRST)
            assert cluster.known_leader(again) is None


def test_a_topic_that_was_just_created_is_waited_for() -> None:
    with ScriptedBroker() as broker, Cluster(options(broker.address)) as cluster:
        metadata = ScriptedMetadata({}, broker)
        answer = metadata.answer

        def created_after_two(request: ReceivedRequest) -> object:
            if len(broker.requests(ApiKey.METADATA)) > 2:
                metadata.leaders[FIRST] = 1
            return answer(request)

        broker.answers[ApiKey.METADATA] = created_after_two

        assert 1 == cluster.leader(FIRST).node_id


def test_a_partition_without_a_leader_is_unavailable_and_its_topic_does_not_fail() -> None:
    with ScriptedBroker() as broker, Cluster(options(broker.address)) as cluster:
        ScriptedMetadata({FIRST: 1, SECOND: -1}, broker)

        assert {} == cluster.look_up([FIRST, SECOND])
        assert cluster.known_leader(SECOND) is None
        with pytest.raises(BrokerUnavailableError, match="orders-1 has no leader"):
            cluster.leader(SECOND)


def test_dead_brokers_are_skipped() -> None:
    with ScriptedBroker() as alive, ScriptedBroker() as dead:
        ScriptedMetadata({FIRST: 1}, alive)

        def identity(request: ReceivedRequest) -> object:
            from kafka.protocol.producer import InitProducerIdResponse

            is_loading = len(alive.requests(ApiKey.INIT_PRODUCER_ID)) < 3
            return InitProducerIdResponse(
                throttle_time_ms=0,
                error_code=ErrorCode.COORDINATOR_LOAD_IN_PROGRESS if is_loading else ErrorCode.NONE,
                producer_id=-1 if is_loading else 77,
                producer_epoch=-1 if is_loading else 3,
            )

        alive.answers[ApiKey.INIT_PRODUCER_ID] = identity
        with Cluster(options("127.0.0.1:1", dead.address, alive.address)) as cluster:
            assert ProducerIdentity(77, 3) == init_producer_id(cluster)
            assert [1] == cluster.node_ids()
            assert 1 == cluster.leader(FIRST).node_id


def test_a_broker_that_accepts_connections_and_answers_nothing_does_not_block_retries() -> None:
    with ScriptedBroker() as mute, ScriptedBroker() as alive, Cluster(options(alive.address)) as cluster:
        metadata = ScriptedMetadata({FIRST: 2}, mute, alive)
        cluster.leader(FIRST)

        def late_answer(request: ReceivedRequest) -> object:
            return metadata.answer(request) if len(alive.requests(ApiKey.METADATA)) > 2 else None

        mute.answers[ApiKey.METADATA] = lambda request: None
        alive.answers[ApiKey.METADATA] = late_answer
        cluster.forget([FIRST])

        assert 2 == cluster.leader(FIRST).node_id


def test_a_connection_that_failed_is_opened_again() -> None:
    with ScriptedBroker() as broker, Cluster(options(broker.address)) as cluster:
        ScriptedMetadata({FIRST: 1}, broker)
        first = cluster.connection(cluster.leader(FIRST).node_id)
        first.close()

        assert cluster.connection(1) is not first
        assert cluster.connection(1).is_open


def test_without_any_broker_the_error_is_raised_after_the_deadline_and_stop_ends_the_wait_at_once() -> None:
    with Cluster(options("127.0.0.1:1", retry_deadline_ms=100)) as cluster:
        failures = cluster.look_up([FIRST])
        assert isinstance(failures[TOPIC], BrokerUnavailableError)
        with pytest.raises(BrokerUnavailableError):
            cluster.leader(FIRST)
        with pytest.raises(BrokerUnavailableError):
            cluster.node_ids()
    stop = threading.Event()
    stop.set()
    with Cluster(options("127.0.0.1:1"), stop=stop) as cluster, pytest.raises(InterruptedRunError):
        cluster.leader(FIRST)


def test_bootstrap_servers_are_host_and_port() -> None:
    assert [BrokerAddress("a.b", 1), BrokerAddress("::1", 9092)] == bootstrap_addresses(["a.b:1", " [::1]:9092 "])
    for wrong in ("host", "host:", ":9092", "host:0", "host:65536", "host:x"):
        with pytest.raises(ConfigError, match=wrong):
            bootstrap_addresses(["good:1", wrong])
