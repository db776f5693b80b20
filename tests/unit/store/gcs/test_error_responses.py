"""The error for each error response of Google Cloud Storage, and whether a write may have been carried out."""

from __future__ import annotations

from contextlib import suppress
from hashlib import sha256
from typing import ClassVar

import pytest

from tasks.model.errors import (
    AccessError,
    ConfigError,
    DamagedError,
    KafkaBackupError,
    NotFoundError,
    ObjectChangedError,
    ObjectExistsError,
    ObjectNotFoundError,
    OutcomeUnknownError,
    StoreError,
    StoreUnavailableError,
)
from tasks.store.gcs.error_responses import PERMISSIONS, Request, Response, is_retained, response_error
from tasks.store.gcs.settings import GcsSettings
from tasks.store.memory.memory_store import MemoryStore
from tasks.store.protocol import Body, ObjectInfo
from tasks.store.retrying import RetryingStore

SETTINGS = GcsSettings(bucket="backups", project="billing")
READ = Request(settings=SETTINGS, operation="objects.get", key="a")
LIST = Request(settings=SETTINGS, operation="objects.list")
DELETE = Request(settings=SETTINGS, operation="objects.delete", key="a", is_write=True)
PUT = Request(settings=SETTINGS, operation="objects.insert", key="a", is_write=True)
CREATE = Request(
    settings=SETTINGS, operation="objects.insert", key="a", is_write=True, condition_error=ObjectExistsError
)
SWAP = Request(
    settings=SETTINGS, operation="objects.insert", key="a", is_write=True, condition_error=ObjectChangedError
)


def _error(
    request: Request, status: int, reason: str = "", message: str = "", *, has_answered: bool = True
) -> KafkaBackupError:
    return response_error(Response(status=status, reason=reason, message=message), request, has_answered=has_answered)


@pytest.mark.parametrize(
    ("sent", "status", "reason", "message", "expected", "sentence"),
    [
        (READ, 404, "notFound", "No such object: backups/a", ObjectNotFoundError, "a is not in gs://backups"),
        (DELETE, 404, "notFound", "No such object: backups/a", ObjectNotFoundError, "a is not in gs://backups"),
        (LIST, 404, "notFound", "Not Found", NotFoundError, "There is no bucket gs://backups: create it"),
        (SWAP, 404, "notFound", "Not Found", NotFoundError, "There is no bucket gs://backups: create it"),
        (READ, 416, "", "", DamagedError, "it ends before the requested bytes"),
        (CREATE, 412, "conditionNotMet", "", ObjectExistsError, "is not in the expected state"),
        (SWAP, 412, "conditionNotMet", "", ObjectChangedError, "is not in the expected state"),
        (PUT, 412, "orgPolicyConstraintFailed", "m", StoreError, "the store answers orgPolicyConstraintFailed: m"),
        (READ, 401, "authError", "Invalid Credentials", AccessError, "the store does not accept the credentials"),
        (READ, 401, "required", "Anonymous caller does", AccessError, "The credentials need storage.objects.get"),
        (PUT, 403, "forbidden", "m", AccessError, "need storage.objects.create, and storage.objects.delete to over"),
        (
            PUT,
            *(403, "forbidden", "caller does not have serviceusage.services.use access", AccessError),
            "the credentials need serviceusage.services.use in the project of `project`",
        ),
        (
            PUT,
            *(403, "retentionPolicyNotMet", "until 2027", ConfigError),
            "does not allow a to be overwritten, because of a retention policy or a hold. Heads, leases, pins and rest",
        ),
        (
            SWAP,
            *(403, "retentionPolicyNotMet", "until 2027", ConfigError),
            "does not allow a to be overwritten, because of a retention policy or a hold. Heads, leases, pins and rest",
        ),
        (CREATE, 403, "retentionPolicyNotMet", "m", ObjectExistsError, "a in gs://backups already exists, and a ret"),
        (CREATE, 403, "objectUnderActiveHold", "m", ObjectExistsError, "a in gs://backups already exists, and a ret"),
        (READ, 403, "sslRequired", "", ConfigError, "requires TLS: write `endpoint` with https://"),
        (READ, 400, "required", "Bucket is a requester pays bucket but no user project", ConfigError, "set `project`"),
        (READ, 400, "invalid", "User project specified is invalid.", ConfigError, "does not accept the project 'bill"),
        (PUT, 400, "invalid", "Invalid bucket name: 'backups'", ConfigError, "not a valid name for a bucket"),
        (PUT, 400, "invalid", "Invalid argument.", StoreError, "the store answers invalid: Invalid argument."),
        (PUT, 501, "notImplemented", "m", StoreError, "the store answers notImplemented: m"),
    ],
)  # fmt: skip
def test_a_final_response_has_an_error_of_its_own_in_one_sentence(
    sent: Request, status: int, reason: str, message: str, expected: type[KafkaBackupError], sentence: str
) -> None:
    error = _error(sent, status, reason, message)
    assert expected is type(error)
    assert not error.retryable
    assert sentence in str(error)
    assert 1 == len(str(error).splitlines())


@pytest.mark.parametrize(
    ("status", "reason", "message"),
    [
        (429, "rateLimitExceeded", ""),
        (429, "", ""),
        (403, "userRateLimitExceeded", ""),
        (409, "conflict", ""),
    ],
)
def test_a_request_that_was_not_carried_out_can_be_sent_again(status: int, reason: str, message: str) -> None:
    for request in (READ, LIST, DELETE, CREATE, SWAP, PUT):
        assert StoreUnavailableError is type(_error(request, status, reason, message))


def test_bytes_that_changed_on_the_way_are_sent_again() -> None:
    message = 'Provided CRC32C "AAAAAA==" doesn\'t match calculated CRC32C "mnG7TA==".'
    assert StoreUnavailableError is type(_error(CREATE, 400, "invalid", message))
    assert StoreError is type(_error(READ, 400, "invalid", message))


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
@pytest.mark.parametrize("reason", ["", "backendError"])
def test_any_other_server_error_leaves_the_outcome_of_a_write_unknown(status: int, reason: str) -> None:
    assert StoreUnavailableError is type(_error(READ, status, reason))
    for request in (CREATE, SWAP, PUT, DELETE):
        assert OutcomeUnknownError is type(_error(request, status, reason))


def test_only_a_conflict_of_a_conditional_write_counts_as_one() -> None:
    conflicts = [_error(request, 409, "conflict") for request in (CREATE, SWAP, PUT)]
    assert [True, True, False] == [one.is_conflict for one in conflicts if isinstance(one, StoreUnavailableError)]


@pytest.mark.parametrize("operation", PERMISSIONS)
def test_the_operation_decides_which_permission_is_named(operation: str) -> None:
    said = str(_error(Request(settings=SETTINGS, operation=operation, key="a"), 403, "forbidden"))
    assert "a in gs://backups: access denied. The credentials need " + PERMISSIONS[operation] in said


def test_without_a_reason_the_response_is_of_another_program_at_first_and_a_temporary_failure_later() -> None:
    for status in (400, 404, 405, 409, 412):
        assert ConfigError is type(_error(READ, status, has_answered=False))
        assert "does not speak Google Cloud Storage. Check `endpoint`." in str(_error(READ, status, has_answered=False))
        assert StoreUnavailableError is type(_error(READ, status))
        assert OutcomeUnknownError is type(_error(PUT, status))


@pytest.mark.parametrize("second", [(412, "conditionNotMet"), (403, "retentionPolicyNotMet")])
@pytest.mark.parametrize("first", [408, 409, 412, 503])
def test_a_write_whose_success_a_gateway_hid_is_found_in_the_store(first: int, second: tuple[int, str]) -> None:
    class Hidden(MemoryStore):
        answers: ClassVar = [(first, ""), second]

        def put_if_absent(self, key: str, body: Body, *, sha256: str) -> ObjectInfo:
            with suppress(ObjectExistsError):
                super().put_if_absent(key, body, sha256=sha256)
            raise _error(CREATE, *self.answers.pop(0))

    store = RetryingStore(Hidden("memory"), first_wait_ms=1)
    assert 1 == store.put_if_absent("a", [b"x"], sha256=sha256(b"x").hexdigest()).size_bytes


def test_a_retention_policy_and_a_hold_are_known_by_their_reasons() -> None:
    for reason, expected in (("retentionPolicyNotMet", True), ("objectUnderActiveHold", True), ("forbidden", False)):
        assert expected is is_retained(Response(status=403, reason=reason))


def test_the_text_of_a_response_is_shortened_and_printable() -> None:
    said = str(_error(PUT, 403, "forbidden", "a\x1b[31m\n" + "b" * 1000))
    assert said.isprintable()
    assert len(said) < 600
