"""Which keys a store accepts: the same rule for every store, so that a key which works in one works in all."""

from __future__ import annotations

import re

from tasks.model.errors import ConfigError

_COMPONENT = r"[A-Za-z0-9_-][A-Za-z0-9._-]*"
_KEY = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_PREFIX = re.compile(rf"(?:{_COMPONENT}/)*(?:{_COMPONENT})?")


def is_component(name: str) -> bool:
    """Whether `name` may stand between two slashes of a key.

    A leading dot is refused: that excludes `.` and `..`, and leaves such names to the temporary and lock files of a
    folder.
    """
    return re.fullmatch(_COMPONENT, name) is not None


def check_key(key: str) -> str:
    """The key itself. Raises `ConfigError` unless it is components joined by single slashes."""
    if not _KEY.fullmatch(key):
        raise ConfigError(f"{key!r} is not an object key: only letters, digits and ._- between single slashes.")
    return key


def check_prefix(prefix: str) -> str:
    """The prefix itself: any beginning of a key, also in the middle of a name, or empty. Raises `ConfigError`."""
    if not _PREFIX.fullmatch(prefix):
        raise ConfigError(f"{prefix!r} is not the beginning of an object key.")
    return prefix
