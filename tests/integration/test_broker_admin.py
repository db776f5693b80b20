"""The administrative side of `broker` with a real Kafka."""

from __future__ import annotations

import socket
import threading
import uuid
from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AclBinding as ClientAcl  # type: ignore[attr-defined]
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from tasks.broker.admin.acls import NO_AUTHORIZER, read_acls
from tasks.broker.admin.admin import Admin
from tasks.broker.admin.groups import describe_groups, list_groups
from tasks.broker.admin.positions import commit_offsets, committed_offsets
from tasks.broker.admin_values import DYNAMIC_TOPIC_CONFIG, AclBinding, CommittedOffset, NewTopicSpec
from tasks.broker.error_codes import ErrorCode
from tasks.broker.raw.connection import ConnectionOptions
from tasks.model.errors import (
    AccessError,
    BrokerError,
    BrokerUnavailableError,
    ConfigError,
    KafkaBackupError,
    OffsetOutOfRangeError,
    TopicGoneError,
)
from tests.conftest import KAFKA_VERSION
from tests.support import positions, producing, reading
from tests.support.kafka import KafkaCluster
from tests.support.producing import OutRecord

pytestmark = pytest.mark.kafka
needs_4 = pytest.mark.skipif(KAFKA_VERSION.startswith("3."), reason="Kafka 3.9 has no KIP-848 and no share groups")


@pytest.fixture
def admin(kafka: KafkaCluster) -> Iterator[Admin]:
    with Admin(kafka.connection) as admin:
        yield admin


def _spec(name: str, partitions: int = 1, replication_factor: int = 1, **configs: str) -> NewTopicSpec:
    named = {key.replace("_", "."): value for key, value in configs.items()}
    return NewTopicSpec(name=name, partitions=partitions, replication_factor=replication_factor, configs=named)


def _own_settings(admin: Admin, topic: str) -> dict[str, str | None]:
    entries = admin.topic_configs([topic])[topic]
    return {entry.name: entry.value for entry in entries if entry.source == DYNAMIC_TOPIC_CONFIG}


def test_settings_have_their_sources_and_changes_are_visible_at_once(admin: Admin, topic_name: str) -> None:
    created = admin.create_topics([_spec(topic_name, retention_ms="1000", cleanup_policy="compact,delete")])
    assert created == {topic_name: None}
    assert _own_settings(admin, topic_name) == {"retention.ms": "1000", "cleanup.policy": "compact,delete"}

    to_set = {"retention.ms": "9223372036854775807", "cleanup.policy": " delete, compact", "preallocate": "TRUE"}
    admin.alter_topic_configs(topic_name, to_set=to_set, to_delete=())
    admin.alter_topic_configs(topic_name, to_set={"segment.ms": "5000"}, to_delete=["cleanup.policy", "preallocate"])

    assert _own_settings(admin, topic_name) == {"retention.ms": "9223372036854775807", "segment.ms": "5000"}
    inherited = {entry.name: entry for entry in admin.topic_configs([topic_name])[topic_name]}["max.message.bytes"]
    assert inherited.source != DYNAMIC_TOPIC_CONFIG
    assert inherited.value is not None


def test_one_rejected_setting_changes_no_setting(admin: Admin, topic_name: str) -> None:
    admin.create_topics([_spec(topic_name)])

    with pytest.raises(ConfigError, match=rf"{topic_name}.*nonsense"):
        admin.alter_topic_configs(topic_name, to_set={"segment.ms": "5000", "cleanup.policy": "nonsense"}, to_delete=())

    assert _own_settings(admin, topic_name) == {}


def test_topics_are_described_with_ids_and_leaders_and_unknown_ones_are_absent(admin: Admin, topic_name: str) -> None:
    other = f"{topic_name}-b"
    admin.create_topics([_spec(topic_name, partitions=3), _spec(other)])

    first, second = admin.describe_topics([other, topic_name, "no-such-topic"])

    assert (first.name, second.name) == (topic_name, other)
    assert [(one.partition, one.leader) for one in first.partitions] == [(0, 1), (1, 1), (2, 1)]
    assert (first.partitions[0].replicas, first.partitions[0].isr) == ((1,), (1,))
    assert len(first.topic_id) == 22
    assert first in admin.describe_topics()
    with pytest.raises(TopicGoneError, match="no-such-topic"):
        admin.topic_configs([topic_name, "no-such-topic"])


def test_settings_of_a_topic_that_a_broker_does_not_know_yet_are_requested_again(admin: Admin, topic_name: str) -> None:
    creation = threading.Timer(0.5, lambda: admin.create_topics([_spec(topic_name, segment_ms="4000")]))
    creation.start()
    assert "4000" == _own_settings(admin, topic_name)["segment.ms"]
    creation.join()


def test_a_re_created_topic_has_another_id(admin: Admin, topic_name: str) -> None:
    admin.create_topics([_spec(topic_name)])
    (before,) = admin.describe_topics([topic_name])

    assert admin.delete_topics([topic_name]) == {topic_name: None}
    assert admin.describe_topics([topic_name]) == []
    admin.create_topics([_spec(topic_name)])

    (after,) = admin.describe_topics([topic_name])
    assert before.topic_id != after.topic_id
    missing = admin.delete_topics(["no-such-topic"])["no-such-topic"]
    assert isinstance(missing, BrokerError)


def test_a_validated_creation_returns_the_error_of_each_topic_and_creates_none(admin: Admin, topic_name: str) -> None:
    admin.create_topics([_spec(topic_name)])
    good, policy, setting, replicas, name = (f"{topic_name}-{n}" for n in range(5))
    specs = [
        _spec(topic_name),
        _spec(good, segment_ms="5000"),
        _spec(policy, cleanup_policy="nonsense"),
        _spec(setting, no_such_setting="1"),
        _spec(replicas, replication_factor=3),
        _spec(f"{name} with space"),
    ]

    answers = admin.create_topics(specs, validate_only=True)

    assert answers[good] is None
    existing = answers[topic_name]
    assert isinstance(existing, BrokerError)
    assert existing.code == ErrorCode.TOPIC_ALREADY_EXISTS
    for topic, reason in (
        (policy, "nonsense"),
        (setting, "no.such.setting"),
        (replicas, "3"),
        (f"{name} with space", ""),
    ):
        assert isinstance(answers[topic], ConfigError)
        assert topic in str(answers[topic])
        assert reason in str(answers[topic])
    assert [topic_name] == [topic.name for topic in admin.describe_topics([spec.name for spec in specs[:-1]])]


def test_deleted_records_move_the_log_start_and_an_offset_beyond_the_end_is_an_error(
    admin: Admin, kafka: KafkaCluster, topic_name: str
) -> None:
    admin.create_topics([_spec(topic_name, partitions=2)])
    producing.produce(kafka.bootstrap, topic_name, [OutRecord(b"k", b"v")] * 10, partition=1)

    assert admin.delete_records({(topic_name, 0): 0, (topic_name, 1): 4}) == {(topic_name, 0): 0, (topic_name, 1): 4}

    assert [record.offset for record in reading.read_all(kafka.bootstrap, topic_name, 1)] == [4, 5, 6, 7, 8, 9]
    with pytest.raises(OffsetOutOfRangeError, match=f"{topic_name}-1"):
        admin.delete_records({(topic_name, 1): 11})


def test_the_cluster_is_described(admin: Admin, kafka: KafkaCluster) -> None:
    assert len(admin.cluster_id()) == 22
    assert admin.node_count() == 1


def test_an_active_classic_group_is_listed_and_described_with_its_members(
    admin: Admin, kafka: KafkaCluster, topic_name: str
) -> None:
    _check_active_group(admin, kafka, topic_name, "classic")


@needs_4
def test_an_active_kip_848_group_is_listed_and_described_with_its_members(
    admin: Admin, kafka: KafkaCluster, topic_name: str
) -> None:
    _check_active_group(admin, kafka, topic_name, "consumer")


def _check_active_group(admin: Admin, kafka: KafkaCluster, group: str, protocol: str) -> None:
    """The group is listed with its type and member count. Commits to it fail, also on another topic."""
    other = f"{group}-other"
    admin.create_topics([_spec(group), _spec(other)])
    with positions.group_member(kafka.bootstrap, group, group, protocol=protocol):
        (listing,) = [one for one in list_groups(admin) if one.group_id == group]
        (described,) = describe_groups(admin, [group])
        offsets = [CommittedOffset(topic=topic, partition=0, offset=1) for topic in (group, other)]
        refused = commit_offsets(admin, group, offsets)

    assert (listing.group_type, listing.protocol_type) == (protocol, "consumer")
    assert (described.group_type, described.members) == (protocol, 1)
    assert set(refused) == {(group, 0), (other, 0)}
    for error in refused.values():
        assert isinstance(error, BrokerError)
        assert error.code == ErrorCode.UNKNOWN_MEMBER_ID
        assert group in str(error)
    assert committed_offsets(admin, [group]) == {group: []}


@needs_4
def test_a_share_group_is_listed_with_its_type(admin: Admin, kafka: KafkaCluster, topic_name: str) -> None:
    admin.create_topics([_spec(topic_name)])
    with positions.share_group_member(kafka.bootstrap, topic_name, topic_name):
        (listing,) = [one for one in list_groups(admin) if one.group_id == topic_name]

    assert (listing.group_type, listing.protocol_type) == ("share", "share")


def test_positions_keep_offset_metadata_and_leader_epoch(admin: Admin, topic_name: str) -> None:
    admin.create_topics([_spec(topic_name, partitions=3)])
    first, second = f"{topic_name}-1", f"{topic_name}-2"
    written = [
        CommittedOffset(topic=topic_name, partition=0, offset=0, metadata="", leader_epoch=0),
        CommittedOffset(topic=topic_name, partition=1, offset=7, metadata="né à Paris", leader_epoch=None),
        CommittedOffset(topic=topic_name, partition=2, offset=2**40, metadata="m" * 4000, leader_epoch=3),
    ]
    none_failed = {(topic_name, partition): None for partition in range(3)}
    assert commit_offsets(admin, first, written) == none_failed
    assert commit_offsets(admin, second, written[:1]) == {(topic_name, 0): None}

    found = committed_offsets(admin, [first, second, "no-such-group", ""])

    assert _sorted(found[first]) == written
    assert _sorted(found[second]) == written[:1]
    assert found["no-such-group"] == []
    assert isinstance(found[""], list), "the empty group is one like any other"
    assert [(one.state, one.members) for one in describe_groups(admin, [first, "no-such-group"])] == [
        ("Empty", 0),
        ("Dead", 0),
    ]


def _sorted(answer: list[CommittedOffset] | KafkaBackupError) -> list[CommittedOffset]:
    assert not isinstance(answer, KafkaBackupError)
    return sorted(answer, key=lambda one: one.partition)


def test_a_failed_position_has_its_error_although_others_were_written(admin: Admin, topic_name: str) -> None:
    admin.create_topics([_spec(topic_name, partitions=3)])
    offsets = [
        CommittedOffset(topic=topic_name, partition=0, offset=5),
        CommittedOffset(topic=topic_name, partition=1, offset=5, metadata="m" * 5000),
        CommittedOffset(topic=topic_name, partition=2, offset=-1),
        CommittedOffset(topic="no-such-topic", partition=0, offset=5),
    ]

    answers = commit_offsets(admin, topic_name, offsets)

    assert answers[topic_name, 0] is None
    rejected = [answers[key] for key in ((topic_name, 1), ("no-such-topic", 0))]
    assert [getattr(error, "code", None) for error in rejected] == [
        ErrorCode.OFFSET_METADATA_TOO_LARGE,
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    ]
    assert isinstance(answers[topic_name, 2], ConfigError)
    assert _sorted(committed_offsets(admin, [topic_name])[topic_name]) == offsets[:1]


def test_positions_that_a_transaction_is_committing_are_read_after_its_end(
    admin: Admin, kafka: KafkaCluster, topic_name: str
) -> None:
    admin.create_topics([_spec(topic_name)])
    positions.commit_positions(kafka.bootstrap, topic_name, topic_name, {0: 1})
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "transactional.id": topic_name, "log_level": 0})
    member = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": topic_name, "log_level": 0})
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.send_offsets_to_transaction([TopicPartition(topic_name, 0, 9)], member.consumer_group_metadata(), 30)

    with Admin(kafka.connection, deadline_ms=300) as hasty:
        pending = committed_offsets(hasty, [topic_name, "no-such-group"])
    producer.commit_transaction(30)
    member.close()

    assert [(1, True)] == [(one.offset, one.is_unsettled) for one in _sorted(pending[topic_name])]
    assert pending["no-such-group"] == []
    assert [one.offset for one in _sorted(committed_offsets(admin, [topic_name])[topic_name])] == [9]


def test_without_an_authorizer_there_are_no_acls_and_a_reason(admin: Admin) -> None:
    assert read_acls(admin) == ((), NO_AUTHORIZER)


def test_the_error_for_a_cluster_that_does_not_answer_contains_the_cause() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"
        with (
            Admin(ConnectionOptions(bootstrap_servers=(address,), request_timeout_ms=500), deadline_ms=100) as admin,
            pytest.raises(BrokerUnavailableError, match=rf"describe the cluster at {address}.*refused"),
        ):
            admin.cluster_id()


AUTHORIZED = {
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "allow.everyone.if.no.acl.found": "true",
}


def _rule(kind: ResourceType, name: str, operation: AclOperation, user: str, *, is_allowed: bool) -> ClientAcl:
    permission = AclPermissionType.ALLOW if is_allowed else AclPermissionType.DENY
    pattern = ResourcePatternType.PREFIXED if kind == ResourceType.GROUP else ResourcePatternType.LITERAL
    return ClientAcl(kind, name, pattern, user, "*", operation, permission)


def _forbid(cluster: KafkaCluster, *rules: ClientAcl) -> None:
    client = AdminClient({"bootstrap.servers": cluster.bootstrap, "log_level": 0})
    for future in client.create_acls(list(rules)).values():
        future.result(30)


def test_acls_are_read_missing_permissions_are_named_and_a_restarted_broker_is_awaited() -> None:
    """One after the other on a cluster of their own: a broker is killed, and the last rule denies reading the rules."""
    secret, group = "secret", f"g-{uuid.uuid4().hex[:8]}"
    with KafkaCluster(KAFKA_VERSION, overrides=AUTHORIZED) as cluster, Admin(cluster.connection) as admin:
        assert read_acls(admin) == ((), None)
        admin.create_topics([_spec(secret), _spec("open")])

        cluster.kill()
        restart = threading.Thread(target=cluster.start)
        restart.start()
        assert [topic.name for topic in admin.describe_topics()] == ["open", "secret"]
        restart.join()

        _forbid(
            cluster,
            _rule(ResourceType.TOPIC, secret, AclOperation.READ, "User:alice", is_allowed=True),
            _rule(ResourceType.GROUP, "g-", AclOperation.ALL, "User:alice", is_allowed=True),
        )
        _check_forbidden(admin, secret, group)

        _forbid(
            cluster,
            _rule(ResourceType.BROKER, "kafka-cluster", AclOperation.DESCRIBE, "User:ANONYMOUS", is_allowed=False),
        )
        admin.await_that(lambda: read_acls(admin)[1] is not None, "the rule does not show")
        found, reason = read_acls(admin)
        assert found == ()
        assert "Not allowed to describe the ACLs" in str(reason)


def _check_forbidden(admin: Admin, topic: str, group: str) -> None:
    admin.await_that(lambda: len(read_acls(admin)[0]) == 2, "the rules do not show")
    rules = {"principal": "User:alice", "host": "*", "permission": "ALLOW"}
    assert read_acls(admin)[0] == (
        AclBinding(resource_type="GROUP", resource_name="g-", pattern_type="PREFIXED", operation="ALL", **rules),
        AclBinding(resource_type="TOPIC", resource_name=topic, pattern_type="LITERAL", operation="READ", **rules),
    )
    assert [one.name for one in admin.describe_topics()] == ["open"]
    with pytest.raises(AccessError, match=f"Not allowed to describe topic {topic}"):
        admin.describe_topics([topic])
    with pytest.raises(AccessError, match=f"topic {topic}"):
        admin.topic_configs([topic])
    answer = committed_offsets(admin, [group])[group]
    assert isinstance(answer, AccessError)
    assert group in str(answer)
    refused = commit_offsets(admin, "allowed", [CommittedOffset(topic=topic, partition=0, offset=0)])
    assert isinstance(refused[topic, 0], AccessError)
