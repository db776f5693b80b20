"""A request to Google Cloud Storage, and the error of `tasks.model.errors` for each error response, with the permission
that is missing.

The HTTP status selects the error, and for some statuses also the reason in the response. A response without a reason is
not from the store, or was cut. It does not show whether a write was carried out, so its 408, 409 and 412 leave the
outcome unknown:

    404 no object or no bucket · 412 the condition failed · 416 the object is cut · 400 with a wrong checksum, 409, 429:
    not carried out (409 to a conditional write: a conflict) · other 5xx except 501, 408: unknown for a write,
    unavailable for a read · 401, 403 credentials or permission, a retention policy, or too many requests ·
    others: `StoreError`
"""

from __future__ import annotations

from dataclasses import dataclass

from tasks.model.errors import (
    AccessError,
    ConfigError,
    DamagedError,
    KafkaBackupError,
    NotFoundError,
    ObjectExistsError,
    ObjectNotFoundError,
    StoreError,
    StoreUnavailableError,
)
from tasks.store.gcs.settings import GcsSettings
from tasks.store.request import StoreRequest, printable

PERMISSIONS = {
    "objects.insert": "storage.objects.create",
    "objects.get": "storage.objects.get",
    "objects.list": "storage.objects.list",
    "objects.delete": "storage.objects.delete",
    "buckets.get": "storage.buckets.get",
}
"""The permission of each operation that this backend uses."""

_ALSO = {
    "objects.insert": ", and storage.objects.delete to overwrite an object",
    "objects.get": " and storage.objects.list (without it the store answers 403 for a missing object)",
}
_RETAINED = frozenset({"retentionPolicyNotMet", "objectUnderActiveHold"})
"""The reasons for an object that a retention policy, a retention of its own or a hold protects."""

_THROTTLED = frozenset({"rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded"})


Request = StoreRequest[GcsSettings]
"""`operation` is a key of `PERMISSIONS`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """An error response. `reason` and `message` are those of the store's JSON; the reason is empty if there is none."""

    status: int
    reason: str = ""
    message: str = ""


def is_retained(response: Response) -> bool:
    """Whether the store refused to delete an object because of a retention policy, a retention of the object, or a
    hold."""
    return response.status == 403 and response.reason in _RETAINED


def response_error(response: Response, request: Request, *, has_answered: bool) -> KafkaBackupError:
    """The error for an error response. Pure.

    `has_answered`: this store gave an answer of its protocol before. Then its endpoint is right, so a response that is
    not from the store is a temporary failure. Without it, such a response means a wrong endpoint.
    """
    status = response.status
    if status == 416:
        return DamagedError(f"{request.target} is incomplete: it ends before the requested bytes", key=request.key)
    if not response.reason and status < 500 and status not in (401, 403, 408, 429):
        return unreadable_response(request, has_answered=has_answered)
    match status:
        case 401 | 403:
            return _refused(response, request)
        case 400:
            return _wrong_request(response, request)
        case 404:
            return _missing(request)
        case 412 if request.condition_error is not None:
            return request.condition_error(f"{request.target} is not in the expected state", key=request.key)
    reason = f"{request.target}: the store answers {response.reason or status}"
    if status in (409, 429):
        is_conflict = status == 409 and request.condition_error is not None
        return StoreUnavailableError(reason, key=request.key, is_answer=bool(response.reason), is_conflict=is_conflict)
    if status == 408 or (status >= 500 and status != 501):
        return request.temporary_error(reason, is_answer=bool(response.reason))
    return StoreError(f"{reason}: {printable(response.message)}", key=request.key)


def unreadable_response(request: Request, *, has_answered: bool) -> KafkaBackupError:
    """The error for a response that is not from the store. `has_answered`: see `response_error`."""
    if has_answered:
        return request.temporary_error(f"{request.target}: the response cannot be read")
    return not_gcs(request)


def not_gcs(request: Request) -> ConfigError:
    """The error for an endpoint at which another program answers."""
    return ConfigError(f"The endpoint of {request.place} does not speak Google Cloud Storage. Check `endpoint`.")


def _refused(response: Response, request: Request) -> KafkaBackupError:
    """The error for the statuses 401 and 403."""
    message = printable(response.message)
    if response.reason in _THROTTLED:
        reason = f"{request.target}: the store answers {response.reason}"
        return StoreUnavailableError(reason, key=request.key, is_answer=True)
    if response.reason in _RETAINED and request.condition_error is ObjectExistsError:
        # Only an object that exists can be protected. It can be this request's own, if an earlier response was lost.
        return ObjectExistsError(
            f"{request.target} already exists, and a retention policy or a hold protects it", key=request.key
        )
    if response.reason in _RETAINED:
        return ConfigError(
            f"{request.place} does not allow {request.key} to be overwritten, because of a retention policy or a "
            "hold. Heads, leases, pins and restores of a repository are overwritten: set mutable_bucket to a bucket "
            "without them."
        )
    if response.reason == "sslRequired":
        return ConfigError(f"{request.place} requires TLS: write `endpoint` with https://")
    answer = f" The store's message: {message}" if message else ""
    if "serviceusage" in message:
        return AccessError(
            f"{request.place}: the credentials need serviceusage.services.use in the project of `project`.{answer}"
        )
    if response.status == 401 and "Anonymous" not in message:
        return AccessError(f"{request.place}: the store does not accept the credentials. Check them.{answer}")
    permission = f"{PERMISSIONS[request.operation]}{_ALSO.get(request.operation, '')}"
    return AccessError(f"{request.target}: access denied. The credentials need {permission}.{answer}")


def _wrong_request(response: Response, request: Request) -> KafkaBackupError:
    """The error for the status 400."""
    message = printable(response.message)
    lowered = message.lower()
    reason = f"{request.target}: the store answers {response.reason}"
    if request.operation == "objects.insert" and ("crc32c" in lowered or "md5" in lowered):
        return StoreUnavailableError(f"{reason}: bytes were changed on the way", key=request.key, is_answer=True)
    if "requester pays" in lowered:
        return ConfigError(f"The requester pays for {request.place}: set `project` to the project that pays.")
    if "project" in lowered and request.settings.project is not None:
        return ConfigError(f"{request.place} does not accept the project {request.settings.project!r}: {message}")
    if "bucket name" in lowered:
        return ConfigError(f"{request.settings.bucket!r} is not a valid name for a bucket: correct `bucket`.")
    return StoreError(f"{reason}: {message}", key=request.key)


def _missing(request: Request) -> KafkaBackupError:
    """The error for the status 404. The store answers it for a missing object and for a missing bucket."""
    if request.operation in ("objects.get", "objects.delete"):
        return ObjectNotFoundError(f"{request.key} is not in {request.place}", key=request.key)
    return NotFoundError(f"There is no bucket {request.place}: create it, or correct `bucket` and `endpoint`.")
