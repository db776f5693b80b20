"""Exit codes, by which scripts decide what to do next."""

from __future__ import annotations

import pytest

from tasks.cli.exit_codes import exit_code_of
from tasks.model import errors

EXPECTED = {
    errors.KafkaBackupError: 1,
    errors.ConfigError: 2,
    errors.UnsupportedError: 2,
    errors.RefusedError: 3,
    errors.NotFoundError: 10,
    errors.LockedError: 11,
    errors.AccessError: 12,
    errors.UndeletedError: 12,
    errors.DamagedError: 20,
    errors.SignatureError: 20,
    errors.InterruptedRunError: 130,
    errors.StoreError: 1,
    errors.StoreFullError: 1,
    errors.ObjectNotFoundError: 1,
    errors.ObjectExistsError: 1,
    errors.ObjectChangedError: 1,
    errors.ObjectArchivedError: 3,
    errors.StoreUnavailableError: 1,
    errors.OutcomeUnknownError: 1,
    errors.CommitError: 1,
    errors.NothingCapturedError: 1,
    errors.RunClosedError: 1,
    errors.PreconditionError: 1,
    errors.BrokerError: 1,
    errors.BrokerUnavailableError: 1,
    errors.TopicGoneError: 1,
    errors.OffsetOutOfRangeError: 1,
    errors.UnsupportedBatchError: 1,
}


def _family(kind: type[errors.KafkaBackupError]) -> set[type[errors.KafkaBackupError]]:
    return {kind, *(member for child in kind.__subclasses__() for member in _family(child))}


def test_every_error_class_has_an_expected_exit_code_here() -> None:
    assert EXPECTED.keys() == _family(errors.KafkaBackupError)


@pytest.mark.parametrize(
    ("kind", "expected"), EXPECTED.items(), ids=lambda value: getattr(value, "__name__", str(value))
)
def test_every_error_class_has_its_exit_code(kind: type[errors.KafkaBackupError], expected: int) -> None:
    assert expected == exit_code_of(kind.__new__(kind))


def test_the_docstring_of_the_errors_names_every_class() -> None:
    drawn = errors.__doc__ or ""

    assert [] == [kind.__name__ for kind in EXPECTED if kind.__name__ not in drawn]


def test_an_error_of_another_class_has_exit_code_1() -> None:
    assert 1 == exit_code_of(RuntimeError())
    assert 130 == exit_code_of(KeyboardInterrupt())
