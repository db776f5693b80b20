"""The settings that a topic of Kafka 4.3.1 or 3.9.1 can have: defaults, permitted values, and how Kafka spells them.

Source: `DescribeConfigs` of both versions, and Kafka's LogConfig.java.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

Spell = Callable[[str], str]
"""Returns the value as Kafka writes it. Raises `ValueError` with Kafka's reason."""

LONGEST = (1 << 63) - 1
_LARGEST_INT = (1 << 31) - 1
_REPLICAS = re.compile(r"\*|\d+:\d+(,\d+:\d+)*|")


class Known(NamedTuple):
    """One setting: Kafka's default, and how its values are spelled."""

    default: str
    spell: Spell


def _long(lowest: int | None = None, highest: int = LONGEST) -> Spell:
    def spell(value: str) -> str:
        text = value.strip()
        if not re.fullmatch(r"[+-]?\d+", text) or not -LONGEST - 1 <= int(text) <= LONGEST:
            raise ValueError("Not a number of type LONG")
        if lowest is not None and int(text) < lowest:
            raise ValueError(f"Value must be at least {lowest}")
        if int(text) > highest:
            raise ValueError(f"Value must be no more than {highest}")
        return str(int(text))

    return spell


def _int(lowest: int, highest: int = _LARGEST_INT) -> Spell:
    spell_long = _long(lowest, highest)

    def spell(value: str) -> str:
        text = value.strip()
        if not re.fullmatch(r"[+-]?\d+", text) or not -_LARGEST_INT - 1 <= int(text) <= _LARGEST_INT:
            raise ValueError("Not a number of type INT")
        return spell_long(text)

    return spell


def _gzip_level(value: str) -> str:
    if value.strip() != "-1" and not 1 <= int(_int(-1)(value)) <= 9:
        raise ValueError("Value must be between 1 and 9 or equal to -1")
    return value.strip()


def _flag(value: str) -> str:
    text = value.strip().lower()
    if text not in ("true", "false"):
        raise ValueError("Expected value to be either true or false")
    return text


def _one_of(*words: str) -> Spell:
    def spell(value: str) -> str:
        if value.strip() not in words:
            raise ValueError(f"String must be one of: {', '.join(words)}")
        return value.strip()

    return spell


def _policies(value: str) -> str:
    found = [word.strip() for word in value.split(",")] if value.strip() else []
    if not set(found) <= {"compact", "delete"}:
        raise ValueError("String must be one of: compact, delete")
    return ",".join(found)


def _ratio(value: str) -> str:
    try:
        number = float(value)
    except ValueError:
        raise ValueError("Not a number of type DOUBLE") from None
    if not 0 <= number <= 1:
        raise ValueError("Value must be at least 0" if number < 0 else "Value must be no more than 1")
    return str(number)


def _replicas(value: str) -> str:
    text = value.replace(" ", "")
    if not _REPLICAS.fullmatch(text):
        raise ValueError("it must be the literal '*' or a list of replicas: [partitionId]:[brokerId],…")
    return text


_COMMON: Mapping[str, Known] = {
    "cleanup.policy": Known("delete", _policies),
    "compression.gzip.level": Known("-1", _gzip_level),
    "compression.lz4.level": Known("9", _int(1, 17)),
    "compression.type": Known("producer", _one_of("uncompressed", "zstd", "lz4", "snappy", "gzip", "producer")),
    "compression.zstd.level": Known("3", _int(-131072, 22)),
    "delete.retention.ms": Known("86400000", _long(0)),
    "file.delete.delay.ms": Known("60000", _long(0)),
    "flush.messages": Known(str(LONGEST), _long(1)),
    "flush.ms": Known(str(LONGEST), _long(0)),
    "follower.replication.throttled.replicas": Known("", _replicas),
    "index.interval.bytes": Known("4096", _int(0)),
    "leader.replication.throttled.replicas": Known("", _replicas),
    "local.retention.bytes": Known("-2", _long(-2)),
    "local.retention.ms": Known("-2", _long(-2)),
    "max.compaction.lag.ms": Known(str(LONGEST), _long(1)),
    "max.message.bytes": Known("1048588", _int(0)),
    "message.timestamp.after.max.ms": Known("3600000", _long(0)),
    "message.timestamp.before.max.ms": Known(str(LONGEST), _long(0)),
    "message.timestamp.type": Known("CreateTime", _one_of("CreateTime", "LogAppendTime")),
    "min.cleanable.dirty.ratio": Known("0.5", _ratio),
    "min.compaction.lag.ms": Known("0", _long(0)),
    "min.insync.replicas": Known("1", _int(1)),
    "preallocate": Known("false", _flag),
    "remote.log.copy.disable": Known("false", _flag),
    "remote.log.delete.on.disable": Known("false", _flag),
    "remote.storage.enable": Known("false", _flag),
    "retention.bytes": Known("-1", _long()),
    "retention.ms": Known("604800000", _long(-1)),
    "segment.bytes": Known("1073741824", _int(1 << 20)),
    "segment.index.bytes": Known("10485760", _int(4)),
    "segment.jitter.ms": Known("0", _long(0)),
    "segment.ms": Known("604800000", _long(1)),
    "unclean.leader.election.enable": Known("false", _flag),
}

_IN_3: Mapping[str, Known] = {
    "message.downconversion.enable": Known("true", _flag),
    "message.format.version": Known("3.0-IV1", str.strip),
    "message.timestamp.after.max.ms": Known(str(LONGEST), _long(0)),
    "message.timestamp.difference.max.ms": Known(str(LONGEST), _long(0)),
    "segment.bytes": Known("1073741824", _int(14)),
}


_SINCE_3_6 = ("message.timestamp.after.max.ms", "message.timestamp.before.max.ms")


def known_settings(version: str) -> Mapping[str, Known]:
    """By name, all settings of a topic."""
    if not version.startswith("3."):
        return _COMMON
    known = {**_COMMON, **_IN_3}
    is_old = int(version.split(".")[1]) < 6
    return {name: one for name, one in known.items() if not is_old or name not in _SINCE_3_6}
