"""Where every `OSError` of the local store ends: one table, one context manager."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from tasks.model.errors import (
    AccessError,
    KafkaBackupError,
    OutcomeUnknownError,
    StoreError,
    StoreUnavailableError,
)

_REFUSED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_PASSING = frozenset(
    {
        *(errno.ENOSPC, errno.EDQUOT),  # room can be made while we wait
        *(errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EREMOTEIO, errno.ENOTCONN, errno.EHOSTDOWN, errno.ENODEV),
        *(errno.EAGAIN, errno.EBUSY, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOLCK),
    }
)


@contextmanager
def translated(where: str, *, key: str | None = None, may_have_landed: bool = False) -> Iterator[None]:
    """Turn an `OSError` of the body into one of ours.

    `where` names the store or object in the message. `may_have_landed` says that the body's change may be visible
    although it failed: what would be "nothing changed, try again" is then `OutcomeUnknownError`.
    """
    try:
        yield
    except OSError as error:
        raise _ours(error, where, key, may_have_landed) from error


def _ours(error: OSError, where: str, key: str | None, may_have_landed: bool) -> KafkaBackupError:
    reason = f"{where}: {os.strerror(error.errno) if error.errno else error}"
    if error.errno in _REFUSED:
        return AccessError(reason)
    if error.errno not in _PASSING:
        return StoreError(reason, key=key)
    if may_have_landed:
        return OutcomeUnknownError(reason, key=key)
    return StoreUnavailableError(reason, key=key)
