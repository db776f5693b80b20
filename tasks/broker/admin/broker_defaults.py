"""The settings of topics that set nothing themselves, from the settings of a broker."""

from __future__ import annotations

from collections.abc import Mapping

from tasks.broker.admin.admin import Admin
from tasks.model.errors import AccessError

_RETENTION_UNITS_MS = {"log.retention.ms": 1, "log.retention.minutes": 60_000, "log.retention.hours": 3_600_000}
"""The first of these that is set counts (Kafka's `ServerLogConfigs`)."""


def topic_defaults(admin: Admin) -> dict[str, str]:
    """`retention.ms`, `retention.bytes` and `cleanup.policy` of topics that do not set them. Empty if this user is not
    allowed to read the brokers' settings."""
    try:
        return defaults_of(admin.broker_settings())
    except AccessError:
        return {}


def defaults_of(settings: Mapping[str, str]) -> dict[str, str]:
    """The topics' defaults that follow from a broker's settings in force. Pure."""
    ages = [int(settings[name]) * unit for name, unit in _RETENTION_UNITS_MS.items() if settings.get(name)]
    found = {"retention.ms": str(max(-1, ages[0]))} if ages else {}
    for name in ("retention.bytes", "cleanup.policy"):
        if settings.get(f"log.{name}"):
            found[name] = settings[f"log.{name}"]
    return found
