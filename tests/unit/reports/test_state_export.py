"""The exports of a state for tools that own the configuration of a cluster: what they contain, and what they name as
not possible."""

from __future__ import annotations

import shlex
from dataclasses import replace

import yaml

from tasks.broker.admin_values import AclBinding
from tasks.engine.cluster_state.picture import ClusterPicture, TopicPicture
from tasks.reports.kafka_cli import kafka_cli_export
from tasks.reports.strimzi import strimzi_export
from tasks.reports.terraform import terraform_export

READ = AclBinding(
    resource_type="TOPIC",
    resource_name="orders",
    pattern_type="LITERAL",
    principal="User:alice",
    host="*",
    operation="DESCRIBE_CONFIGS",
    permission="ALLOW",
)
ODD = "evil'\n$(reboot) ${x} \"é"
PICTURE = ClusterPicture(
    topics={
        "orders": TopicPicture(
            topic_id="x", partitions=3, replication_factor=2, settings={"cleanup.policy": "compact,delete"}
        ),
        "My_Topic": TopicPicture(topic_id="y", partitions=1, replication_factor=1, settings={}),
    },
    groups={"billing": {("orders", 0): 7}},
    acls=frozenset(
        [
            READ,
            replace(READ, resource_type="CLUSTER", resource_name="kafka-cluster", operation="CREATE"),
            replace(READ, resource_type="GROUP", resource_name="b", pattern_type="PREFIXED", permission="DENY"),
            replace(READ, resource_type="DELEGATION_TOKEN", resource_name="t"),
            replace(READ, principal="User:CN=alice"),
        ]
    ),
    quotas={
        (("user", "alice"),): {"producer_byte_rate": 1000.0, "request_percentage": 12.5},
        (("client-id", None),): {"consumer_byte_rate": 5.0},
        (("client-id", "app"), ("user", "alice")): {"consumer_byte_rate": 6.0},
    },
    users={"alice": {"SCRAM-SHA-512": 4096}, "bob": {"SCRAM-SHA-256": 8192}},
)

KAFKA_CLI = """\
topics --create --if-not-exists --topic My_Topic --partitions 1 --replication-factor 1
topics --create --if-not-exists --topic orders --partitions 3 --replication-factor 2 \
--config cleanup.policy=compact,delete
acls --add --allow-principal User:alice --allow-host '*' --operation Create --cluster --resource-pattern-type literal
acls --add --allow-principal User:alice --allow-host '*' --operation DescribeConfigs --delegation-token t \
--resource-pattern-type literal
acls --add --deny-principal User:alice --deny-host '*' --operation DescribeConfigs --group b \
--resource-pattern-type prefixed
acls --add --allow-principal User:CN=alice --allow-host '*' --operation DescribeConfigs --topic orders \
--resource-pattern-type literal
acls --add --allow-principal User:alice --allow-host '*' --operation DescribeConfigs --topic orders \
--resource-pattern-type literal
configs --alter --client-defaults --add-config consumer_byte_rate=5
configs --alter --client app --user alice --add-config consumer_byte_rate=6
configs --alter --user alice --add-config producer_byte_rate=1000,request_percentage=12.5
"""

TERRAFORM_TOPIC = """
resource "kafka_topic" "topic_orders" {
  name               = "orders"
  partitions         = 3
  replication_factor = 2
  config = {
    "cleanup.policy" = "compact,delete"
  }
}
"""

STRIMZI_USER = {
    "apiVersion": "kafka.strimzi.io/v1beta2",
    "kind": "KafkaUser",
    "metadata": {"name": "alice", "labels": {"strimzi.io/cluster": "my-cluster"}},
    "spec": {
        "authentication": {"type": "scram-sha-512"},
        "authorization": {
            "type": "simple",
            "acls": [
                {"type": "allow", "resource": {"type": "cluster"}, "host": "*", "operations": ["Create"]},
                {
                    "type": "deny",
                    "resource": {"type": "group", "name": "b", "patternType": "prefix"},
                    "host": "*",
                    "operations": ["DescribeConfigs"],
                },
                {
                    "type": "allow",
                    "resource": {"type": "topic", "name": "orders", "patternType": "literal"},
                    "host": "*",
                    "operations": ["DescribeConfigs"],
                },
            ],
        },
        "quotas": {"producerByteRate": 1000, "requestPercentage": 12.5},
    },
}


def test_the_shell_script_has_a_command_for_everything_except_users() -> None:
    text = kafka_cli_export(PICTURE, "set@1")
    commands = text.split('"$@"; }\n\n')[1]
    assert KAFKA_CLI == "".join(line for line in commands.splitlines(keepends=True) if not line.startswith("#"))
    assert "# user bob, SCRAM-SHA-256 (8192 iterations): create it yourself" in commands


def test_no_name_can_break_out_of_a_line_of_the_shell_script() -> None:
    odd = replace(
        PICTURE,
        topics={},
        acls=frozenset([replace(READ, principal=f"User:{ODD}"), replace(READ, resource_type="99", resource_name=ODD)]),
        quotas={(("user", ODD),): {"x": 1.0}, (("moon", ODD),): {"x": 1.0}},
        users={ODD: {"SCRAM-SHA-512": 1}},
    )
    commands = kafka_cli_export(odd, ODD).split('"$@"; }\n\n')[1]
    words = shlex.split(commands, comments=True)
    assert [f"User:{ODD}", ODD] == [word for word in words if "reboot" in word]
    assert "\n$(reboot)" not in "\n".join(line for line in commands.splitlines() if line.startswith("#"))


def test_terraform_has_resources_and_names_what_its_provider_lacks() -> None:
    text = terraform_export(PICTURE, "set@1")
    assert TERRAFORM_TOPIC in text
    assert 'resource "kafka_topic" "topic_my_topic-' in text
    assert (4, 2) == (text.count('resource "kafka_acl"'), text.count('resource "kafka_quota"'))
    for line in (
        '  resource_pattern_type_filter = "Prefixed"',
        '  acl_permission_type          = "Deny"',
        '  acl_operation                = "DescribeConfigs"',
        "# not possible with this provider: ALLOW DESCRIBE_CONFIGS on DELEGATION_TOKEN t",
        '# not possible with this provider, a combination: client-id app, user alice: "consumer_byte_rate',
        "# user alice, SCRAM-SHA-512 (4096 iterations): create it yourself",
    ):
        assert line in text


def test_terraform_expands_nothing_in_names() -> None:
    odd = replace(PICTURE, acls=frozenset([replace(READ, principal=f"User:{ODD}")]))
    assert r'"User:evil' in terraform_export(odd, "set@1")
    assert " $${x} " in terraform_export(odd, "set@1")


def test_strimzi_has_valid_names_and_names_what_a_user_cannot_have() -> None:
    text = strimzi_export(PICTURE, "set@1")
    mine, orders, user = yaml.safe_load_all(text)
    assert ("KafkaTopic", "orders", "orders", {"cleanup.policy": "compact,delete"}) == (
        orders["kind"],
        orders["metadata"]["name"],
        orders["spec"]["topicName"],
        orders["spec"]["config"],
    )
    assert ("My_Topic", True) == (mine["spec"]["topicName"], mine["metadata"]["name"].startswith("my-topic-"))
    assert STRIMZI_USER == user
    for line in (
        "# user alice: Strimzi makes a new secret",
        "# user bob: Strimzi does not create credentials for SCRAM-SHA-256",
        "# not possible with a KafkaUser: ALLOW DESCRIBE_CONFIGS on TOPIC orders (LITERAL) for User:CN=alice",
        "# not possible with a KafkaUser: consumer_byte_rate 5 of client-id <default>",
    ):
        assert line in text


def test_two_topics_never_get_the_same_resource_name() -> None:
    topic = PICTURE.topics["orders"]
    odd = replace(PICTURE, topics=dict.fromkeys(["a_b", "a-b", "A-b", "a.b", "_"], topic), acls=None, users=None)
    names = [
        one["metadata"]["name"] for one in yaml.safe_load_all(strimzi_export(odd, "x")) if one["kind"] == "KafkaTopic"
    ]
    assert 5 == len(set(names))
    assert "a-b" in names
    assert 5 == terraform_export(odd, "x").count('resource "kafka_topic"')


def test_what_was_not_captured_is_named_in_every_export() -> None:
    bare = replace(PICTURE, acls=None, quotas=None, users=None, absent={"acls": "no\nauthorizer", "quotas": "not kept"})
    for export in (kafka_cli_export, terraform_export, strimzi_export):
        text = export(bare, "set@1")
        assert "# It has no ACLs: no authorizer\n" in text
        assert "# It has no client quotas: not kept\n" in text
