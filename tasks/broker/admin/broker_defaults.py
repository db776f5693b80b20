"""The settings that topics get from a broker if they have no value of their own."""

from __future__ import annotations

from collections.abc import Mapping

from tasks.broker.admin.admin import Admin
from tasks.model.errors import AccessError

_RETENTION_UNITS_MS = {"log.retention.ms": 1, "log.retention.minutes": 60_000, "log.retention.hours": 3_600_000}
"""The broker's settings for `retention.ms`, and their units in milliseconds. The first one that is set is used (Kafka's
`ServerLogConfigs`)."""

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
"""Topic settings, and the broker's setting whose value a topic gets if it does not set them (Kafka's
`ServerTopicConfigSynonyms`)."""


def topic_defaults(admin: Admin) -> dict[str, str]:
    """The broker's values of the settings in `TOPIC_DEFAULTS`, by topic setting. A setting that the broker does not
    have is absent. Empty if this user is not allowed to read the brokers' settings."""
    try:
        return defaults_of(admin.broker_settings())
    except AccessError:
        return {}


def defaults_of(settings: Mapping[str, str]) -> dict[str, str]:
    """The topics' default values, computed from a broker's settings in force. Pure."""
    ages = [int(settings[name]) * unit for name, unit in _RETENTION_UNITS_MS.items() if settings.get(name)]
    found = {"retention.ms": str(max(-1, ages[0]))} if ages else {}
    for name, of_broker in TOPIC_DEFAULTS.items():
        if name not in found and name != "retention.ms" and settings.get(of_broker):
            found[name] = settings[of_broker]
    return found
