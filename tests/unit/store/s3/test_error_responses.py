"""The error for each error response of S3, and whether a write may have been carried out."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.model.errors import (
    AccessError,
    ConfigError,
    DamagedError,
    KafkaBackupError,
    NotFoundError,
    ObjectArchivedError,
    ObjectChangedError,
    ObjectExistsError,
    ObjectNotFoundError,
    OutcomeUnknownError,
    StoreError,
    StoreFullError,
    StoreUnavailableError,
)
from tasks.store.s3.error_responses import Request, deleted_key_error, response_error
from tasks.store.s3.settings import S3Settings

SETTINGS = S3Settings(bucket="backups", region="us-west-2")
READ = Request(settings=SETTINGS, operation="GetObject", key="a")
REQUEST = Request(settings=SETTINGS, operation="RestoreObject", key="a", is_write=True)
CREATE = Request(settings=SETTINGS, operation="PutObject", key="a", is_write=True, condition_error=ObjectExistsError)
SWAP = Request(settings=SETTINGS, operation="PutObject", key="a", is_write=True, condition_error=ObjectChangedError)


def _error(request: Request, status: int, code: str, *, has_answered: bool = True, **more: Any) -> KafkaBackupError:
    response = {"Error": {"Code": code, **more}, "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": {}}}
    return response_error(response, request, has_answered=has_answered)


@pytest.mark.parametrize(
    ("sent", "status", "code", "expected"),
    [
        (READ, 404, "NoSuchKey", ObjectNotFoundError),
        (READ, 404, "NoSuchBucket", NotFoundError),
        (READ, 416, "InvalidRange", DamagedError),
        (READ, 403, "AccessDenied", AccessError),
        (READ, 403, "InvalidObjectState", ObjectArchivedError),
        (REQUEST, 403, "AccessDenied", AccessError),
        (READ, 400, "InvalidBucketName", ConfigError),
        (CREATE, 412, "PreconditionFailed", ObjectExistsError),
        (SWAP, 412, "PreconditionFailed", ObjectChangedError),
        (SWAP, 404, "NoSuchKey", ObjectChangedError),
        (CREATE, 400, "InvalidRequest", StoreError),
        (CREATE, 501, "NotImplemented", StoreError),
    ],
)
def test_a_final_response_has_an_error_of_its_own(
    sent: Request, status: int, code: str, expected: type[KafkaBackupError]
) -> None:
    error = _error(sent, status, code)
    assert expected is type(error)
    assert not error.retryable


@pytest.mark.parametrize(
    ("status", "code"),
    [(503, "SlowDown"), (429, "TooManyRequests"), (400, "OperationAborted"), (400, "RequestTimeout")],
)  # fmt: skip
def test_a_request_that_was_not_carried_out_can_be_sent_again(status: int, code: str) -> None:
    for request in (READ, CREATE, SWAP):
        assert StoreUnavailableError is type(_error(request, status, code))


@pytest.mark.parametrize(
    ("status", "code"),
    [(500, "InternalError"), (502, "502"), (503, "503"), (503, "ServiceUnavailable"), (504, "504"), (408, "408")],
)
def test_any_other_server_or_gateway_error_leaves_the_outcome_of_a_write_unknown(status: int, code: str) -> None:
    assert StoreUnavailableError is type(_error(READ, status, code))
    for request in (CREATE, SWAP):
        assert OutcomeUnknownError is type(_error(request, status, code))


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("InvalidAccessKeyId", "the store does not know this access key"),
        ("SignatureDoesNotMatch", "the secret key does not belong to the access key"),
        ("ExpiredToken", "the session token has expired: renew the credentials"),
        ("InvalidToken", "the session token does not belong to these credentials"),
        ("RequestTimeTooSkewed", "this machine's clock differs from the store's by many minutes: correct the clock"),
    ],
)
def test_refused_credentials_are_one_sentence_without_the_text_of_the_response(code: str, expected: str) -> None:
    error = _error(READ, 403, code, Message="AKIA-marker")
    assert isinstance(error, AccessError)
    assert f"s3://backups: {expected}" in str(error)
    assert "marker" not in str(error)


def test_the_operation_decides_which_permission_is_named() -> None:
    for operation, permission in (
        ("HeadObject", "s3:GetObject and s3:ListBucket"),
        ("ListObjectsV2", "s3:ListBucket"),
        ("DeleteObjects", "s3:DeleteObject"),
        ("PutObject", "s3:PutObject"),
    ):
        error = _error(Request(settings=SETTINGS, operation=operation, key="a"), 403, "AccessDenied")
        assert f"The credentials need {permission}" in str(error)


def test_the_region_of_the_bucket_is_named_when_the_response_has_it() -> None:
    named = _error(READ, 400, "AuthorizationHeaderMalformed", Region="eu-central-1")
    assert "s3://backups is in region eu-central-1, not us-west-2: set region: eu-central-1." == str(named)
    unnamed = _error(READ, 301, "PermanentRedirect")
    assert "correct `region`, `endpoint` and `access_key`" in str(unnamed)
    assert isinstance(unnamed, ConfigError)


def test_a_response_without_a_code_of_s3_means_a_wrong_endpoint_at_first_and_a_temporary_failure_later() -> None:
    assert isinstance(_error(READ, 404, "404", has_answered=False), ConfigError)
    assert StoreUnavailableError is type(_error(READ, 404, "404"))
    assert OutcomeUnknownError is type(_error(CREATE, 400, "400"))
    head = Request(settings=SETTINGS, operation="HeadObject", key="a")
    assert isinstance(_error(head, 404, "404", has_answered=False), ObjectNotFoundError)


def test_a_delete_of_a_missing_key_is_no_error() -> None:
    request = Request(settings=SETTINGS, operation="DeleteObjects", key="a", is_write=True)
    assert deleted_key_error("NoSuchKey", "", request) is None
    assert isinstance(deleted_key_error("AccessDenied", "", request), AccessError)
    assert isinstance(deleted_key_error("InternalError", "", request), OutcomeUnknownError)


def test_text_of_the_response_is_one_short_line() -> None:
    error = _error(READ, 403, "AccessDenied", Message="no\nway\x1b[31m" + "x" * 10_000)
    assert 1 == len(str(error).splitlines())
    assert "\x1b" not in str(error)
    assert len(str(error)) < 1_000


@pytest.mark.parametrize(
    "code", ["ConditionalRequestConflict", "PreconditionFailed", "ObjectAlreadyExists", "OperationAborted"]
)
def test_a_conflict_of_a_conditional_write_is_marked(code: str) -> None:
    for request, is_conflict in ((READ, False), (CREATE, True), (SWAP, True)):
        error = _error(request, 409, code)
        assert type(error) is StoreUnavailableError
        assert is_conflict == error.is_conflict


@pytest.mark.parametrize(("status", "code"), [(507, "XMinioStorageFull"), (507, "507"), (403, "QuotaExceeded")])
def test_a_full_store_is_not_asked_again(status: int, code: str) -> None:
    error = _error(CREATE, status, code)
    assert StoreFullError is type(error)
    assert not error.retryable
    assert "no space is left there. Free space, or use another place" in str(error)


@pytest.mark.parametrize("code", ["SlowDown", "InternalError", "ServiceUnavailable"])
def test_a_busy_store_has_answered_and_a_proxy_before_it_has_not(code: str) -> None:
    for sent, is_answer in ((code, True), ("503", False)):
        error = _error(READ, 503, sent)
        assert isinstance(error, StoreUnavailableError)
        assert is_answer == error.is_answer


def test_a_listing_that_is_taken_for_an_object_names_the_endpoint() -> None:
    listing = Request(settings=SETTINGS, operation="ListObjectsV2")
    error = _error(listing, 404, "NoSuchKey", has_answered=False)
    assert ConfigError is type(error)
    assert str(error) == (
        "s3://backups answers NoSuchKey to ListObjectsV2, as if the bucket were an object: remove the bucket's name "
        "from `endpoint`, or correct `path_style`."
    )
    assert StoreUnavailableError is type(_error(listing, 404, "NoSuchKey"))


def test_a_denied_write_names_encryption_as_a_possible_reason() -> None:
    assert "can require encryption of every object: then set sse and sse_kms_key_id" in str(
        _error(CREATE, 403, "AccessDenied")
    )
    settings = S3Settings(bucket="backups", sse="aws:kms")
    encrypted = Request(settings=settings, operation="PutObject", key="a", is_write=True)
    assert "and the right to use the KMS key" in str(_error(encrypted, 403, "AccessDenied"))
    assert "want every object encrypted" not in str(_error(READ, 403, "AccessDenied"))


def test_a_store_that_cannot_encrypt_is_a_mistake_of_the_file() -> None:
    settings = S3Settings(bucket="backups", sse="AES256")
    error = _error(Request(settings=settings, operation="PutObject", key="a", is_write=True), 501, "NotImplemented")
    assert ConfigError is type(error)
    assert "Remove sse" in str(error)


@pytest.mark.parametrize(
    ("operation", "permission"),
    [
        ("RestoreObject", "s3:RestoreObject"),
        ("GetBucketLifecycleConfiguration", "s3:GetLifecycleConfiguration"),
        ("PutBucketLifecycleConfiguration", "s3:PutLifecycleConfiguration"),
        ("DeleteBucketLifecycle", "s3:PutLifecycleConfiguration"),
        ("GetBucketVersioning", "s3:GetBucketVersioning"),
        ("GetObjectLockConfiguration", "s3:GetBucketObjectLockConfiguration"),
    ],
)
def test_the_permission_that_is_missing_is_named_as_policies_name_it(operation: str, permission: str) -> None:
    error = _error(Request(settings=SETTINGS, operation=operation), 403, "AccessDenied")
    assert f"The credentials need {permission}." in str(error)
