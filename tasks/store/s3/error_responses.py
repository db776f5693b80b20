"""A request to S3, and the error of `tasks.model.errors` for each error response, with the permission that is missing.

The error code of the response selects the error. If the response has no body (HEAD), or its code is not listed here,
the HTTP status selects it:

    404 no object (without a code only for HEAD) · 412 the condition failed · 416 the object is cut ·
    409, 429, SlowDown: not carried out (409 to a conditional write: a conflict) · 507 the store is full ·
    other 5xx except 501: unknown for a write, unavailable for a read ·
    401, 403 credentials or permission · redirects, a wrong region: configuration · others: `StoreError`
"""

from __future__ import annotations

from typing import Any

from tasks.model.errors import (
    AccessError,
    ConfigError,
    DamagedError,
    KafkaBackupError,
    NotFoundError,
    ObjectArchivedError,
    ObjectChangedError,
    ObjectNotFoundError,
    StoreError,
    StoreFullError,
    StoreUnavailableError,
)
from tasks.store.request import StoreRequest, printable
from tasks.store.s3.settings import S3Settings

_EXPIRED = "the session token has expired: renew the credentials"
CREDENTIALS = {
    "InvalidAccessKeyId": "the store does not know this access key: check the credentials",
    "SignatureDoesNotMatch": "the secret key does not belong to the access key: check the credentials, also "
    "for a space or a line break at their end",
    "ExpiredToken": _EXPIRED,
    "ExpiredTokenException": _EXPIRED,
    "TokenRefreshRequired": _EXPIRED,
    "InvalidToken": "the session token does not belong to these credentials: renew them",
    "InvalidTokenId": "the session token does not belong to these credentials: renew them",
    "RequestTimeTooSkewed": "this machine's clock differs from the store's by many minutes: correct the clock",
}
"""The codes for wrong credentials, and the text for each in messages."""

NOT_CARRIED_OUT = frozenset(
    {
        *("SlowDown", "Throttling", "ThrottlingException", "RequestLimitExceeded"),
        *("TooManyRequests", "TooManyRequestsException", "BandwidthLimitExceeded"),
        *("ConditionalRequestConflict", "OperationAborted", "RequestTimeout", "IncompleteBody"),
        *("BadDigest", "XAmzContentChecksumMismatch", "XAmzContentSHA256Mismatch"),  # a byte was changed on the way
    }
)
"""The codes that mean that nothing was changed. The same request can succeed later."""

_FULL = frozenset({"XMinioStorageFull", "InsufficientStorage", "QuotaExceeded", "XMinioAdminBucketQuotaExceeded"})
_OTHER_REGION_OR_ENDPOINT = frozenset(
    {
        *("PermanentRedirect", "TemporaryRedirect", "Redirect", "AuthorizationHeaderMalformed"),
        "IllegalLocationConstraintException",
    }
)
_PERMISSIONS = {
    "HeadObject": "s3:GetObject",
    "ListObjectsV2": "s3:ListBucket",
    "DeleteObjects": "s3:DeleteObject",
    "GetBucketLifecycleConfiguration": "s3:GetLifecycleConfiguration",
    "PutBucketLifecycleConfiguration": "s3:PutLifecycleConfiguration",
    "DeleteBucketLifecycle": "s3:PutLifecycleConfiguration",
    "GetObjectLockConfiguration": "s3:GetBucketObjectLockConfiguration",
}
"""The permissions of the operations whose names differ from their permissions."""


Request = StoreRequest[S3Settings]
"""`operation` is its name in the S3 API."""


def response_error(response: Any, request: Request, *, has_answered: bool) -> KafkaBackupError:
    """The error for an error response. Pure. `response` is `ClientError.response` of boto3.

    `has_answered`: this store gave an answer of S3 before. Then its endpoint is right, so a response that is not from
    S3 is a temporary failure. Without it, such a response means a wrong endpoint.
    """
    details, status = response.get("Error", {}), int(response["ResponseMetadata"]["HTTPStatusCode"])
    code = str(details.get("Code", ""))
    if code in CREDENTIALS:
        return AccessError(f"{request.place}: {CREDENTIALS[code]}.")
    if code in _OTHER_REGION_OR_ENDPOINT or status in (301, 302, 307, 308):
        return ConfigError(_other_region_or_endpoint(response, request))
    if code == "InvalidBucketName":
        return ConfigError(f"{request.settings.bucket!r} is not a valid name for a bucket: correct `bucket`.")
    if code == "InvalidObjectState" and request.operation == "GetObject":
        return ObjectArchivedError(
            f"{request.target} is archived: it cannot be read before the store brought it back. "
            "`kafka-backup thaw-objects` asks for that.",
            key=request.key,
        )
    if code == "NoSuchBucket":
        return NotFoundError(f"There is no bucket {request.place}: create it, or correct `bucket` and `endpoint`.")
    # boto3 uses the status as the code when the response has no error code of S3. Responses to HEAD never have one.
    # Any other such response was cut, or another program sent it: its 404 does not mean that there is no object.
    if code.isdigit() and status in (400, 404, 405) and request.operation != "HeadObject":
        return unreadable_response(request, has_answered=has_answered)
    if status == 404 and request.key is None:
        return _bucket_not_found(code, request, has_answered=has_answered)
    return _error_by_status(code, status, printable(str(details.get("Message", ""))), request)


def deleted_key_error(code: str, message: str, request: Request) -> KafkaBackupError | None:
    """The error for one key in the response to DeleteObjects. None if the key did not exist."""
    status = {"AccessDenied": 403, "NoSuchKey": 404, "InternalError": 500, "ServiceUnavailable": 503}.get(code, 400)
    return None if status == 404 else _error_by_status(code, status, printable(message), request)


def unreadable_response(request: Request, *, has_answered: bool) -> KafkaBackupError:
    """The error for a response that is not from S3. `has_answered`: see `response_error`."""
    if has_answered:
        return request.temporary_error(f"{request.target}: the response cannot be read")
    return not_s3(request)


def not_s3(request: Request) -> ConfigError:
    """The error for an endpoint at which another program answers."""
    return ConfigError(f"The endpoint of {request.place} does not speak S3. Check `endpoint`.")


def _error_by_status(code: str, status: int, message: str, request: Request) -> KafkaBackupError:
    condition_error = request.condition_error
    if status == 408 and code not in NOT_CARRIED_OUT:
        # A gateway sends it, possibly after S3 has carried the write out. S3 itself sends `RequestTimeout`.
        return request.temporary_error(f"{request.target}: the store answers {code or status}")
    # S3 answers 404 to a swap of an object that was deleted.
    if condition_error and (status == 412 or (status == 404 and condition_error is ObjectChangedError)):
        return condition_error(f"{request.target} is not in the expected state", key=request.key)
    if status == 404:
        return ObjectNotFoundError(f"{request.key} is not in {request.place}", key=request.key)
    if status == 416:
        return DamagedError(f"{request.target} is incomplete: it ends before the requested bytes", key=request.key)
    reason = f"{request.target}: the store answers {code or status}"
    if code in _FULL or status == 507:
        return StoreFullError(f"{reason}: no space is left there. Free space, or use another place.", key=request.key)
    if status in (401, 403):
        return AccessError(_access_denied(message, request))
    if condition_error and status == 409:
        # Amazon S3 answers 409 while another request changes the object; other stores whenever the condition fails.
        return StoreUnavailableError(reason, key=request.key, is_answer=True, is_conflict=True)
    if code in NOT_CARRIED_OUT or status in (409, 429):
        return StoreUnavailableError(reason, key=request.key, is_answer=not code.isdigit())
    if status >= 500 and status != 501:
        return request.temporary_error(reason, is_answer=bool(code) and not code.isdigit())
    if status == 501 and request.operation == "PutObject" and request.settings.sse:
        return ConfigError(f"{reason}: {message} The store does not support sse: {request.settings.sse}. Remove sse.")
    return StoreError(f"{reason}: {message}", key=request.key)


def _access_denied(message: str, request: Request) -> str:
    permission = _PERMISSIONS.get(request.operation, f"s3:{request.operation}")
    is_read = permission == "s3:GetObject"
    also = " and s3:ListBucket (without it S3 answers 403 for a missing object)" if is_read else ""
    if request.operation == "PutObject" and request.settings.object_lock_mode is not None:
        also = ", s3:PutObjectRetention for its lock"
    elif request.operation == "PutObject" and request.settings.sse is None:
        also = ", and a policy of the bucket can require encryption of every object: then set sse and sse_kms_key_id"
    elif request.operation == "PutObject" and request.settings.sse != "AES256":
        also = ", and the right to use the KMS key (kms:GenerateDataKey and kms:Decrypt)"
    answer = f" The store's message: {message}" if message else ""
    return f"{request.target}: access denied. The credentials need {permission}{also}.{answer}"


def _bucket_not_found(code: str, request: Request, *, has_answered: bool) -> KafkaBackupError:
    """The error for the response 404 to a request about a bucket, with another code than `NoSuchBucket`. S3 sends
    `NoSuchBucket` for a missing bucket. With another code, the endpoint probably contains the bucket's name already:
    then S3 treats the bucket in the request as a key."""
    reason = f"{request.place} answers {printable(code) or 404} to {request.operation}"
    if has_answered:
        return request.temporary_error(reason)
    return ConfigError(
        f"{reason}, as if the bucket were an object: remove the bucket's name from `endpoint`, or correct `path_style`."
    )


def _other_region_or_endpoint(response: Any, request: Request) -> str:
    headers = response["ResponseMetadata"].get("HTTPHeaders", {})
    region = printable(str(response.get("Error", {}).get("Region") or headers.get("x-amz-bucket-region") or ""))
    configured = request.settings.region
    if region and region != configured:
        instead = f", not {configured}" if configured else ""
        return f"{request.place} is in region {region}{instead}: set region: {region}."
    return f"{request.place} cannot be reached at this endpoint: correct `region`, `endpoint` and `access_key`."
