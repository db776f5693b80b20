"""The state of a real cluster with an authorizer: captured, compared, restored, and exported for Kafka's own tools."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._scram import ScramCredentialInfo, ScramMechanism, UserScramCredentialUpsertion

from tasks.broker.admin_values import AclBinding, ClientQuota
from tasks.broker.kafka_access import KafkaAdmin
from tests.conftest import KAFKA_VERSION
from tests.support.command import Command
from tests.support.kafka import KafkaCluster
from tests.support.kafka_jars import SHORT_LIVED_JVM, java_command
from tests.support.positions import commit_positions
from tests.support.producing import OutRecord, create_topic, produce

pytestmark = pytest.mark.kafka

AUTHORIZED = {
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "super.users": "User:ANONYMOUS",
}
TOOLS = {
    "kafka-topics.sh": "org.apache.kafka.tools.TopicCommand",
    "kafka-configs.sh": "kafka.admin.ConfigCommand",
    "kafka-acls.sh": "kafka.admin.AclCommand"
    if KAFKA_VERSION.startswith("3.")
    else "org.apache.kafka.tools.AclCommand",
}
SETTINGS = {"retention.ms": "86400000", "cleanup.policy": "compact,delete"}
QUOTA = ClientQuota(entity=(("client-id", None), ("user", "alice")), values={"producer_byte_rate": 1_048_576.0})


def _acl(kind: str, name: str, pattern: str = "LITERAL") -> AclBinding:
    return AclBinding(
        resource_type=kind,
        resource_name=name,
        pattern_type=pattern,
        principal="User:alice",
        host="*",
        operation="READ",
        permission="ALLOW",
    )


@pytest.fixture(scope="module")
def cluster() -> Iterator[KafkaCluster]:
    """A cluster with a topic, a position, two ACLs, a quota and a user."""
    with KafkaCluster(KAFKA_VERSION, overrides=AUTHORIZED) as cluster:
        create_topic(cluster.bootstrap, "orders", partitions=2, configs=SETTINGS)
        produce(cluster.bootstrap, "orders", [OutRecord(b"key", b"value")])
        commit_positions(cluster.bootstrap, "billing", "orders", {0: 1})
        change = UserScramCredentialUpsertion("alice", ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096), b"s")
        client = AdminClient({"bootstrap.servers": cluster.bootstrap, "log_level": 0})
        for future in client.alter_user_scram_credentials([change]).values():
            future.result(30)
        with KafkaAdmin(cluster.connection) as admin:
            admin.create_acls([_acl("TOPIC", "orders"), _acl("GROUP", "bill", "PREFIXED")])
            admin.set_quotas([QUOTA])
        yield cluster


@pytest.fixture
def command(cluster: KafkaCluster, tmp_path: Path) -> Command:
    """A command with a backup of the cluster's state."""
    made = Command(folder=tmp_path)
    made.write_backup(cluster.connection, ["orders"], consumer_group_snapshot=True, client_state_snapshot=True)
    made.back_up()
    return made


def test_the_state_is_captured_and_a_change_of_the_cluster_is_found(cluster: KafkaCluster, command: Command) -> None:
    shown = command.run("state", "show", "--config", "backup.yaml").stdout
    for text in (
        "retention.ms=86400000",
        "billing  orders-0",
        "ALLOW READ on GROUP bill (PREFIXED) for User:alice",
        "1,048,576",
        "SCRAM-SHA-512",
    ):
        assert text in shown
    assert "are equal." in command.run("state", "diff", "--config", "backup.yaml").stdout

    with KafkaAdmin(cluster.connection) as admin:
        admin.alter_topic_configs("orders", {"retention.ms": "7200000"}, ())
        try:
            found = command.run("state", "diff", "--config", "backup.yaml", "--json", code=3).stdout
        finally:
            admin.alter_topic_configs("orders", {"retention.ms": "86400000"}, ())

    assert [
        {"section": "topics", "subject": "orders", "part": "retention.ms", "before": "86400000", "after": "7200000"}
    ] == json.loads(found)["differences"]


def test_acls_are_restored_under_the_new_name_and_the_target_is_equal_to_the_point(
    cluster: KafkaCluster, command: Command
) -> None:
    command.write_restore(cluster.connection, {"orders": "copy"}, acls="apply", quotas="apply")
    restored = command.restore()
    assert "ACL added: ALLOW READ on TOPIC copy (LITERAL) for User:alice from *" in restored.stdout
    with KafkaAdmin(cluster.connection) as admin:
        assert _acl("TOPIC", "copy") in admin.read_acls()[0]
    # The cluster is also the source, so that its own topic has an ACL which the restored state does not have.
    found = command.run("state", "diff", "--config", "restore.yaml", code=3).stdout
    assert ["ACL ALLOW READ on TOPIC orders (LITERAL) for User:alice from *: only in the cluster"] == [
        line for line in found.splitlines() if "only" in line or "copy" in line
    ]


def test_the_exported_script_makes_a_cluster_equal_with_kafkas_own_tools(command: Command, tmp_path: Path) -> None:
    with KafkaCluster(KAFKA_VERSION, overrides=AUTHORIZED) as empty:
        command.write_restore(empty.connection, {"orders": "orders_2"})
        command.run("state", "export", "--config", "restore.yaml", "--format", "kafka-cli", "--output", "state.sh")
        _run_script(tmp_path, empty.bootstrap)
        found = command.run("state", "diff", "--config", "restore.yaml", "--json", code=3).stdout

    assert [("users", "alice", None)] == [
        (one["section"], one["subject"], one["part"]) for one in json.loads(found)["differences"]
    ], "no export can create a user, because Kafka does not return secrets"


def _run_script(folder: Path, bootstrap: str) -> None:
    """Run `state.sh` with scripts of Kafka's tools that use the tests' jars."""
    tools = folder / "tools"
    tools.mkdir()
    java = [*java_command(KAFKA_VERSION), *SHORT_LIVED_JVM, "-Xmx128m"]
    for name, main_class in TOOLS.items():
        script = tools / name
        script.write_text("#!/bin/sh\nexec " + " ".join(f"'{word}'" for word in java) + f' {main_class} "$@"\n')
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
    environment = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}", "BOOTSTRAP": bootstrap}
    done = subprocess.run(["sh", "state.sh"], cwd=folder, env=environment, capture_output=True, text=True, timeout=120)
    assert 0 == done.returncode, done.stdout + done.stderr
