"""A cluster's state as Terraform resources of the provider Mongey/kafka. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from tasks.broker.admin_values import acl_text, entity_text, quota_order
from tasks.engine.cluster_state.picture import ClusterPicture
from tasks.model.quoting import quoted
from tasks.reports.state_export import (
    camel_case,
    comment,
    head_lines,
    number_text,
    safe_name,
    single_entity,
    user_lines,
)

_RESOURCE_TYPES: Mapping[str, str] = {
    "TOPIC": "Topic",
    "GROUP": "Group",
    "CLUSTER": "Cluster",
    "TRANSACTIONAL_ID": "TransactionalID",
}
_HOW = "create it yourself, with a resource kafka_user_scram_credential and its secret"


def terraform_export(picture: ClusterPicture, name: str) -> str:
    """The resources. An existing topic has to be imported: `terraform import kafka_topic.NAME TOPIC`."""
    lines = [
        *head_lines(picture, name),
        comment(
            "Resources of the provider Mongey/kafka. Import topics that exist, so that they are not created again."
        ),
        *_topics(picture),
        *_acls(picture),
        *_quotas(picture),
        *user_lines(picture, _HOW),
    ]
    return "\n".join(lines) + "\n"


def _topics(picture: ClusterPicture) -> Iterator[str]:
    for name, topic in sorted(picture.topics.items()):
        yield from _resource(
            "kafka_topic",
            f"topic_{safe_name(name, 'a-z0-9_-')}",
            {
                "name": _text(name),
                "partitions": str(topic.partitions),
                "replication_factor": str(topic.replication_factor),
            },
            {setting: _text(value) for setting, value in sorted(topic.settings.items())},
        )


def _acls(picture: ClusterPicture) -> Iterator[str]:
    for number, acl in enumerate(sorted(picture.acls or ()), start=1):
        if acl.resource_type not in _RESOURCE_TYPES:
            yield comment(f"not possible with this provider: {acl_text(acl)}")
            continue
        yield from _resource(
            "kafka_acl",
            f"acl_{number}",
            {
                "resource_name": _text(acl.resource_name),
                "resource_type": _text(_RESOURCE_TYPES[acl.resource_type]),
                "resource_pattern_type_filter": _text(camel_case(acl.pattern_type)),
                "acl_principal": _text(acl.principal),
                "acl_host": _text(acl.host),
                "acl_operation": _text(camel_case(acl.operation)),
                "acl_permission_type": _text(camel_case(acl.permission)),
            },
        )


def _quotas(picture: ClusterPicture) -> Iterator[str]:
    quotas = picture.quotas or {}
    for number, entity in enumerate(sorted(quotas, key=quota_order), start=1):
        values = {name: _text(number_text(value)) for name, value in sorted(quotas[entity].items())}
        single = single_entity(entity)
        if single is None:
            listed = ", ".join(f"{name} {value}" for name, value in values.items())
            yield comment(f"not possible with this provider, a combination: {entity_text(entity)}: {quoted(listed)}")
            continue
        kind, name = single
        named = {} if name is None else {"entity_name": _text(name)}
        yield from _resource("kafka_quota", f"quota_{number}", {**named, "entity_type": _text(kind)}, values)


def _resource(
    kind: str, label: str, members: Mapping[str, str], config: Mapping[str, str] | None = None
) -> Iterator[str]:
    """One resource, with its members aligned as `terraform fmt` does it."""
    width = max(map(len, members))
    yield ""
    yield f'resource "{kind}" "{label}" {{'
    yield from (f"  {name.ljust(width)} = {value}" for name, value in members.items())
    if config:
        inner = max(len(_text(name)) for name in config)
        yield "  config = {"
        yield from (f"    {_text(name).ljust(inner)} = {value}" for name, value in config.items())
        yield "  }"
    yield "}"


def _text(value: str) -> str:
    """A quoted string of Terraform's language. `${` and `%{` would begin a template."""
    return json.dumps(value).replace("${", "$${").replace("%{", "%%{")
