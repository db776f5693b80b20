"""The settings of topics that set nothing themselves, from the settings of a broker."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from tasks.broker.admin.admin import Admin
from tasks.broker.admin.admin_requests import values_or_raise
from tasks.broker.translation import Action, Permission
from tasks.model.errors import AccessError

if TYPE_CHECKING:
    from confluent_kafka.admin import ConfigEntry  # type: ignore[attr-defined]

_RETENTION_UNITS_MS = {"log.retention.ms": 1, "log.retention.minutes": 60_000, "log.retention.hours": 3_600_000}
"""The first of these that is set counts (Kafka's `ServerLogConfigs`)."""

TOPIC_DEFAULTS: Mapping[str, str] = {
    "cleanup.policy": "log.cleanup.policy",
    "compression.type": "compression.type",
    "max.message.bytes": "message.max.bytes",
    "message.timestamp.after.max.ms": "log.message.timestamp.after.max.ms",
    "message.timestamp.before.max.ms": "log.message.timestamp.before.max.ms",
    "message.timestamp.difference.max.ms": "log.message.timestamp.difference.max.ms",
    "message.timestamp.type": "log.message.timestamp.type",
    "min.insync.replicas": "min.insync.replicas",
    "retention.bytes": "log.retention.bytes",
    "retention.ms": "log.retention.ms",
}
"""Topic settings, and the broker's settings that topics without them have (Kafka's
`ServerTopicConfigSynonyms`)."""


def topic_defaults(admin: Admin) -> dict[str, str]:
    """The settings in `TOPIC_DEFAULTS` of topics that do not set them, as far as the broker has them. Empty if this
    user is not allowed to read the brokers' settings."""
    from confluent_kafka.admin import ConfigResource, ResourceType  # type: ignore[attr-defined]

    node = str(min(admin.node_ids()))

    def send(nodes: list[str]) -> Mapping[str, Future[Any]]:
        resources = [ConfigResource(ResourceType.BROKER, name) for name in nodes]
        futures = admin.sdk.describe_configs(resources, request_timeout=admin.timeout_s)
        return {resource.name: future for resource, future in futures.items()}

    action = Action("read the settings of", f"broker {node}", (Permission("DescribeConfigs", "Cluster"),))
    answers = admin.call_each([node], send, lambda name, entries: defaults_of(_values(entries)), lambda name: action)
    if isinstance(answers[node], AccessError):
        return {}
    return values_or_raise(answers)[node]


def defaults_of(settings: Mapping[str, str]) -> dict[str, str]:
    """The topics' defaults that follow from a broker's settings in force. Pure."""
    ages = [int(settings[name]) * unit for name, unit in _RETENTION_UNITS_MS.items() if settings.get(name)]
    found = {"retention.ms": str(max(-1, ages[0]))} if ages else {}
    for name, of_broker in TOPIC_DEFAULTS.items():
        if name not in found and name != "retention.ms" and settings.get(of_broker):
            found[name] = settings[of_broker]
    return found


def _values(entries: Mapping[str, ConfigEntry]) -> dict[str, str]:
    return {name: entry.value for name, entry in entries.items() if entry.value is not None}
