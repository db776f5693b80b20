"""A topic's settings: its own over the brokers', as `DescribeConfigs` shows them, and which changes Kafka refuses."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from tasks.broker.admin_values import DYNAMIC_TOPIC_CONFIG, ConfigEntry
from tests.simulation.kafka.known_settings import Known, known_settings
from tests.simulation.kafka.refusals import INVALID_CONFIG, Refused

_DYNAMIC_DEFAULT_BROKER_CONFIG = 3
_STATIC_BROKER_CONFIG = 4
_DEFAULT_CONFIG = 5


@dataclass(frozen=True, slots=True)
class BrokerSettings:
    """The values of topics without their own. `own` are those of the brokers' configuration, by topic setting."""

    version: str
    own: Mapping[str, str] = field(default_factory=dict)
    vendor: dict[str, str] = field(default_factory=dict)
    """Settings that only this cluster has, with their defaults."""

    @property
    def known(self) -> Mapping[str, Known]:
        """All settings that a topic can have."""
        return {**known_settings(self.version), **{name: Known(one, str.strip) for name, one in self.vendor.items()}}

    def text(self, name: str) -> str:
        """The value in force for a topic without its own."""
        return self.own.get(name, self.known[name].default)


@dataclass(slots=True)
class TopicSettings:
    """`own` is what is set on the topic itself, spelled as Kafka spells it."""

    brokers: BrokerSettings
    own: Mapping[str, str] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """The value in force."""
        return self.own.get(name, self.brokers.text(name))

    def number(self, name: str) -> int:
        """The value in force of a setting that is a whole number."""
        return int(self.text(name))

    def has_policy(self, policy: str) -> bool:
        """True if `compact` or `delete` is among the topic's cleanup policies."""
        return policy in self.text("cleanup.policy").split(",")

    def entries(self) -> tuple[ConfigEntry, ...]:
        """Every setting in force with its source, by name."""
        return tuple(
            ConfigEntry(
                name=name, value=self.text(name), source=self._source(name), is_sensitive=False, is_read_only=False
            )
            for name in sorted(self.brokers.known)
        )

    def changed(self, to_set: Mapping[str, str], to_delete: Collection[str]) -> dict[str, str]:
        """The topic's own settings after a change, all or nothing. Raises `Refused` with Kafka's reason."""
        kept = {name: value for name, value in self.own.items() if name not in to_delete}
        changed = kept | {name: _spelled(self.brokers.known, name, value) for name, value in to_set.items()}
        _check_together(TopicSettings(self.brokers, changed))
        return changed

    def _source(self, name: str) -> int:
        if name in self.own:
            return DYNAMIC_TOPIC_CONFIG
        if name in self.brokers.own:
            return _STATIC_BROKER_CONFIG
        is_dynamic = name == "min.insync.replicas" and not self.brokers.version.startswith("3.")
        return _DYNAMIC_DEFAULT_BROKER_CONFIG if is_dynamic else _DEFAULT_CONFIG


def _spelled(known: Mapping[str, Known], name: str, value: str) -> str:
    if name not in known:
        raise Refused(INVALID_CONFIG, f"Unknown topic config name: {name}")
    try:
        return known[name].spell(value)
    except ValueError as error:
        raise Refused(INVALID_CONFIG, f"Invalid value {value} for configuration {name}: {error}") from None


def _check_together(settings: TopicSettings) -> None:
    shortest, longest = settings.number("min.compaction.lag.ms"), settings.number("max.compaction.lag.ms")
    if shortest > longest:
        raise Refused(
            INVALID_CONFIG,
            f"conflict topic config setting min.compaction.lag.ms ({shortest}) > max.compaction.lag.ms ({longest})",
        )
    if settings.text("remote.storage.enable") == "true":
        raise Refused(INVALID_CONFIG, "Tiered Storage functionality is disabled in the broker.")
