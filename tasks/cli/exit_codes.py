"""Maps errors to exit codes. No other module does. docs/OPERATIONS.md lists the codes."""

from __future__ import annotations

from tasks.model.errors import (
    AccessError,
    ConfigError,
    DamagedError,
    InterruptedRunError,
    KafkaBackupError,
    LockedError,
    NotFoundError,
    ObjectArchivedError,
    RefusedError,
)

OK = 0
FAILED = 1
USAGE = 2
INCOMPLETE = 3
NOT_FOUND = 10
LOCKED = 11
ACCESS = 12
DAMAGED = 20
INTERRUPTED = 130

_CODES: tuple[tuple[type[KafkaBackupError], int], ...] = (
    (ConfigError, USAGE),
    (RefusedError, INCOMPLETE),
    (ObjectArchivedError, INCOMPLETE),
    (NotFoundError, NOT_FOUND),
    (LockedError, LOCKED),
    (AccessError, ACCESS),
    (DamagedError, DAMAGED),
    (InterruptedRunError, INTERRUPTED),
)


def exit_code_of(error: BaseException) -> int:
    """The exit code of an error. An error whose class has no code gives 1."""
    return exit_code_of_class(type(error))


def exit_code_of_class(error: type[BaseException]) -> int:
    """The exit code of all errors of this class. A class without a code gives 1."""
    if issubclass(error, KeyboardInterrupt):
        return INTERRUPTED
    return next((code for kind, code in _CODES if issubclass(error, kind)), FAILED)
