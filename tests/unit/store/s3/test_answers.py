"""What S3's answers come to: which error, and whether a write may have been carried out."""

from __future__ import annotations

from typing import Any

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
from tasks.store.s3.answers import Asked, item_refusal, refusal
from tasks.store.s3.location import S3Location

LOCATION = S3Location(bucket="backups", region="us-west-2")
READ = Asked(location=LOCATION, operation="GetObject", key="a")
CREATE = Asked(location=LOCATION, operation="PutObject", key="a", is_write=True, lost=ObjectExistsError)
SWAP = Asked(location=LOCATION, operation="PutObject", key="a", is_write=True, lost=ObjectChangedError)


def _refusal(asked: Asked, status: int, code: str, *, has_answered: bool = True, **more: Any) -> KafkaBackupError:
    response = {"Error": {"Code": code, **more}, "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": {}}}
    return refusal(response, asked, has_answered=has_answered)


@pytest.mark.parametrize(
    ("asked", "status", "code", "expected"),
    [
        (READ, 404, "NoSuchKey", ObjectNotFoundError),
        (READ, 404, "NoSuchBucket", NotFoundError),
        (READ, 416, "InvalidRange", DamagedError),
        (READ, 403, "AccessDenied", AccessError),
        (READ, 400, "InvalidBucketName", ConfigError),
        (CREATE, 412, "PreconditionFailed", ObjectExistsError),
        (SWAP, 412, "PreconditionFailed", ObjectChangedError),
        (SWAP, 404, "NoSuchKey", ObjectChangedError),
        (CREATE, 400, "InvalidRequest", StoreError),
        (CREATE, 501, "NotImplemented", StoreError),
    ],
)
def test_an_answer_that_stays_is_its_own_error(
    asked: Asked, status: int, code: str, expected: type[KafkaBackupError]
) -> None:
    error = _refusal(asked, status, code)
    assert expected is type(error)
    assert not error.retryable


@pytest.mark.parametrize(
    ("status", "code"),
    [(503, "SlowDown"), (429, "TooManyRequests"), (409, "ConditionalRequestConflict"), (409, "OperationAborted"),
     (400, "RequestTimeout"), (507, "XMinioStorageFull")],
)  # fmt: skip
def test_what_the_store_says_it_has_not_done_is_simply_done_again(status: int, code: str) -> None:
    for asked in (READ, CREATE, SWAP):
        assert StoreUnavailableError is type(_refusal(asked, status, code))


@pytest.mark.parametrize(
    ("status", "code"), [(500, "InternalError"), (502, "502"), (503, "503"), (503, "ServiceUnavailable"), (504, "504")]
)
def test_any_other_failure_of_the_store_leaves_a_write_unknown(status: int, code: str) -> None:
    assert StoreUnavailableError is type(_refusal(READ, status, code))
    for asked in (CREATE, SWAP):
        assert OutcomeUnknownError is type(_refusal(asked, status, code))


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("InvalidAccessKeyId", "the store does not know this access key"),
        ("SignatureDoesNotMatch", "the secret key does not belong to the access key"),
        ("ExpiredToken", "the session token has expired: renew the credentials"),
        ("InvalidToken", "the session token does not belong to these credentials"),
        ("RequestTimeTooSkewed", "this machine's clock differs from the store's by many minutes: set it right"),
    ],
)
def test_what_is_held_against_the_credentials_is_one_sentence(code: str, expected: str) -> None:
    error = _refusal(READ, 403, code, Message="AKIA-marker")
    assert isinstance(error, AccessError)
    assert f"s3://backups: {expected}" in str(error)
    assert "marker" not in str(error)


def test_a_missing_permission_is_named_by_the_operation() -> None:
    for operation, permission in (
        ("HeadObject", "s3:GetObject and s3:ListBucket"),
        ("ListObjectsV2", "s3:ListBucket"),
        ("DeleteObjects", "s3:DeleteObject"),
        ("PutObject", "s3:PutObject"),
    ):
        error = _refusal(Asked(location=LOCATION, operation=operation, key="a"), 403, "AccessDenied")
        assert f"The credentials need {permission}" in str(error)


def test_another_region_is_named_where_the_store_names_it() -> None:
    told = _refusal(READ, 400, "AuthorizationHeaderMalformed", Region="eu-central-1")
    assert "s3://backups is in region eu-central-1, not us-west-2: set region: eu-central-1." == str(told)
    untold = _refusal(READ, 301, "PermanentRedirect")
    assert "correct region, endpoint and access key" in str(untold)
    assert isinstance(untold, ConfigError)


def test_an_answer_without_an_error_of_s3_is_a_wrong_endpoint_at_first_and_trouble_later() -> None:
    assert isinstance(_refusal(READ, 404, "404", has_answered=False), ConfigError)
    assert StoreUnavailableError is type(_refusal(READ, 404, "404"))
    assert OutcomeUnknownError is type(_refusal(CREATE, 400, "400"))
    head = Asked(location=LOCATION, operation="HeadObject", key="a")
    assert isinstance(_refusal(head, 404, "404", has_answered=False), ObjectNotFoundError)


def test_of_the_keys_of_a_delete_one_that_is_not_there_is_fine() -> None:
    asked = Asked(location=LOCATION, operation="DeleteObjects", key="a", is_write=True)
    assert item_refusal("NoSuchKey", "", asked) is None
    assert isinstance(item_refusal("AccessDenied", "", asked), AccessError)
    assert isinstance(item_refusal("InternalError", "", asked), OutcomeUnknownError)


def test_a_strangers_words_are_one_line_of_bounded_length() -> None:
    error = _refusal(READ, 403, "AccessDenied", Message="no\nway\x1b[31m" + "x" * 10_000)
    assert 1 == len(str(error).splitlines())
    assert "\x1b" not in str(error)
    assert len(str(error)) < 1_000
