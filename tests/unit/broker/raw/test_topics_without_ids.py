"""Old clusters give all topics the same empty id. Nothing is read from or written to such a cluster."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from kafka.protocol.metadata import MetadataRequest, MetadataResponse

from tasks.broker.kafka_access import KafkaAccess
from tasks.broker.messages.api_keys import ApiKey
from tasks.broker.messages.topic_ids import ZERO_UUID, topic_id_text
from tasks.broker.raw.cluster import Cluster
from tasks.broker.raw.fetch import Fetcher
from tasks.broker.raw.offsets import list_offsets
from tasks.model.errors import UnsupportedError
from tasks.model.partition import NO_TOPIC_ID, Partition
from tests.unit.broker.scripted_broker import ReceivedRequest, ScriptedBroker, options

SETTING = r"Raise `inter\.broker\.protocol\.version` of all brokers to 2\.8 or newer"


def test_the_constant_is_what_a_broker_answers() -> None:
    assert topic_id_text(ZERO_UUID) == NO_TOPIC_ID


def without_ids(broker: ScriptedBroker, *names: str) -> None:
    """Let the broker answer as one whose inter-broker protocol is older than 2.8: topics have names and no ids."""

    def answer(received: ReceivedRequest) -> Any:
        topic = MetadataResponse.MetadataResponseTopic
        part = topic.MetadataResponsePartition(error_code=0, partition_index=0, leader_id=1, leader_epoch=0)
        requested = received.decoded(MetadataRequest).topics
        return MetadataResponse(
            throttle_time_ms=0,
            brokers=[MetadataResponse.MetadataResponseBroker(node_id=1, host="127.0.0.1", port=broker.port)],
            cluster_id="c",
            controller_id=1,
            topics=[
                topic(error_code=0, name=one.name, topic_id=ZERO_UUID, partitions=[part])
                if one.name in names
                else topic(error_code=3, name=one.name, topic_id=ZERO_UUID, partitions=[])
                for one in requested
            ],
        )

    broker.answers[ApiKey.METADATA] = answer


def test_the_first_contact_names_the_setting() -> None:
    with ScriptedBroker() as broker:
        without_ids(broker, "__consumer_offsets")
        with pytest.raises(UnsupportedError, match=f"topic __consumer_offsets no topic id.*{SETTING}"):
            KafkaAccess(options(broker.address)).check_reachable(threading.Event(), is_writing=False)


def test_a_cluster_without_the_topic_of_positions_is_reachable() -> None:
    with ScriptedBroker() as broker:
        without_ids(broker)
        KafkaAccess(options(broker.address)).check_reachable(threading.Event(), is_writing=False)


def test_nothing_is_looked_up_or_fetched_of_a_topic_without_id() -> None:
    orders = Partition("orders", NO_TOPIC_ID, 0)
    with ScriptedBroker() as broker, Cluster(options(broker.address)) as cluster:
        without_ids(broker, "orders", "invoices")
        fetcher = Fetcher(cluster, stop=threading.Event())
        fetcher.send(orders, 0, None)
        for operation in (
            lambda: cluster.leader(orders),
            lambda: list_offsets(cluster, [orders], "latest"),
            fetcher.receive,
        ):
            with pytest.raises(UnsupportedError, match=f"topic orders no topic id.*{SETTING}"):
                operation()
        assert [] == broker.requests(ApiKey.FETCH)
        assert [] == broker.requests(ApiKey.LIST_OFFSETS)
