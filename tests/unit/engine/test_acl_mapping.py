"""Which ACLs follow restored topics to the target."""

from __future__ import annotations

from dataclasses import replace

from tasks.broker.admin_values import AclBinding
from tasks.engine.acl_mapping import map_acls

ON_TOPIC = AclBinding(
    resource_type="TOPIC",
    resource_name="orders",
    pattern_type="LITERAL",
    principal="User:alice",
    host="*",
    operation="READ",
    permission="ALLOW",
)
ON_OTHER = replace(ON_TOPIC, resource_name="bills")
BY_PREFIX = replace(ON_TOPIC, resource_name="ord", pattern_type="PREFIXED")
ON_ALL = replace(ON_TOPIC, resource_name="*")
ON_GROUP = replace(ON_TOPIC, resource_type="GROUP", resource_name="*")


def test_an_acl_follows_its_topic_to_each_of_its_targets() -> None:
    found = map_acls([ON_TOPIC, ON_GROUP], {"orders": ["copy", "copy-2"]})
    copies = [replace(ON_TOPIC, resource_name=name) for name in ("copy", "copy-2")]
    assert ((ON_GROUP, *copies), {}) == (found.acls, found.left_out)


def test_patterns_of_topics_stay_only_while_every_topic_keeps_its_name() -> None:
    everything = [ON_TOPIC, BY_PREFIX, ON_ALL]
    assert set(everything) == set(map_acls(everything, {"orders": ["orders"]}).acls)

    renamed = map_acls(everything, {"orders": ["copy"]})
    assert [replace(ON_TOPIC, resource_name="copy")] == list(renamed.acls)
    assert {BY_PREFIX, ON_ALL} == renamed.left_out.keys()
    assert all("by a pattern" in reason for reason in renamed.left_out.values())


def test_acls_of_topics_that_are_not_restored_are_left_out() -> None:
    found = map_acls([ON_TOPIC, ON_OTHER], {"orders": ["orders"]})
    assert ((ON_TOPIC,), {ON_OTHER: "its topic is not restored"}) == (found.acls, found.left_out)
