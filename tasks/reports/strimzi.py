"""A cluster's state as resources of Strimzi: KafkaTopic and KafkaUser. Pure."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from tasks.broker.admin_values import AclBinding, acl_text, entity_text, quota_order
from tasks.engine.cluster_state.picture import ClusterPicture
from tasks.model.quoting import quoted
from tasks.reports.state_export import USER, camel_case, comment, head_lines, number_text, safe_name, single_entity

_API = "kafka.strimzi.io/v1beta2"
_CLUSTER = "my-cluster"
_SCRAM = "SCRAM-SHA-512"
"""The only mechanism that Strimzi creates users with."""

_RESOURCE_TYPES: Mapping[str, str] = {
    "TOPIC": "topic",
    "GROUP": "group",
    "CLUSTER": "cluster",
    "TRANSACTIONAL_ID": "transactionalId",
}
_QUOTAS: Mapping[str, str] = {
    "producer_byte_rate": "producerByteRate",
    "consumer_byte_rate": "consumerByteRate",
    "request_percentage": "requestPercentage",
    "controller_mutation_rate": "controllerMutationRate",
}


def strimzi_export(picture: ClusterPicture, name: str) -> str:
    """The resources as one YAML stream. The label `strimzi.io/cluster` has to be changed to the name of the cluster."""
    specs: dict[str, dict[str, Any]] = defaultdict(dict)
    left_out = [*_users(picture, specs), *_acls(picture, specs), *_quotas(picture, specs)]
    documents = [*_topics(picture), *(_document("KafkaUser", user, spec) for user, spec in sorted(specs.items()))]
    lines = [
        *head_lines(picture, name),
        comment(f"Change the label strimzi.io/cluster from {_CLUSTER} to the name of your cluster."),
        *map(comment, left_out),
    ]
    return "\n".join(lines) + "\n" + "".join(map(_yaml, documents))


def _yaml(document: Mapping[str, Any]) -> str:
    return f"---\n{yaml.safe_dump(document, sort_keys=False, allow_unicode=True)}"


def _document(kind: str, name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": _API,
        "kind": kind,
        "metadata": {"name": name, "labels": {"strimzi.io/cluster": _CLUSTER}},
        "spec": dict(spec),
    }


def _topics(picture: ClusterPicture) -> Iterator[dict[str, Any]]:
    for name, topic in sorted(picture.topics.items()):
        spec: dict[str, Any] = {
            "topicName": name,
            "partitions": topic.partitions,
            "replicas": topic.replication_factor,
        }
        if topic.settings:
            spec["config"] = dict(sorted(topic.settings.items()))
        yield _document("KafkaTopic", safe_name(name, "a-z0-9.-"), spec)


def _users(picture: ClusterPicture, specs: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Add the users to `specs`. Yields a sentence for each that has no place there."""
    for user, mechanisms in sorted((picture.users or {}).items()):
        others = sorted(mechanisms.keys() - {_SCRAM})
        if not _is_resource_name(user):
            yield f"user {quoted(user)}: its name cannot be the name of a KafkaUser"
        elif _SCRAM in mechanisms:
            specs[user]["authentication"] = {"type": "scram-sha-512"}
            yield f"user {quoted(user)}: Strimzi makes a new secret, because Kafka does not return the old one"
        if others:
            yield f"user {quoted(user)}: Strimzi does not create credentials for {', '.join(others)}"


def _acls(picture: ClusterPicture, specs: dict[str, dict[str, Any]]) -> Iterator[str]:
    for acl in sorted(picture.acls or ()):
        user = acl.principal.removeprefix(USER)
        if acl.resource_type not in _RESOURCE_TYPES or USER + user != acl.principal or not _is_resource_name(user):
            yield f"not possible with a KafkaUser: {acl_text(acl)}"
            continue
        rules = specs[user].setdefault("authorization", {"type": "simple", "acls": []})
        rules["acls"].append(_rule(acl))


def _rule(acl: AclBinding) -> dict[str, Any]:
    resource: dict[str, Any] = {"type": _RESOURCE_TYPES[acl.resource_type]}
    if acl.resource_type != "CLUSTER":
        pattern = "prefix" if acl.pattern_type == "PREFIXED" else "literal"
        resource |= {"name": acl.resource_name, "patternType": pattern}
    return {
        "type": acl.permission.lower(),
        "resource": resource,
        "host": acl.host,
        "operations": [camel_case(acl.operation)],
    }


def _quotas(picture: ClusterPicture, specs: dict[str, dict[str, Any]]) -> Iterator[str]:
    quotas = picture.quotas or {}
    for entity in sorted(quotas, key=quota_order):
        kind, name = single_entity(entity) or ("", None)
        for key, value in sorted(quotas[entity].items()):
            if kind == "user" and name is not None and _is_resource_name(name) and key in _QUOTAS:
                number = int(value) if value == int(value) else value
                specs[name].setdefault("quotas", {})[_QUOTAS[key]] = number
            else:
                yield f"not possible with a KafkaUser: {quoted(key)} {number_text(value)} of {entity_text(entity)}"


def _is_resource_name(name: str) -> bool:
    """Whether Kubernetes allows the name for a resource (RFC 1123). A KafkaUser has the name of its user."""
    return len(name) <= 253 and re.fullmatch(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", name) is not None
