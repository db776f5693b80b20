"""The promises of the ports about denied operations, and about leader epochs after a restart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tasks.broker.admin_values import AclBinding, ClientQuota, CommittedOffset, NewTopicSpec
from tasks.broker.translation import Action, Permission
from tasks.model.errors import AccessError, BrokerError, OffsetOutOfRangeError
from tests.contract.kafka_batches import identity_of, outgoing, send, stamped
from tests.contract.kafka_logs import admin_of, batches, create, fetch, numbered, offsets, read_to, reader_of
from tests.contract.kafkas import GuardedKafkaBed, KafkaBed
from tests.support.batch_factory import make_batch, make_records

CLUSTER = "kafka-cluster"
ATTEMPT = Action("do", "something", (Permission("Describe", "Cluster"),))


def test_without_an_authorizer_there_are_no_acls_and_a_reason(bed: KafkaBed, topic_name: str) -> None:
    create(bed, topic_name)
    with admin_of(bed) as admin:
        assert ((), "the cluster has no authorizer, so it keeps no ACLs") == admin.read_acls()
        admin.require_on_cluster(ATTEMPT)
        admin.require_on_topics({topic_name: ("Read", "Write", "Delete"), "never": ("Read",)}, ATTEMPT)
        admin.require_on_groups({"never": ("Read", "Describe")}, ATTEMPT)


def test_rules_are_read_in_the_words_of_kafka_acls(guarded_bed: GuardedKafkaBed, topic_name: str) -> None:
    with admin_of(guarded_bed) as admin:
        assert ((), None) == admin.read_acls()
        with guarded_bed.deny("Topic", topic_name, "AlterConfigs"):
            rules, reason = admin.read_acls()

    assert None is reason
    assert [
        ("TOPIC", topic_name, "LITERAL", "User:ANONYMOUS", "*", "ALL", "ALLOW"),
        ("TOPIC", topic_name, "LITERAL", "User:ANONYMOUS", "*", "ALTER_CONFIGS", "DENY"),
    ] == [
        (
            rule.resource_type,
            rule.resource_name,
            rule.pattern_type,
            rule.principal,
            rule.host,
            rule.operation,
            rule.permission,
        )
        for rule in rules
    ]


def _read_acl(topic: str, user: str, **words: str) -> AclBinding:
    found = AclBinding(
        resource_type="TOPIC",
        resource_name=topic,
        pattern_type="LITERAL",
        principal=f"User:{user}",
        host="*",
        operation="READ",
        permission="ALLOW",
    )
    return replace(found, **words)


def test_acls_are_added_once_and_shown_and_an_unknown_word_is_that_acls_error(
    guarded_bed: GuardedKafkaBed, topic_name: str
) -> None:
    new = [_read_acl(topic_name, user) for user in ("alice", "bob")]
    odd = _read_acl(topic_name, "alice", operation="JUGGLE")
    with admin_of(guarded_bed) as admin, guarded_bed.deny("Topic", topic_name, "Delete"):
        before = set(admin.read_acls()[0])
        answers = admin.create_acls([*new, odd])
        assert [None, None] == [answers[one] for one in new]
        assert "JUGGLE" in str(answers[odd])
        assert {new[0]: None} == admin.create_acls([new[0], new[0]])
        assert {*before, *new} == set(admin.read_acls()[0])


def test_without_an_authorizer_no_acl_is_added(bed: KafkaBed, topic_name: str) -> None:
    acl = _read_acl(topic_name, "alice")
    with admin_of(bed) as admin:
        disabled = admin.create_acls([acl])[acl]

    assert isinstance(disabled, BrokerError)
    assert 54 == disabled.code


def test_quotas_are_set_value_by_value_and_read_in_order(bed: KafkaBed, topic_name: str) -> None:
    user, default = (("user", topic_name),), (("client-id", None), ("user", topic_name))
    with admin_of(bed) as admin:
        first = ClientQuota(entity=user, values={"producer_byte_rate": 1000.0, "request_percentage": 12.5})
        assert {user: None, default: None} == admin.set_quotas(
            [first, ClientQuota(entity=default, values={"consumer_byte_rate": 2.0**40})]
        )
        assert {user: None} == admin.set_quotas([ClientQuota(entity=user, values={"producer_byte_rate": 2000.0})])
        found, reason = admin.read_quotas()
        assert ((), None) == admin.read_users()

    assert None is reason
    assert [
        (default, {"consumer_byte_rate": 2.0**40}),
        (user, {"producer_byte_rate": 2000.0, "request_percentage": 12.5}),
    ] == [(quota.entity, quota.values) for quota in found if quota.entity[-1] == ("user", topic_name)]


def test_quotas_and_users_without_permission_are_a_reason(guarded_bed: GuardedKafkaBed, topic_name: str) -> None:
    quota = ClientQuota(entity=(("user", topic_name),), values={"producer_byte_rate": 1000.0})
    denied_operations = ("DescribeConfigs", "AlterConfigs", "Describe")
    with admin_of(guarded_bed) as admin, guarded_bed.deny("Cluster", CLUSTER, *denied_operations):
        quotas, why_no_quotas = admin.read_quotas()
        users, why_no_users = admin.read_users()
        [denied] = admin.set_quotas([quota]).values()

    assert ((), ()) == (quotas, users)
    assert "DescribeConfigs on Cluster" in str(why_no_quotas)
    assert "Describe on Cluster" in str(why_no_users)
    assert isinstance(denied, AccessError)
    assert "AlterConfigs on Cluster" in str(denied)


def test_missing_permissions_on_topics_and_groups_are_named(guarded_bed: GuardedKafkaBed, topic_name: str) -> None:
    create(guarded_bed, topic_name)
    group = f"group-{topic_name}"
    with (
        admin_of(guarded_bed) as admin,
        guarded_bed.deny("Topic", topic_name, "Read", "Delete"),
        guarded_bed.deny("Group", group, "Read"),
        guarded_bed.deny("Topic", f"{topic_name}-hidden", "Describe"),
    ):
        admin.require_on_topics({topic_name: ("Write", "Describe"), f"{topic_name}-never": ("Read",)}, ATTEMPT)
        with pytest.raises(AccessError, match=rf"do something.*Read on Topic {topic_name}, Delete on Topic"):
            admin.require_on_topics({topic_name: ("Read", "Write", "Delete")}, ATTEMPT)
        with pytest.raises(AccessError, match=f"Read on Topic {topic_name}-hidden"):
            admin.require_on_topics({f"{topic_name}-hidden": ("Read",)}, ATTEMPT)
        admin.require_on_groups({group: ("Describe",)}, ATTEMPT)
        with pytest.raises(AccessError, match=f"Read on Group {group}"):
            admin.require_on_groups({group: ("Read",), f"{group}-other": ("Read",)}, ATTEMPT)


def test_a_missing_permission_on_the_cluster_is_named_and_estimates_do_without_it(
    guarded_bed: GuardedKafkaBed, topic_name: str
) -> None:
    [partition] = create(guarded_bed, topic_name)
    group = f"group-{topic_name}"
    with admin_of(guarded_bed) as admin, reader_of(guarded_bed) as reader:
        admin.commit_offsets(group, [CommittedOffset(topic=topic_name, partition=0, offset=1)])
        admin.require_on_cluster(ATTEMPT)
        with (
            guarded_bed.deny("Group", group, "Describe"),
            guarded_bed.deny("Cluster", CLUSTER, "Describe", "DescribeConfigs"),
        ):
            with pytest.raises(AccessError, match=r"do something.*Describe on Cluster"):
                admin.require_on_cluster(ATTEMPT)
            rules, reason = admin.read_acls()
            assert ((), True) == (rules, "Describe on Cluster" in str(reason))
            assert {} == admin.topic_defaults()
            assert None is reader.partition_bytes([partition])
            assert group not in {one.group_id for one in admin.list_groups()}
            assert 1 == admin.node_count()


def test_a_topic_that_one_may_not_describe_is_in_no_list_and_refused_by_name(
    guarded_bed: GuardedKafkaBed, topic_name: str
) -> None:
    [partition] = create(guarded_bed, topic_name)
    guarded_bed.produce(topic_name, numbered(1))
    group = f"group-{topic_name}"
    with admin_of(guarded_bed) as admin, reader_of(guarded_bed) as reader:
        admin.commit_offsets(group, [CommittedOffset(topic=topic_name, partition=0, offset=1)])
        with guarded_bed.deny("Topic", topic_name, "Describe"):
            assert topic_name not in {topic.name for topic in admin.describe_topics()}
            with pytest.raises(AccessError, match=topic_name):
                admin.describe_topics([topic_name])
            assert {group: []} == admin.committed_offsets([group]), "its positions are left out"
            failure = reader.list_offsets([partition], "latest").failures[partition]
            assert isinstance(failure, AccessError)
            with pytest.raises(AccessError, match=f"Describe on Topic {topic_name}"):
                fetch(guarded_bed, partition, 0)


def test_each_denied_operation_is_refused_by_what_needs_it(guarded_bed: GuardedKafkaBed, topic_name: str) -> None:
    [partition] = create(guarded_bed, topic_name)
    guarded_bed.produce(topic_name, numbered(1))
    batch = outgoing(identity_of(guarded_bed), 0, at=1)
    with admin_of(guarded_bed) as admin:
        needs: dict[str, Callable[[], object]] = {
            "Read": lambda: fetch(guarded_bed, partition, 0),
            "Write": lambda: send(guarded_bed, partition, batch),
            "DescribeConfigs": lambda: admin.topic_configs([topic_name]),
            "AlterConfigs": lambda: admin.alter_topic_configs(topic_name, {"retention.ms": "5"}, ()),
            "Delete": lambda: admin.delete_records({(topic_name, 0): 0}),
        }
        for operation, call in needs.items():
            with (
                guarded_bed.deny("Topic", topic_name, operation),
                pytest.raises(AccessError, match=f"that needs {operation} on Topic {topic_name}") as caught,
            ):
                call()
            assert 29 == caught.value.code

    assert 1 == offsets(guarded_bed, partition).latest


def test_answers_by_key_carry_what_is_denied(guarded_bed: GuardedKafkaBed, topic_name: str) -> None:
    create(guarded_bed, topic_name)
    new, group = f"{topic_name}-new", f"group-{topic_name}"
    position = CommittedOffset(topic=topic_name, partition=0, offset=1)
    spec = NewTopicSpec(name=new, partitions=1, replication_factor=1)
    with (
        admin_of(guarded_bed) as admin,
        guarded_bed.deny("Topic", new, "Create"),
        guarded_bed.deny("Topic", topic_name, "Delete", "Read"),
        guarded_bed.deny("Group", group, "Read", "Describe"),
    ):
        assert {new: None} == admin.create_topics([spec], validate_only=True), "Create on the cluster is enough"
        with guarded_bed.deny("Cluster", CLUSTER, "Create", "Delete", "IdempotentWrite"):
            created = admin.create_topics([spec], validate_only=True)[new]
            deleted = admin.delete_topics([topic_name])[topic_name]
            identity_of(guarded_bed)  # Write on any topic is enough
        committed = admin.commit_offsets(group, [position])[topic_name, 0]
        on_topic = admin.commit_offsets(f"{group}-other", [position])[topic_name, 0]
        read = admin.committed_offsets([group])[group]
        with pytest.raises(AccessError, match=f"Describe on Group {group}"):
            admin.describe_groups([group])

    answers = [created, deleted, committed, on_topic, read]
    assert [AccessError] * 5 == [type(answer) for answer in answers]
    assert [29, 29, 30, 29, 30] == [getattr(answer, "code", None) for answer in answers]


def test_a_change_that_cannot_be_looked_at_afterwards_is_refused_before_it_is_made(
    guarded_bed: GuardedKafkaBed, topic_name: str
) -> None:
    new, other = f"{topic_name}-new", f"{topic_name}-other"
    create(guarded_bed, topic_name)
    with admin_of(guarded_bed) as admin:
        with guarded_bed.deny("Topic", new, "Describe"):
            specs = [NewTopicSpec(name=name, partitions=1, replication_factor=1) for name in (new, other)]
            answers = admin.create_topics(specs)
        with (
            guarded_bed.deny("Topic", topic_name, "DescribeConfigs"),
            pytest.raises(AccessError, match="DescribeConfigs"),
        ):
            admin.alter_topic_configs(topic_name, {"retention.ms": "5"}, ())

        assert [other] == [topic.name for topic in admin.describe_topics([new, other])]
        assert [] == [entry for entry in admin.topic_configs([topic_name])[topic_name] if entry.source == 1]

    assert [new, other] == list(answers)
    assert f"Describe on Topic {new}" in str(answers[new])
    assert (AccessError, None) == (type(answers[new]), answers[other])


def test_after_a_restart_positions_of_another_lineage_diverge_and_producers_are_half_forgotten(
    guarded_bed: GuardedKafkaBed, topic_name: str
) -> None:
    bed = guarded_bed
    log, recent, old = create(bed, topic_name, 3)
    bed.produce(topic_name, numbered(10), records_per_batch=5)
    identity = identity_of(bed)
    fresh = [
        stamped(identity, make_batch(make_records(3, timestamp=bed.now_ms()), base_offset=0), at=at) for at in (0, 3, 6)
    ]
    send(bed, recent, *fresh)
    send(bed, old, *(outgoing(identity, first) for first in (0, 3, 6)))

    bed.restart()
    bed.produce(topic_name, numbered(4))

    [*_, newest] = read_to(bed, log, 14)[0]
    epoch = newest.header.leader_epoch
    assert 2 == epoch
    with reader_of(bed) as reader:
        ends = [reader.ends_of_epochs({log: one}) for one in (0, 1, epoch, epoch + 1)]
    assert [(0, 10), (0, 10), (epoch, 14), None] == [answers.ends[log] for answers in ends]
    for last_epoch, position in ((0, 12), (0, 11), (1, 12)):
        diverged = fetch(bed, log, position, last_epoch=last_epoch)
        assert ((0, 10), b"") == (diverged.diverging, diverged.records)
    for last_epoch, position in ((0, 10), (0, 3), (epoch, 12), (epoch, 5)):
        fetched = fetch(bed, log, position, last_epoch=last_epoch)
        assert None is fetched.diverging
        assert batches(fetched.records)
    with pytest.raises(OffsetOutOfRangeError):
        fetch(bed, log, 12, last_epoch=epoch + 1)

    assert [6] == send(bed, recent, fresh[2])
    with pytest.raises(BrokerError) as caught:
        send(bed, recent, fresh[1])
    assert 45 == caught.value.code
    with pytest.raises(BrokerError, match="the batch for offset 6 was stored at 9"):
        send(bed, old, outgoing(identity, 6))
