"""The rule for object keys. It is the same for every store, so that a key that works in one store works in all."""

from __future__ import annotations

import re

from tasks.model.errors import ConfigError

_COMPONENT = r"[A-Za-z0-9_-][A-Za-z0-9._-]*"
_KEY = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_PREFIX = re.compile(rf"(?:{_COMPONENT}/)*(?:{_COMPONENT})?")


def is_component(name: str) -> bool:
    """Whether `name` can be between two slashes of a key.

    A leading dot is refused. This excludes `.` and `..`, and reserves such names for the temporary and lock files of a
    local store.
    """
    return re.fullmatch(_COMPONENT, name) is not None


def check_key(key: str) -> str:
    """The key itself. Raises `ConfigError` unless it is components with single slashes between them."""
    if not _KEY.fullmatch(key):
        raise ConfigError(f"{key!r} is not an object key: only letters, digits and ._- between single slashes.")
    return key


def check_folder(folder: str) -> str:
    """The folder itself. Raises `ConfigError` unless it is empty, or begins a key and ends with a slash."""
    if folder and not folder.endswith("/"):
        raise ConfigError(f"{folder!r} is not a folder of objects: it has to end with a slash.")
    return check_prefix(folder)


def check_prefix(prefix: str) -> str:
    """The prefix itself. Raises `ConfigError` unless it is empty or begins a key; it can end within a name."""
    if not _PREFIX.fullmatch(prefix):
        raise ConfigError(f"{prefix!r} is not the beginning of an object key.")
    return prefix
