"""Every administrative request survives a lost connection, a lost answer and a silent broker: it is sent again.

An assertion of librdkafka ended the whole process in such cases.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from tasks.broker.admin_values import CommittedOffset, ConfigChange, NewTopicSpec
from tasks.broker.kafka_access import KafkaAdmin
from tasks.broker.messages.api_keys import ApiKey
from tasks.broker.translation import Action, Permission
from tasks.model.errors import BrokerUnavailableError
from tests.support.kafka import KafkaCluster
from tests.support.kafka_proxy import KAFKA_FAULTS, KafkaFault, KafkaProxy
from tests.support.producing import OutRecord, produce

pytestmark = pytest.mark.kafka

ACTION = Action("do", "something", (Permission("Describe", "Cluster"),))


def _position(topic: str, offset: int) -> CommittedOffset:
    return CommittedOffset(topic=topic, partition=0, offset=offset, metadata="m")


def _spec(name: str) -> NewTopicSpec:
    return NewTopicSpec(name=name, partitions=1, replication_factor=1, configs={"flush.ms": "7"})


CALLS: dict[str, tuple[ApiKey, Callable[[KafkaAdmin, str], object], Callable[[str], object]]] = {
    "the cluster": (ApiKey.DESCRIBE_CLUSTER, lambda admin, topic: admin.node_count(), lambda topic: 1),
    "topics by name": (
        ApiKey.METADATA,
        lambda admin, topic: [one.name for one in admin.describe_topics([topic])],
        lambda topic: [topic],
    ),
    "all topics": (
        ApiKey.METADATA,
        lambda admin, topic: topic in [one.name for one in admin.describe_topics()],
        lambda topic: True,
    ),
    "settings": (
        ApiKey.DESCRIBE_CONFIGS,
        lambda admin, topic: [*admin.topic_configs([topic])],
        lambda topic: [topic],
    ),
    "defaults": (
        ApiKey.DESCRIBE_CONFIGS,
        lambda admin, topic: admin.topic_defaults()["cleanup.policy"],
        lambda topic: "delete",
    ),
    "creation": (
        ApiKey.CREATE_TOPICS,
        lambda admin, topic: admin.create_topics([_spec(f"{topic}-new")]),
        lambda topic: {f"{topic}-new": None},
    ),
    "deletion": (
        ApiKey.DELETE_TOPICS,
        lambda admin, topic: admin.delete_topics([topic]),
        lambda topic: {topic: None},
    ),
    "change": (
        ApiKey.INCREMENTAL_ALTER_CONFIGS,
        lambda admin, topic: admin.alter_topics({topic: ConfigChange(to_set={"flush.ms": "9"})}),
        lambda topic: {topic: None},
    ),
    "deletion of records": (
        ApiKey.DELETE_RECORDS,
        lambda admin, topic: admin.delete_records({(topic, 0): 2}),
        lambda topic: {(topic, 0): 2},
    ),
    "list of groups": (
        ApiKey.LIST_GROUPS,
        lambda admin, topic: topic in [one.group_id for one in admin.list_groups()],
        lambda topic: True,
    ),
    "groups": (
        ApiKey.DESCRIBE_GROUPS,
        lambda admin, topic: [one.state for one in admin.describe_groups([topic])],
        lambda topic: ["Empty"],
    ),
    "coordinators": (
        ApiKey.FIND_COORDINATOR,
        lambda admin, topic: [one.state for one in admin.describe_groups([topic])],
        lambda topic: ["Empty"],
    ),
    "positions": (
        ApiKey.OFFSET_FETCH,
        lambda admin, topic: admin.committed_offsets([topic]),
        lambda topic: {topic: [replace(_position(topic, 1), leader_epoch=None)]},
    ),
    "commit": (
        ApiKey.OFFSET_COMMIT,
        lambda admin, topic: admin.commit_offsets(topic, [_position(topic, 2)]),
        lambda topic: {(topic, 0): None},
    ),
    "rules": (ApiKey.DESCRIBE_ACLS, lambda admin, topic: admin.read_acls()[0], lambda topic: ()),
    "rights on the cluster": (
        ApiKey.DESCRIBE_CLUSTER,
        lambda admin, topic: admin.require_on_cluster(ACTION),
        lambda topic: None,
    ),
    "rights on topics": (
        ApiKey.METADATA,
        lambda admin, topic: admin.require_on_topics({topic: ("Read",)}, ACTION),
        lambda topic: None,
    ),
    "rights on groups": (
        ApiKey.DESCRIBE_GROUPS,
        lambda admin, topic: admin.require_on_groups({topic: ("Read",)}, ACTION),
        lambda topic: None,
    ),
}
"""What is called, the request that is struck, and what the call returns."""


@pytest.fixture
def topic(kafka: KafkaCluster, topic_name: str) -> str:
    """A topic with three records, and a group of its name with a position on it."""
    with KafkaAdmin(kafka.connection) as admin:
        assert {topic_name: None} == admin.create_topics([_spec(topic_name)])
        assert {(topic_name, 0): None} == admin.commit_offsets(topic_name, [_position(topic_name, 1)])
    produce(kafka.bootstrap, topic_name, [OutRecord(b"k", b"v")] * 3)
    return topic_name


@pytest.fixture
def proxy(kafka: KafkaCluster) -> Iterator[KafkaProxy]:
    with KafkaProxy(int(kafka.bootstrap.rpartition(":")[2])) as proxy:
        yield proxy


def _admin(kafka: KafkaCluster, proxy: KafkaProxy, *, timeout_ms: int, deadline_ms: int) -> KafkaAdmin:
    connection = replace(
        kafka.connection, bootstrap_servers=(f"127.0.0.1:{proxy.port}",), request_timeout_ms=timeout_ms
    )
    return KafkaAdmin(connection, deadline_ms=deadline_ms)


@pytest.mark.parametrize("fault", KAFKA_FAULTS)
@pytest.mark.parametrize("call", CALLS)
def test_a_struck_request_is_sent_again(
    kafka: KafkaCluster, proxy: KafkaProxy, topic: str, call: str, fault: KafkaFault
) -> None:
    key, run, expected = CALLS[call]
    with _admin(kafka, proxy, timeout_ms=1_500 if fault == "silent" else 20_000, deadline_ms=60_000) as admin:
        admin.cluster_id()  # a connection that works, so that the fault strikes the request itself
        proxy.arm(key, fault, times=2)
        found = run(admin, topic)

    assert expected(topic) == found
    assert [(key, fault)] * 2 == proxy.struck


@pytest.mark.parametrize("fault", KAFKA_FAULTS)
@pytest.mark.parametrize("call", ["topics by name", "settings", "list of groups", "defaults", "the cluster"])
def test_past_the_deadline_a_struck_request_is_a_sentence_with_its_cause(
    kafka: KafkaCluster, proxy: KafkaProxy, topic: str, call: str, fault: KafkaFault
) -> None:
    key, run, _ = CALLS[call]
    with _admin(kafka, proxy, timeout_ms=300, deadline_ms=700) as admin:
        admin.topic_defaults()
        proxy.arm(key, fault, times=1_000)
        with pytest.raises(BrokerUnavailableError, match=r"^Cannot .*(closed the connection|timed out)"):
            run(admin, topic)


@pytest.mark.parametrize("call", ["groups", "positions", "commit", "creation"])
def test_past_the_deadline_each_key_has_the_sentence(
    kafka: KafkaCluster, proxy: KafkaProxy, topic: str, call: str
) -> None:
    key, run, _ = CALLS[call]
    with _admin(kafka, proxy, timeout_ms=5_000, deadline_ms=700) as admin:
        admin.committed_offsets([topic])
        proxy.arm(key, "cut-before", times=1_000)
        try:
            found = run(admin, topic)
        except BrokerUnavailableError as error:
            found = {"": error}

    assert isinstance(found, dict)
    for answer in found.values():
        assert isinstance(answer, BrokerUnavailableError)
        assert str(answer).startswith("Cannot ")
        assert "closed the connection" in str(answer)


def test_a_broker_that_is_down_and_comes_back_is_waited_for_by_every_call() -> None:
    with KafkaCluster("4.3.1") as cluster, KafkaAdmin(cluster.connection) as admin:
        admin.create_topics([_spec("orders")])
        admin.commit_offsets("orders", [_position("orders", 1)])
        produce(cluster.bootstrap, "orders", [OutRecord(b"k", b"v")] * 3)
        order = [name for name in CALLS if name not in ("deletion", "positions")] + ["deletion"]
        cluster.kill()
        found: dict[str, object] = {}
        threads = [
            threading.Thread(target=lambda name=name: found.update({name: CALLS[name][1](admin, "orders")}))
            for name in order[:-1]
        ]
        for thread in threads:
            thread.start()
        cluster.start()
        for thread in threads:
            thread.join(120)

    assert {name: CALLS[name][2]("orders") for name in order[:-1]} == found
