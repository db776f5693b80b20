"""The names of the topics and groups that a restore drill makes. Every such name contains the id of the drill, so a
name alone says that a drill made the thing, and which one. Backups leave these topics out. Pure."""

from __future__ import annotations

import re
from hashlib import sha256

SCRATCH = "kafka-backup-drill-"
"""What every scratch name contains, followed by the id of the drill and `-`."""

_SCRATCH = re.compile(re.escape(SCRATCH) + r"([0-9]{8}T[0-9]{9}Z-[0-9a-f]{8})-")
_LONGEST_NAME = 249
"""The longest name of a topic (org.apache.kafka.common.internals.Topic)."""


def scratch_name(prefix: str, drill: str, name: str) -> str:
    """The scratch name for a topic or a group. `prefix` comes before all else, for permissions by prefix. A name that
    would be too long ends with a part of its SHA-256 instead of its last characters."""
    made = f"{prefix}{SCRATCH}{drill}-{name}"
    if len(made) <= _LONGEST_NAME:
        return made
    return f"{made[: _LONGEST_NAME - 17]}-{sha256(name.encode()).hexdigest()[:16]}"


def is_scratch(name: str) -> bool:
    """Whether a drill made the topic or group with this name."""
    return _SCRATCH.search(name) is not None


def drill_of(name: str) -> str | None:
    """The id of the drill that made the topic or group with this name. None if none made it."""
    found = _SCRATCH.search(name)
    return found[1] if found else None
