"""A request to Azure, and the error of `tasks.model.errors` for each error response, with the permission that is
missing.

The error code of the response selects the error. If its code is not listed here, the HTTP status selects it:

    404 no blob · 412 the condition failed · 416 the blob is cut · 409 a conflict, not carried out ·
    429, ServerBusy: not carried out · 507 the store is full ·
    408, other 5xx except 501: unknown for a write, unavailable for a read ·
    401, 403 credentials or permission · redirects: configuration · others: `StoreError`

A response of Azure always has a code. One without a code is from another program, for example a gateway, or it was cut.
It does not show whether a write was carried out, so its 408, 409 and 412 leave the outcome unknown.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import parse_qs

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
    StoreError,
    StoreFullError,
    StoreUnavailableError,
)
from tasks.store.azure.settings import AzureSettings
from tasks.store.request import StoreRequest, printable

IMMUTABLE = frozenset({"BlobImmutableDueToPolicy", "BlobImmutableDueToLegalHold", "ImmutableStoragePolicyViolation"})
"""The codes for a blob that a policy or a legal hold protects."""

SNAPSHOTS = "SnapshotsPresent"
DIRECTORY = frozenset({"DirectoryIsNotEmpty", "DirectoryNotEmpty"})
"""The codes for the deletion of a directory with blobs, in an account with a hierarchical namespace."""

_NO_CONTAINER = frozenset({"ContainerNotFound", "ContainerBeingDeleted", "ContainerDisabled", "FilesystemNotFound"})
_ARCHIVED = frozenset({"BlobArchived", "BlobBeingRehydrated"})
_NOT_CARRIED_OUT = frozenset(
    {
        *("ServerBusy", "AccountBeingCreated", "SystemInUse"),
        *("Md5Mismatch", "Crc64Mismatch"),  # a byte was changed on the way
        *("RequestTimeout", "IncompleteBody"),
    }
)
"""The codes that mean that nothing was changed. The same request can succeed later."""

LEASED = frozenset({"LeaseIdMissing", "LeaseIdMismatchWithBlobOperation"})
_WRONG_NAME = frozenset({"InvalidResourceName", "InvalidUri", "RequestUrlFailedToParse", "OutOfRangeInput"})
_UNAUTHENTICATED = frozenset({"AuthenticationFailed", "InvalidAuthenticationInfo", "NoAuthenticationInformation"})
_REFUSED = {
    "AccountIsDisabled": "the storage account is disabled: enable it in Azure",
    "KeyBasedAuthenticationNotPermitted": "the account accepts no account keys and no SAS tokens that are signed with "
    "them: use an identity",
    "AuthorizationProtocolMismatch": "the SAS token allows only https: use https, or make another token",
    "AuthorizationSourceIPMismatch": "the SAS token does not allow the address of this machine: make another token",
    "AuthorizationServiceMismatch": "the SAS token is not for the blob service: make one with ss=b",
    "AuthorizationResourceTypeMismatch": "the SAS token is not for containers and blobs: make one with srt=co",
    "PublicAccessNotPermitted": "the request had no credentials: set account_key, sas_token or an identity",
}
"""The codes for credentials that the account does not accept, and the text for each in messages."""

CLOCK_TOLERANCE = timedelta(minutes=15)
"""How far the date of a request can be from Azure's clock."""

_BLOBS = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """What an operation needs: the data action of a role, and the letters of a SAS token."""

    action: str
    sas: str


PERMISSIONS = {
    "GetBlob": Permission(action=f"{_BLOBS}/read", sas="r"),
    "GetBlobProperties": Permission(action=f"{_BLOBS}/read", sas="r"),
    "ListBlobs": Permission(action=f"{_BLOBS}/read", sas="l"),
    "PutBlob": Permission(action=f"{_BLOBS}/write", sas="w"),
    "DeleteBlob": Permission(action=f"{_BLOBS}/delete", sas="d"),
    "SetBlobTier": Permission(action=f"{_BLOBS}/write", sas="w"),
}
"""The permission for each operation of the adapter."""


Request = StoreRequest[AzureSettings]
"""`operation` is a key of `PERMISSIONS`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """An error response. `code` is Azure's error code, empty if it has none. `detail` explains a failed authentication;
    it can contain a signature, so no message contains it. `date` is the header with the time of the store."""

    status: int
    code: str
    message: str = ""
    detail: str = ""
    date: str = ""


def response_error(
    response: Response, request: Request, *, has_answered: bool, now: datetime | None = None
) -> KafkaBackupError:
    """The error for an error response. Pure, except for the clock if `now` is None.

    `has_answered`: this store gave an answer of Azure before. Then its endpoint is right, so a response that is not
    from Azure is a temporary failure. Without it, such a response means a wrong endpoint.
    """
    code, status = response.code, response.status
    if status in (401, 403):
        return _refused(response, request, now or datetime.now(UTC))
    if code in _UNAUTHENTICATED:
        return AccessError(_wrong_credentials(response, request, now or datetime.now(UTC)))
    if code in _NO_CONTAINER:
        return NotFoundError(
            f"There is no container {request.place}: create it, or correct `container_name`, `account_name` and "
            "`endpoint`."
        )
    if code in _ARCHIVED:
        return ObjectArchivedError(
            f"{request.target} is archived: it cannot be read before the store brought it back. "
            "`kafka-backup thaw-objects` asks for that.",
            key=request.key,
        )
    if code in _WRONG_NAME:
        return ConfigError(
            f"There cannot be a blob {request.target}: correct `container_name`, `prefix` and `endpoint`."
        )
    if 300 <= status < 400:
        return ConfigError(f"{request.place} answers with a redirect: correct `endpoint`.")
    if not code and status < 500 and status not in (408, 416, 429):
        return unreadable_response(request, has_answered=has_answered)
    return _error_by_status(response, request)


def unreadable_response(request: Request, *, has_answered: bool) -> KafkaBackupError:
    """The error for a response that is not from Azure. `has_answered`: see `response_error`."""
    if has_answered:
        return request.temporary_error(f"{request.target}: the response cannot be read")
    return not_azure(request)


def not_azure(request: Request) -> ConfigError:
    """The error for an endpoint at which another program answers."""
    return ConfigError(f"The endpoint of {request.place} is not Azure Blob Storage. Check `endpoint`.")


def _error_by_status(response: Response, request: Request) -> KafkaBackupError:
    code, status, condition_error = response.code, response.status, request.condition_error
    reason = f"{request.target}: the store answers {code or status}"
    if code in LEASED:
        return StoreError(
            f"{request.target} has a lease of another program, so it cannot be written or deleted: end the lease.",
            key=request.key,
        )
    if code in IMMUTABLE:
        return _immutable(request)
    # Azure answers 404 or 412 to a swap of a blob that was deleted.
    is_failed = status == 412 or code == "BlobAlreadyExists"
    if condition_error and (is_failed or (status == 404 and condition_error is ObjectChangedError)):
        return condition_error(f"{request.target} is not in the expected state", key=request.key)
    if status == 404:
        return _not_found(request, reason)
    if status == 416:
        return DamagedError(f"{request.target} is incomplete: it ends before the requested bytes", key=request.key)
    if status == 507:
        return StoreFullError(f"{reason}: no space is left there. Free space, or use another place.", key=request.key)
    is_changed = code == "InvalidOperation" and "md5" in response.message.lower()  # Azurite's code for it
    if code in _NOT_CARRIED_OUT or is_changed or status in (409, 412, 429):
        is_conflict = condition_error is not None and status == 409
        return StoreUnavailableError(reason, key=request.key, is_answer=bool(code), is_conflict=is_conflict)
    if status == 408 or (status >= 500 and status != 501):
        return request.temporary_error(reason, is_answer=bool(code))
    if code == "InvalidHeaderValue" and "x-ms-version" in response.message:
        return ConfigError(f"{request.place} does not know this version of Azure's protocol: correct `endpoint`.")
    return StoreError(f"{reason}: {_first_line(response.message)}", key=request.key)


def _not_found(request: Request, reason: str) -> KafkaBackupError:
    if request.key is None:
        return ConfigError(f"{reason}: correct `account_name`, `container_name` and `endpoint`.")
    return ObjectNotFoundError(f"{request.key} is not in {request.place}", key=request.key)


def _immutable(request: Request) -> StoreError:
    """The error for a write to a protected blob. Only a blob that exists can be protected."""
    if request.condition_error is ObjectExistsError:
        return ObjectExistsError(f"{request.target} already exists, and a policy protects it", key=request.key)
    return StoreError(
        f"{request.target} cannot be replaced or deleted, because an immutability policy or a legal hold protects "
        "it. A repository replaces its heads and leases: set mutable_container to a container without such a policy.",
        key=request.key,
    )


def _refused(response: Response, request: Request, now: datetime) -> KafkaBackupError:
    code = response.code
    if code in _REFUSED:
        return AccessError(f"{request.place}: {_REFUSED[code]}.")
    if code == "UnauthorizedBlobOverwrite" and request.condition_error is ObjectExistsError:
        return ObjectExistsError(f"{request.target} already exists", key=request.key)
    is_unauthenticated = code in _UNAUTHENTICATED or "failed to authenticate" in response.message  # as Azurite says it
    if response.status == 401 or is_unauthenticated or _has_expired(request.settings, now):
        return AccessError(_wrong_credentials(response, request, now))
    return AccessError(_access_denied(response, request))


def _wrong_credentials(response: Response, request: Request, now: datetime) -> str:
    settings, account = request.settings, request.settings.account
    if _is_clock_wrong(response, now):
        what = "this machine's clock differs from the store's by many minutes: correct the clock"
    elif _has_expired(settings, now) or "not valid in the specified time frame" in response.detail:
        what = "the SAS token has expired, or is not valid yet: make a new one"
    elif account.key is not None:
        what = (
            f"the account key does not belong to the account {account.name}: check account_name and account_key, also "
            "for a space at their end"
        )
    elif account.sas is not None:
        what = "the signature of the SAS token is wrong: check sas_token, or make a new one"
    else:
        what = "the store does not accept the token of this identity: check the tenant and the account"
    return f"{request.place}: {what}."


def _is_clock_wrong(response: Response, now: datetime) -> bool:
    try:
        theirs = parsedate_to_datetime(response.date)
    except ValueError:
        return False
    return abs(theirs - now) > CLOCK_TOLERANCE if theirs.tzinfo else False


def _has_expired(settings: AzureSettings, now: datetime) -> bool:
    """Whether the settings have a SAS token that has ended, by this machine's clock."""
    sas = settings.account.sas
    if sas is None:
        return False
    try:
        [end] = parse_qs(sas.get_secret_value().lstrip("?"))["se"]
        until = datetime.fromisoformat(end)
    except (KeyError, ValueError):
        return False
    return (until if until.tzinfo else until.replace(tzinfo=UTC)) < now


def _access_denied(response: Response, request: Request) -> str:
    permission = PERMISSIONS[request.operation]
    if request.settings.account.sas is not None:
        needs = f"The SAS token needs the permission {permission.sas!r} for the container (sp=…)"
    elif request.settings.account.key is not None:
        needs = "The firewall of the storage account has to allow this machine, or the account key has to be allowed"
    else:
        needs = f"The identity needs a role with {permission.action}, and the account's firewall has to allow it"
    answer = f" The store's code: {response.code}." if response.code else ""
    return f"{request.target}: access denied. {needs}.{answer}"


def _first_line(text: str) -> str:
    return printable(text.strip().partition("\n")[0])
