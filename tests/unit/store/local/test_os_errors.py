"""The error of ours for each OSError of the local store, by what the operator does next."""

from __future__ import annotations

import errno
import os
import pwd

import pytest

from tasks.model.errors import (
    AccessError,
    KafkaBackupError,
    OutcomeUnknownError,
    StoreError,
    StoreFullError,
    StoreUnavailableError,
)
from tasks.store.local.os_errors import translated


def translation(code: int | None, *, may_have_landed: bool = False) -> KafkaBackupError:
    with pytest.raises(KafkaBackupError) as raised, translated("here", key="a/b", may_have_landed=may_have_landed):
        raise OSError(code, "reason") if code else OSError("no number")
    return raised.value


@pytest.mark.parametrize("code", [errno.EACCES, errno.EPERM, errno.EROFS])
def test_a_missing_permission_is_an_access_error(code: int) -> None:
    assert type(translation(code)) is AccessError


def test_a_missing_permission_says_which_user_needs_which_right_where() -> None:
    with pytest.raises(AccessError) as denied, translated("file:///backups"):
        raise PermissionError(errno.EACCES, "reason", "/backups/data/.tmp-1")
    user = pwd.getpwuid(os.geteuid()).pw_name
    assert (
        f"file:///backups: Permission denied. User {user} needs the right to enter and read /backups/data with its "
        "files; backups also write there."
    ) == str(denied.value)


@pytest.mark.parametrize("code", [errno.EIO, errno.ESTALE, errno.EMFILE, errno.ENOLCK])
def test_a_temporary_error_is_retryable_and_unknown_once_the_write_may_be_visible(code: int) -> None:
    assert type(translation(code)) is StoreUnavailableError
    assert type(translation(code, may_have_landed=True)) is OutcomeUnknownError


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_no_room_is_not_waited_for_unless_the_write_may_be_visible(code: int) -> None:
    assert type(translation(code)) is StoreFullError
    assert not translation(code).retryable
    assert type(translation(code, may_have_landed=True)) is OutcomeUnknownError


def test_every_other_error_number_is_a_store_error_that_is_not_retried() -> None:
    mapped = {AccessError, StoreFullError, StoreUnavailableError}
    others = [code for code in errno.errorcode if type(translation(code)) not in mapped]
    assert len(others) > 80
    for code in (*others, 9999, None):
        error = translation(code)
        assert type(error) is StoreError
        assert not error.retryable


def test_the_message_has_target_and_reason_and_the_error_has_the_key() -> None:
    error = translation(errno.EIO)
    assert str(error) == "here: Input/output error"
    assert isinstance(error, StoreError)
    assert error.key == "a/b"


def test_an_error_of_ours_is_not_changed() -> None:
    own = StoreError("own")
    with pytest.raises(StoreError) as raised, translated("here"):
        raise own
    assert raised.value is own
