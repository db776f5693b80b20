"""The error for each error response of Azure, and whether a write may have been carried out."""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime
from email.utils import format_datetime
from hashlib import sha256
from typing import Any

import pytest
from azure.storage.blob import StorageErrorCode

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
from tasks.store.azure.error_responses import PERMISSIONS, Request, Response, response_error
from tasks.store.azure.settings import AzureSettings
from tasks.store.memory.memory_store import MemoryStore
from tasks.store.protocol import Body, ObjectInfo
from tasks.store.retrying import RetryingStore

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
KEY = b64encode(b"geheim").decode()
WITH_KEY = AzureSettings(account_name="account", container_name="backups", account_key=KEY)  # type: ignore[arg-type]
WITH_TOKEN = AzureSettings(account_name="account", container_name="backups")


def _with_sas(end: str) -> AzureSettings:
    sas: Any = f"sv=2021-12-02&se={end}&sp=rl&sig=geheim"
    return AzureSettings(account_name="account", container_name="backups", sas_token=sas)


WITH_SAS = _with_sas("2027-01-01T00%3A00%3A00Z")
READ = Request(settings=WITH_KEY, operation="GetBlob", key="a")
LIST = Request(settings=WITH_KEY, operation="ListBlobs")
PUT = Request(settings=WITH_KEY, operation="PutBlob", key="a", is_write=True)
CREATE = Request(settings=WITH_KEY, operation="PutBlob", key="a", is_write=True, condition_error=ObjectExistsError)
SHA256 = sha256(b"x").hexdigest()
SWAP = Request(settings=WITH_KEY, operation="PutBlob", key="a", is_write=True, condition_error=ObjectChangedError)


def _error(request: Request, status: int, code: str, *, has_answered: bool = True, **more: Any) -> KafkaBackupError:
    response = Response(status=status, code=code, **more)
    return response_error(response, request, has_answered=has_answered, now=NOW)


@pytest.mark.parametrize(
    ("sent", "status", "code", "expected"),
    [
        (READ, 404, "BlobNotFound", ObjectNotFoundError),
        (READ, 404, "ContainerNotFound", NotFoundError),
        (READ, 409, "ContainerBeingDeleted", NotFoundError),
        (LIST, 404, "ResourceNotFound", ConfigError),
        (READ, 416, "InvalidRange", DamagedError),
        (READ, 403, "AuthorizationPermissionMismatch", AccessError),
        (READ, 409, "BlobArchived", ObjectArchivedError),
        (READ, 409, "BlobBeingRehydrated", ObjectArchivedError),
        (READ, 400, "InvalidResourceName", ConfigError),
        (READ, 400, "InvalidAuthenticationInfo", AccessError),
        (CREATE, 409, "BlobAlreadyExists", ObjectExistsError),
        (CREATE, 412, "ConditionNotMet", ObjectExistsError),
        (CREATE, 403, "UnauthorizedBlobOverwrite", ObjectExistsError),
        (CREATE, 409, "BlobImmutableDueToPolicy", ObjectExistsError),
        (SWAP, 412, "ConditionNotMet", ObjectChangedError),
        (SWAP, 409, "BlobAlreadyExists", ObjectChangedError),
        (SWAP, 404, "BlobNotFound", ObjectChangedError),
        (SWAP, 412, "LeaseIdMissing", StoreError),
        (SWAP, 409, "BlobImmutableDueToPolicy", StoreError),
        (PUT, 409, "BlobImmutableDueToPolicy", StoreError),
        (PUT, 403, "UnauthorizedBlobOverwrite", AccessError),
        (PUT, 507, "", StoreFullError),
        (PUT, 400, "InvalidHeaderValue", StoreError),
        (PUT, 501, "NotImplemented", StoreError),
        (PUT, 307, "", ConfigError),
    ],
)
def test_a_final_response_has_an_error_of_its_own(
    sent: Request, status: int, code: str, expected: type[KafkaBackupError]
) -> None:
    error = _error(sent, status, code)
    assert expected is type(error)
    assert not error.retryable
    assert 1 == len(str(error).splitlines())


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (503, "ServerBusy"),
        (429, "TooManyRequests"),
        (400, "Md5Mismatch"),
        (409, "AccountBeingCreated"),
        (408, "RequestTimeout"),
    ],
)
def test_a_request_that_was_not_carried_out_can_be_sent_again(status: int, code: str) -> None:
    for request in (READ, CREATE, SWAP, PUT):
        assert StoreUnavailableError is type(_error(request, status, code))


@pytest.mark.parametrize(
    ("status", "code"),
    [
        *((500, "InternalError"), (500, "OperationTimedOut"), (408, "SomethingNew")),
        *((502, ""), (503, ""), (504, ""), (408, ""), (409, ""), (412, "")),
    ],
)
def test_any_other_server_error_leaves_the_outcome_of_a_write_unknown(status: int, code: str) -> None:
    assert StoreUnavailableError is type(_error(READ, status, code))
    for request in (CREATE, SWAP, PUT):
        assert OutcomeUnknownError is type(_error(request, status, code))


@pytest.mark.parametrize(
    ("settings", "more", "expected"),
    [
        (WITH_KEY, {}, "the account key does not belong to the account account: check account_name and account_key"),
        (WITH_SAS, {}, "the signature of the SAS token is wrong: check sas_token, or make a new one"),
        (_with_sas("2026-11-30"), {}, "the SAS token has expired, or is not valid yet: make a new one"),
        (_with_sas("2026-11-30T11%3A59Z"), {}, "the SAS token has expired, or is not valid yet: make a new one"),
        (WITH_SAS, {"detail": "Signature not valid in the specified time frame: geheim"}, "the SAS token has expired"),
        (WITH_TOKEN, {}, "the store does not accept the token of this identity: check the tenant and the account"),
        (WITH_KEY, {"date": "Mon, 30 Nov 2026 12:20:00 GMT"}, "this machine's clock differs from the store's by many"),
    ],
)
def test_refused_credentials_are_one_sentence_without_the_text_of_the_response(
    settings: AzureSettings, more: dict[str, str], expected: str
) -> None:
    date: dict[str, Any] = {"date": format_datetime(NOW, usegmt=True)}
    request = Request(settings=settings, operation="GetBlob", key="a")
    for status, code in ((403, "AuthenticationFailed"), (401, "NoAuthenticationInformation")):
        error = _error(request, status, code, message="geheim", **{**date, **more})
        assert AccessError is type(error)
        assert f"az://account/backups: {expected}" in str(error)
        assert "geheim" not in str(error)


def test_a_sas_token_that_has_expired_is_named_whatever_the_code_is() -> None:
    request = Request(settings=_with_sas("2026-11-29"), operation="GetBlob", key="a")
    assert "the SAS token has expired" in str(_error(request, 403, "AuthorizationFailure"))


@pytest.mark.parametrize("operation", PERMISSIONS)
def test_the_operation_decides_which_permission_is_named(operation: str) -> None:
    permission = PERMISSIONS[operation]
    for settings, named in ((WITH_SAS, f"the permission {permission.sas!r}"), (WITH_TOKEN, permission.action)):
        request = Request(settings=settings, operation=operation, key="a")
        said = str(_error(request, 403, "AuthorizationPermissionMismatch"))
        assert named in said
        assert "a in az://account/backups: access denied." in said


def test_a_response_without_a_code_of_azure_means_a_wrong_endpoint_at_first_and_a_temporary_failure_later() -> None:
    for status in (200, 400, 404, 405, 409, 412):
        assert ConfigError is type(_error(READ, status, "", has_answered=False))
        assert StoreUnavailableError is type(_error(READ, status, ""))
        assert OutcomeUnknownError is type(_error(PUT, status, ""))


@pytest.mark.parametrize("status", [408, 409, 412])
def test_a_write_whose_success_a_gateway_hid_is_found_in_the_store(status: int) -> None:
    class Hidden(MemoryStore):
        is_hidden = True

        def put_if_absent(self, key: str, body: Body, *, sha256: str) -> ObjectInfo:
            info = super().put_if_absent(key, body, sha256=sha256)
            if self.is_hidden:
                self.is_hidden = False
                raise _error(CREATE, status, "")
            return info

    store = Hidden("memory")
    assert 1 == RetryingStore(store, first_wait_ms=1).put_if_absent("a", [b"x"], sha256=SHA256).size_bytes
    with pytest.raises(ObjectExistsError):
        RetryingStore(store).put_if_absent("a", [b"x"], sha256=SHA256)


def test_an_unknown_conflict_says_that_the_blob_itself_shows_what_happened() -> None:
    for request in (CREATE, SWAP):
        error = _error(request, 409, "SomethingNew")
        assert isinstance(error, StoreUnavailableError)
        assert error.is_conflict


def test_a_byte_that_changed_on_the_way_is_sent_again_also_with_the_code_of_azurite() -> None:
    error = _error(PUT, 400, "InvalidOperation", message="Provided contentMD5 doesn't match.")
    assert StoreUnavailableError is type(error)
    assert StoreError is type(
        _error(PUT, 400, "InvalidOperation", message="Invalid operation against a blob snapshot.")
    )


def test_an_old_server_that_does_not_know_the_protocols_version_is_named() -> None:
    error = _error(READ, 400, "InvalidHeaderValue", message="The value for x-ms-version is not known")
    assert ConfigError is type(error)
    assert "does not know this version of Azure's protocol" in str(error)


@pytest.mark.parametrize("code", sorted({str(one.value) for one in StorageErrorCode}))
def test_every_code_of_the_sdk_becomes_an_error_of_ours_in_one_line(code: str) -> None:
    for request in (READ, LIST, CREATE, SWAP, PUT):
        for status in (400, 403, 404, 409, 412, 500):
            error = _error(request, status, code, message="first\nRequestId:geheim")
            assert isinstance(error, KafkaBackupError)
            assert 1 == len(str(error).splitlines())
            assert "geheim" not in str(error)
            if request.is_write and status == 500 and error.retryable and code != "ServerBusy":
                assert isinstance(error, StoreError)
