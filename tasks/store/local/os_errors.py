"""Translates every `OSError` of the local store into an error of `tasks.model.errors`."""

from __future__ import annotations

import errno
import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tasks.model.errors import (
    AccessError,
    ConfigError,
    KafkaBackupError,
    OutcomeUnknownError,
    StoreError,
    StoreFullError,
    StoreUnavailableError,
)

_ACCESS = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_TEMPORARY = frozenset(
    {
        *(errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EREMOTEIO, errno.ENOTCONN, errno.EHOSTDOWN, errno.ENODEV),
        *(errno.EAGAIN, errno.EBUSY, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOLCK),
    }
)


@contextmanager
def translated(target: str, *, key: str | None = None, may_have_landed: bool = False) -> Iterator[None]:
    """Turns an `OSError` of the body into an error of `tasks.model.errors`.

    `target` is the store or the object, for the message. `may_have_landed`: the change of the body can be visible
    although it failed. Then a temporary error, or a full disk, becomes `OutcomeUnknownError`.
    """
    try:
        yield
    except OSError as error:
        raise _translation(error, target, key, may_have_landed) from error


def _translation(error: OSError, target: str, key: str | None, may_have_landed: bool) -> KafkaBackupError:
    reason = f"{target}: {os.strerror(error.errno) if error.errno else error}"
    if error.errno in _ACCESS:
        return AccessError(f"{reason}. {_right_to_grant(error)}.")
    if error.errno == errno.ENOTDIR and key is None:
        return ConfigError(f"{target}: a part of this path is a file and not a folder. Correct the path.")
    if error.errno in _FULL and not may_have_landed:
        return StoreFullError(f"{reason}. Free space, or use another place.", key=key)
    if error.errno not in _TEMPORARY | _FULL:
        return StoreError(reason, key=key)
    if may_have_landed:
        return OutcomeUnknownError(reason, key=key)
    return StoreUnavailableError(reason, key=key)


def _right_to_grant(error: OSError) -> str:
    """What to do about a missing permission, without a full stop at the end."""
    if error.errno == errno.EROFS:
        return "Mount the file system so that it can be written to, or use another place"
    folder = _folder_of(error.filename) if isinstance(error.filename, str) else "the folder"
    return f"User {_user_name()} needs the right to enter and read {folder} with its files; backups also write there"


def _folder_of(path: str) -> Path:
    try:
        return Path(path) if Path(path).is_dir() else Path(path).parent
    except OSError:
        return Path(path).parent


def _user_name() -> str:
    """The name of the user of this process, or its number if it has none, as in many containers."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
