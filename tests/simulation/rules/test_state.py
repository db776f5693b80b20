"""A point compared with the cluster that it was made of, with a target, and with another point."""

from __future__ import annotations

import pytest

from tasks.broker.admin_values import AclBinding, ScramCredential, ScramUser
from tasks.engine.cluster_state.differences import WHOLE, Comparison, compare
from tasks.engine.cluster_state.live import live_source, live_target, restored_picture
from tasks.engine.cluster_state.picture import NOT_INCLUDED, ClusterPicture, Section, picture_of_point
from tasks.engine.options import BackupOptions, TopicSelection
from tasks.model.errors import AccessError
from tasks.reports.state import comparison_lines, state_document, state_lines
from tests.simulation.rules.small_world import SmallWorld, kafka

ALICE = ScramUser(name="alice", credentials=(ScramCredential(mechanism="SCRAM-SHA-256", iterations=4096),))
QUOTA = (("user", "alice"),)
ALL: tuple[Section, ...] = ("topics", "groups", "acls", "quotas", "users")


@pytest.fixture
def world() -> SmallWorld:
    """A source with two topics, a position, an ACL, a quota and a user; and a target with an authorizer."""
    world = SmallWorld()
    world.source = kafka(world.clock, seed=1, has_authorizer=True)
    world.target = kafka(world.clock, seed=2, has_authorizer=True)
    world.topic(partitions=2, configs={"retention.ms": "5000"})
    world.topic("bills")
    world.commit("billing", {("orders", 0): 7})
    world.source.permissions.allow_only("ANONYMOUS", "Topic", "orders", "All")
    world.source.client_quotas = {QUOTA: {"producer_byte_rate": 1000.0}}
    world.source.users = [ALICE]
    return world


def _back_up(world: SmallWorld, *, groups: bool = True, clients: bool = True) -> ClusterPicture:
    return picture_of_point(world.back_up(consumer_group_snapshot=groups, client_state_snapshot=clients))


def _against_source(world: SmallWorld, captured: ClusterPicture, *include: str) -> Comparison:
    options = BackupOptions(consumer_group_snapshot=True, client_state_snapshot=True)
    with world.context(world.source).admin() as admin:
        return compare(captured, live_source(admin, TopicSelection(include=include), options, captured))


def _texts(comparison: Comparison) -> list[str]:
    return list(comparison_lines(comparison, before="set@1", after="the cluster"))


def test_a_cluster_that_did_not_change_is_equal_also_with_new_records(world: SmallWorld) -> None:
    captured = _back_up(world)
    world.send(records=3)
    found = _against_source(world, captured)
    assert (True, ["set@1 and the cluster are equal."]) == (found.is_equal, _texts(found))


def test_every_kind_of_change_is_named(world: SmallWorld) -> None:
    captured = _back_up(world)
    world.source.delete_topic("bills")
    world.topic("new")
    settings = world.source.topics.by_name["orders"].settings
    settings.own = {"retention.ms": "7000", "cleanup.policy": "compact"}
    world.commit("billing", {("orders", 0): 4, ("orders", 1): 2})
    world.source.permissions.allow_only("bob", "Topic", "orders", "Read")
    world.source.client_quotas[QUOTA]["producer_byte_rate"] = 2500.5
    world.source.users = []

    assert [
        "topic bills: only in set@1",
        "topic new: only in the cluster",
        "topic orders: cleanup.policy: not set in set@1, compact in the cluster",
        "topic orders: retention.ms: 5000 in set@1, 7000 in the cluster",
        "group billing: orders-0: 7 in set@1, 4 in the cluster (3 behind)",
        "group billing: orders-1: not set in set@1, 2 in the cluster",
        "ACL ALLOW READ on TOPIC orders (LITERAL) for User:bob from *: only in the cluster",
        "quota of user alice: producer_byte_rate: 1,000 in set@1, 2,500.5 in the cluster",
        "user alice: only in set@1",
        "set@1 and the cluster: 9 differences.",
    ] == _texts(_against_source(world, captured))


def test_a_topic_that_was_created_again_has_another_id_and_another_shape(world: SmallWorld) -> None:
    captured = _back_up(world)
    world.source.delete_topic("bills")
    world.topic("bills", partitions=3)

    found = [(one.subject, one.part) for one in _against_source(world, captured).differences]

    assert [("bills", "id"), ("bills", "partitions")] == found


def test_new_topics_are_those_that_the_backup_would_select(world: SmallWorld) -> None:
    captured = _back_up(world)
    world.topic("orders-new")
    world.topic("other")
    found = _against_source(world, captured, "orders*", "bills").differences
    assert [("orders-new", WHOLE)] == [(one.subject, one.part) for one in found]


def test_what_the_point_does_not_have_is_said_and_is_no_difference(world: SmallWorld) -> None:
    captured = _back_up(world, groups=False, clients=False)
    found = _against_source(world, captured)
    assert (True, {"groups": NOT_INCLUDED, "quotas": NOT_INCLUDED, "users": NOT_INCLUDED}) == (
        found.is_equal,
        found.neither,
    )
    assert "set@1 and the cluster are equal, except groups, client quotas, users." == _texts(found)[-1]


def test_what_only_one_side_could_read_is_not_equal(world: SmallWorld) -> None:
    captured = _back_up(world)
    world.source.permissions.allow_only("ANONYMOUS", "Cluster", "kafka-cluster", "Describe")
    world.source.permissions.clear("Cluster", "kafka-cluster")
    world.source.permissions.allow_only("another", "Cluster", "kafka-cluster", "All")

    found = _against_source(world, captured)

    assert not found.is_equal
    assert ["groups", "acls", "quotas", "users"] == list(found.one_sided)
    assert "DescribeConfigs on Cluster" in found.one_sided["quotas"]


def test_a_topic_that_may_not_be_described_is_an_error_and_not_missing(world: SmallWorld) -> None:
    captured = _back_up(world)
    world.source.permissions.allow_only("another", "Topic", "bills", "All")
    with pytest.raises(AccessError, match="bills"):
        _against_source(world, captured)


def test_a_restored_target_is_equal_under_the_names_of_the_mapping(world: SmallWorld) -> None:
    captured = _back_up(world)
    world.restore({"orders": "copy", "bills": "bills"})
    acl = AclBinding(
        resource_type="TOPIC",
        resource_name="copy",
        pattern_type="LITERAL",
        principal="User:ANONYMOUS",
        host="*",
        operation="ALL",
        permission="ALLOW",
    )
    world.target.permissions.rules.append(acl)
    world.target.client_quotas = {QUOTA: {"producer_byte_rate": 1000.0}}
    world.target.users = [ALICE]
    expected = restored_picture(captured, {"orders": ["copy"], "bills": ["bills"]})

    with world.admin() as admin:
        found = compare(expected, live_target(admin, expected))

    assert ((), {}, ["groups"]) == (found.differences, found.one_sided, list(found.neither))


def test_every_section_is_shown_and_what_was_not_captured_is_not_shown_as_empty(world: SmallWorld) -> None:
    captured = _back_up(world)
    text = "\n".join(state_lines(captured, ALL))
    for shown in ("retention.ms=5000", "billing", "ALLOW ALL on TOPIC orders", "producer_byte_rate", "SCRAM-SHA-256"):
        assert shown in text
    assert "does not return the secrets" in text
    bare = _back_up(world, clients=False)
    assert [f"client quotas: {NOT_INCLUDED}\n", f"users: {NOT_INCLUDED}\n"] == list(
        state_lines(bare, ("quotas", "users"))
    )
    document = state_document(bare, ("quotas", "acls"))
    assert (None, {"quotas": NOT_INCLUDED}, 1) == (document["quotas"], document["absent"], len(_list(document["acls"])))


def _list(value: object) -> list[object]:
    assert isinstance(value, list)
    return value
