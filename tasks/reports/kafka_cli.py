"""A cluster's state as a shell script for Kafka's own tools. Pure. Every value is quoted for the shell."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping

from tasks.broker.admin_values import AclBinding, QuotaEntity, acl_text, entity_text, quota_order
from tasks.engine.cluster_state.picture import ClusterPicture, TopicPicture
from tasks.model.quoting import quoted
from tasks.reports.state_export import camel_case, comment, head_lines, number_text, user_lines

_RESOURCES: Mapping[str, str] = {
    "TOPIC": "--topic",
    "GROUP": "--group",
    "TRANSACTIONAL_ID": "--transactional-id",
    "DELEGATION_TOKEN": "--delegation-token",
    "USER": "--user-principal",
}
_ENTITIES: Mapping[str, tuple[str, str]] = {
    "user": ("--user", "--user-defaults"),
    "client-id": ("--client", "--client-defaults"),
    "ip": ("--ip", "--ip-defaults"),
}
_HOW = "kafka-configs.sh --alter --user NAME --add-config 'MECHANISM=[iterations=COUNT,password=SECRET]'"

_BEGIN = """
set -eu
: "${BOOTSTRAP:?set it to the address of a broker, for example BOOTSTRAP=kafka:9092}"
config=${COMMAND_CONFIG:-/dev/null}
topics() { kafka-topics.sh --bootstrap-server "$BOOTSTRAP" --command-config "$config" "$@"; }
configs() { kafka-configs.sh --bootstrap-server "$BOOTSTRAP" --command-config "$config" "$@"; }
acls() { kafka-acls.sh --bootstrap-server "$BOOTSTRAP" --command-config "$config" "$@"; }
"""


def kafka_cli_export(picture: ClusterPicture, name: str) -> str:
    """The script. It needs the scripts of Kafka on the path, the address of a broker in BOOTSTRAP, and for a secured
    cluster the properties of a client in COMMAND_CONFIG. It creates and adds, and removes nothing."""
    lines = [
        "#!/bin/sh",
        *head_lines(picture, name),
        comment("Needs the scripts of Kafka on the path, BOOTSTRAP, and COMMAND_CONFIG for a secured cluster."),
        *_BEGIN.splitlines(),
        "",
        *(_topic_line(topic, picture.topics[topic]) for topic in sorted(picture.topics)),
        *_acl_lines(picture),
        *_quota_lines(picture),
        *user_lines(picture, f"create it yourself: {_HOW}"),
    ]
    return "\n".join(lines) + "\n"


def _topic_line(name: str, topic: TopicPicture) -> str:
    words = ["topics", "--create", "--if-not-exists", "--topic", name, "--partitions", str(topic.partitions)]
    words += ["--replication-factor", str(topic.replication_factor)]
    for setting, value in sorted(topic.settings.items()):
        words += ["--config", f"{setting}={value}"]
    return shlex.join(words)


def _acl_lines(picture: ClusterPicture) -> Iterator[str]:
    for acl in sorted(picture.acls or ()):
        words = _acl_words(acl)
        yield comment(f"not possible with kafka-acls.sh: {acl_text(acl)}") if words is None else shlex.join(words)


def _acl_words(acl: AclBinding) -> list[str] | None:
    """The words of a command that adds the ACL. None if a word of it is not known."""
    is_cluster = acl.resource_type == "CLUSTER"
    if acl.permission not in ("ALLOW", "DENY") or not (is_cluster or acl.resource_type in _RESOURCES):
        return None
    who = acl.permission.lower()
    resource = ["--cluster"] if is_cluster else [_RESOURCES[acl.resource_type], acl.resource_name]
    words = ["acls", "--add", f"--{who}-principal", acl.principal, f"--{who}-host", acl.host]
    words += ["--operation", camel_case(acl.operation), *resource]
    return [*words, "--resource-pattern-type", acl.pattern_type.lower()]


def _quota_lines(picture: ClusterPicture) -> Iterator[str]:
    quotas = picture.quotas or {}
    for entity in sorted(quotas, key=quota_order):
        words = _entity_words(entity)
        values = ",".join(f"{name}={number_text(value)}" for name, value in sorted(quotas[entity].items()))
        if words is None:
            yield comment(f"not possible with kafka-configs.sh: {entity_text(entity)}: {quoted(values)}")
        else:
            yield shlex.join(["configs", "--alter", *words, "--add-config", values])


def _entity_words(entity: QuotaEntity) -> list[str] | None:
    words = []
    for kind, name in entity:
        if kind not in _ENTITIES:
            return None
        named, default = _ENTITIES[kind]
        words += [default] if name is None else [named, name]
    return words
