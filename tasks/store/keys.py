"""The rule for object keys, folders and prefixes. It is the same for every store, so that a repository can be copied to
another one."""

from __future__ import annotations

import re

from tasks.model.errors import ConfigError

_COMPONENT = r"[A-Za-z0-9_-][A-Za-z0-9._-]*"
_KEY = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_PREFIX = re.compile(rf"(?:{_COMPONENT}/)*(?:{_COMPONENT})?")


def is_component(name: str) -> bool:
    """Whether `name` can be a part of a key between two slashes.

    It cannot begin with a dot. This excludes `.` and `..`, and keeps such names free for the temporary files and lock
    files of a local store.
    """
    return re.fullmatch(_COMPONENT, name) is not None


def is_key(text: str) -> bool:
    """Whether a text consists of components (`is_component`) with single slashes between them."""
    return _KEY.fullmatch(text) is not None


def check_key(key: str) -> str:
    """Return the key. Raises `ConfigError` unless it is a key (`is_key`)."""
    if not is_key(key):
        raise ConfigError(f"{key!r} is not an object key: use only letters, digits and ._- between single slashes.")
    return key


def check_folder(folder: str) -> str:
    """Return the folder. Raises `ConfigError` unless it is empty, or the beginning of a key that ends with a slash."""
    if folder and not folder.endswith("/"):
        raise ConfigError(f"{folder!r} is not a folder of objects: it has to end with a slash.")
    return check_prefix(folder)


def check_prefix(prefix: str) -> str:
    """Return the prefix. Raises `ConfigError` unless it is empty or the beginning of a key. It can end within a
    component."""
    if not _PREFIX.fullmatch(prefix):
        raise ConfigError(f"{prefix!r} is not the beginning of an object key.")
    return prefix
