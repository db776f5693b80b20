"""What S3 was asked, and what it means when it answers with an error.

The answer's code decides, or its status, where the answer has no body (HEAD) or a code that is not listed here:

    404 no object · 412 the condition failed · 409, 429, SlowDown: not carried out · other 5xx to a write: unknown ·
    401, 403 credentials or permission · 3xx, a wrong region: configuration
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tasks.model.errors import (
    AccessError,
    ConfigError,
    DamagedError,
    KafkaBackupError,
    NotFoundError,
    ObjectChangedError,
    ObjectNotFoundError,
    OutcomeUnknownError,
    StoreError,
    StoreUnavailableError,
)
from tasks.store.s3.location import S3Location

_EXPIRED = "the session token has expired: renew the credentials"
_CREDENTIALS = {
    "InvalidAccessKeyId": "the store does not know this access key: check the credentials",
    "SignatureDoesNotMatch": "the secret key does not belong to the access key: check the credentials",
    "ExpiredToken": _EXPIRED,
    "ExpiredTokenException": _EXPIRED,
    "TokenRefreshRequired": _EXPIRED,
    "InvalidToken": "the session token does not belong to these credentials: renew them",
    "InvalidTokenId": "the session token does not belong to these credentials: renew them",
    "RequestTimeTooSkewed": "this machine's clock differs from the store's by many minutes: set it right",
}
"""What the store holds against the credentials themselves."""

_NOT_CARRIED_OUT = frozenset(
    {
        *("SlowDown", "Throttling", "ThrottlingException", "RequestLimitExceeded"),
        *("TooManyRequests", "TooManyRequestsException", "BandwidthLimitExceeded", "XMinioStorageFull"),
        *("ConditionalRequestConflict", "OperationAborted", "RequestTimeout", "IncompleteBody"),
        *("BadDigest", "XAmzContentChecksumMismatch", "XAmzContentSHA256Mismatch"),  # a byte flipped on the way
    }
)
"""The store says that nothing happened, and the same request may succeed."""

_ELSEWHERE = frozenset(
    {
        *("PermanentRedirect", "TemporaryRedirect", "Redirect", "AuthorizationHeaderMalformed"),
        "IllegalLocationConstraintException",
    }
)
_PERMISSIONS = {"HeadObject": "s3:GetObject", "ListObjectsV2": "s3:ListBucket", "DeleteObjects": "s3:DeleteObject"}
"""Of the operations that are not called like the permission they need."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request: the API's name of it, and `lost`, what is raised when its condition fails."""

    location: S3Location
    operation: str
    key: str | None = None
    is_write: bool = False
    lost: type[StoreError] | None = None

    @property
    def where(self) -> str:
        """The bucket and its endpoint, for messages."""
        return place(self.location)

    @property
    def what(self) -> str:
        """The object in its bucket, for messages."""
        return f"{self.key} in {self.where}" if self.key else self.where


def place(location: S3Location) -> str:
    """The bucket and its endpoint, for messages."""
    return f"s3://{location.bucket}" + (f" at {location.endpoint}" if location.endpoint else "")


def refusal(response: Any, asked: Asked, *, has_answered: bool) -> KafkaBackupError:
    """The error that an answer comes to. Pure; `response` is boto3's, of a `ClientError`.

    `has_answered` says that this store has answered before: then its endpoint is right, and what looks like a mistake
    in it is trouble that passes.
    """
    details, status = response.get("Error", {}), int(response["ResponseMetadata"]["HTTPStatusCode"])
    code = str(details.get("Code", ""))
    if code in _CREDENTIALS:
        return AccessError(f"{asked.where}: {_CREDENTIALS[code]}.")
    if code in _ELSEWHERE or status in (301, 302, 307, 308):
        return ConfigError(_elsewhere(response, asked))
    if code == "InvalidBucketName":
        return ConfigError(f"{asked.location.bucket!r} is not a name that a bucket can have.")
    if code == "NoSuchBucket":
        return NotFoundError(f"There is no bucket {asked.where}: create it, or correct bucket and endpoint.")
    # boto3 makes a code of the status when there is no error of S3 in the answer. To HEAD there never is; elsewhere it
    # was cut, or another program answered: its 404 does not mean that there is no object.
    if code.isdigit() and status in (400, 404, 405) and asked.operation != "HeadObject":
        return unreadable(asked, has_answered=has_answered)
    return _by_status(code, status, _printable(str(details.get("Message", ""))), asked)


def item_refusal(code: str, message: str, asked: Asked) -> KafkaBackupError | None:
    """The error that one key of a DeleteObjects came to; None when the key did not exist."""
    status = {"AccessDenied": 403, "NoSuchKey": 404, "InternalError": 500, "ServiceUnavailable": 503}.get(code, 400)
    return None if status == 404 else _by_status(code, status, _printable(message), asked)


def unreadable(asked: Asked, *, has_answered: bool) -> KafkaBackupError:
    """An answer that is none of S3's. `has_answered`: see `refusal`."""
    return passing(f"{asked.what}: the answer cannot be read", asked) if has_answered else no_store(asked)


def no_store(asked: Asked) -> ConfigError:
    """What answers speaks something else."""
    return ConfigError(f"What answers for {asked.where} is no S3 store: correct the endpoint.")


def passing(reason: str, asked: Asked) -> StoreError:
    """Trouble after the request was sent: a write may have been carried out."""
    if asked.is_write:
        return OutcomeUnknownError(reason, key=asked.key)
    return StoreUnavailableError(reason, key=asked.key)


def _by_status(code: str, status: int, message: str, asked: Asked) -> KafkaBackupError:
    # A swap of an object that is gone is answered with 404.
    if asked.lost is not None and (status == 412 or (status == 404 and asked.lost is ObjectChangedError)):
        return asked.lost(f"{asked.what} is not as it was expected to be", key=asked.key)
    if status == 404:
        return ObjectNotFoundError(f"{asked.key} is not in {asked.where}", key=asked.key)
    if status == 416:
        return DamagedError(f"{asked.what} is cut: it ends before the bytes that were asked for", key=asked.key)
    if status in (401, 403):
        return AccessError(_denied(message, asked))
    answer = f"{asked.what}: the store answers {code or status}"
    if code in _NOT_CARRIED_OUT or status in (409, 429, 507):
        return StoreUnavailableError(answer, key=asked.key)
    if status >= 500 and status != 501:
        return passing(answer, asked)
    return StoreError(f"{answer}: {message}", key=asked.key)


def _denied(message: str, asked: Asked) -> str:
    permission = _PERMISSIONS.get(asked.operation, f"s3:{asked.operation}")
    is_read = permission == "s3:GetObject"
    also = " and s3:ListBucket, without which a missing object looks like a forbidden one" if is_read else ""
    said = f" The store says: {message}" if message else ""
    return f"{asked.what}: access denied. The credentials need {permission}{also}.{said}"


def _elsewhere(response: Any, asked: Asked) -> str:
    headers = response["ResponseMetadata"].get("HTTPHeaders", {})
    region = _printable(str(response.get("Error", {}).get("Region") or headers.get("x-amz-bucket-region") or ""))
    own = asked.location.region
    if region and region != own:
        return f"{asked.where} is in region {region}{f', not {own}' if own else ''}: set region: {region}."
    return (
        f"{asked.where} cannot be reached at this endpoint with these names: correct region, endpoint and access key."
    )


def _printable(text: str) -> str:
    """A stranger's words, in one line of bounded length."""
    return "".join(letter for letter in text if letter.isprintable())[:300]
