"""The error for each answer of AWS STS while a store obtains the credentials of its role."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import botocore.client
import pytest
from botocore.exceptions import ClientError

from tasks.model.errors import AccessError, ConfigError, KafkaBackupError, StoreUnavailableError
from tasks.store.s3.error_responses import Request
from tasks.store.s3.role_errors import role_error
from tasks.store.s3.s3_store import S3Store
from tasks.store.s3.settings import S3Settings

ROLE = "arn:aws:iam::123456789012:role/backup"
KEYS: Any = {"access_key": "a", "secret_key": "s"}
SETTINGS = S3Settings(bucket="backups", region="eu-central-1", role_arn=ROLE, **KEYS)
ANSWERS = [
    (403, "AccessDenied", AccessError, "The credentials need sts:AssumeRole for this role, and its trust policy"),
    (403, "ExpiredToken", AccessError, "the session token has expired: renew the credentials."),
    (403, "InvalidClientTokenId", AccessError, "STS does not know this access key: check the credentials."),
    (400, "ValidationError", ConfigError, "correct `role_arn` and `external_id`. STS answers ValidationError: said."),
    (403, "RegionDisabledException", ConfigError, "STS is disabled in this region: activate it in the account, or set"),
    (404, "404", ConfigError, "the endpoint of STS does not speak its protocol. Check AWS_ENDPOINT_URL_STS."),
    (400, "Throttling", StoreUnavailableError, "STS answers Throttling"),
    (429, "", StoreUnavailableError, "STS answers 429"),
    (500, "InternalFailure", StoreUnavailableError, "STS answers InternalFailure"),
    (503, "503", StoreUnavailableError, "STS answers 503"),
]


def _response(status: int, code: str) -> Any:
    return {"Error": {"Code": code, "Message": "said."}, "ResponseMetadata": {"HTTPStatusCode": status}}


@pytest.fixture
def sts(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """`sts["answer"]` is the status and the code with which STS answers."""
    answers: dict[str, Any] = {}
    real = botocore.client.BaseClient._make_api_call

    def call_api(self: Any, operation: str, parameters: Any) -> Any:
        if operation == "AssumeRole":
            raise ClientError(_response(*answers["answer"]), operation)
        return real(self, operation, parameters)

    monkeypatch.setattr(botocore.client.BaseClient, "_make_api_call", call_api)
    return answers


CALLS: list[Callable[[S3Store], object]] = [
    lambda store: store.get("heads/orders.json"),
    lambda store: store.put("heads/orders.json", [b"x"]),
    lambda store: store.put_if_absent("heads/orders.json", [b"x"], sha256="00" * 32),
    lambda store: list(store.list("")),
    lambda store: store.delete(["heads/orders.json"]),
]


@pytest.mark.parametrize("call", CALLS)
def test_an_answer_of_sts_names_the_role_and_no_right_of_s3(
    call: Callable[[S3Store], object], sts: dict[str, Any]
) -> None:
    store = S3Store(SETTINGS)
    for status, code, expected, sentence in ANSWERS:
        sts["answer"] = (status, code)
        with pytest.raises(KafkaBackupError) as caught:
            call(store)
        assert expected is type(caught.value), "also for a write, because nothing was sent to the store"
        assert f"s3://backups: no credentials of the role {ROLE}" in str(caught.value)
        assert sentence in str(caught.value)
        assert "s3:" not in str(caught.value).replace("s3://", "")


def test_a_refused_token_of_an_identity_provider_names_the_right_for_it() -> None:
    request = Request(settings=SETTINGS, operation="PutObject", key="a", is_write=True)
    for code, named in (("AccessDenied", "need sts:AssumeRoleWithWebIdentity"), ("InvalidIdentityToken", "its issuer")):
        error = role_error(_response(403, code), "AssumeRoleWithWebIdentity", request)
        assert AccessError is type(error)
        assert named in str(error)


def test_a_role_of_a_profile_has_no_name_here() -> None:
    settings = S3Settings(bucket="backups", profile="production")
    request = Request(settings=settings, operation="GetObject", key="a")
    assert "the role of the profile: access denied" in str(
        role_error(_response(403, "AccessDenied"), "AssumeRole", request)
    )
