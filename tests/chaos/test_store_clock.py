"""A clock that is wrong is an error of access that names the clock, and is not repeated for minutes.

MinIO refuses the signature itself. Azurite does not look at the time of a request, so the proxy answers for it as Azure
does. A request to Google Cloud Storage contains no time: Google refuses the token.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from tasks.model.errors import AccessError
from tasks.store.azure.azure_store import AzureStore
from tasks.store.gcs.gcs_store import GcsStore
from tasks.store.protocol import ObjectStore
from tasks.store.retrying import RetryingStore
from tasks.store.s3.s3_store import S3Store
from tests.support.azurite import ACCOUNT, Azurite
from tests.support.fake_gcs import FakeGcs
from tests.support.object_stores import MinIO
from tests.support.tcp_proxy import Answer, TcpProxy

WRONG = timedelta(hours=1)
IN_FORCE_MS = 60_000


class _AzureRefusal(Answer):
    """Azure's refusal of a request whose date is too far from its own."""

    @property
    def headers(self) -> Mapping[str, str]:
        theirs = datetime.now(UTC) + WRONG
        return {**super().headers, "Date": format_datetime(theirs, usegmt=True), "x-ms-error-code": self.code}


def _assert_names_the_clock(store: ObjectStore) -> None:
    patient, began = RetryingStore(store, deadline_ms=IN_FORCE_MS), time.monotonic()
    for use in (lambda: patient.put("a", [b"x"]), lambda: patient.get("a"), lambda: list(patient.list(""))):
        with pytest.raises(AccessError, match=r"This machine's clock|this machine's clock"):
            use()
    assert time.monotonic() - began < IN_FORCE_MS / 2_000, "a wrong clock is not repeated until the deadline"


@pytest.mark.minio
def test_s3_refuses_a_signature_of_another_hour(minio: MinIO, monkeypatch: pytest.MonkeyPatch) -> None:
    store = S3Store(minio.settings(minio.new_bucket()))

    def wrong(*_: object) -> datetime:
        return datetime.now(UTC).replace(tzinfo=None) + WRONG

    monkeypatch.setattr("botocore.auth.get_current_datetime", wrong)
    _assert_names_the_clock(store)


@pytest.mark.azurite
def test_azure_refuses_a_request_of_another_hour(azurite: Azurite) -> None:
    container = azurite.new_container()
    with TcpProxy(azurite.port) as proxy:
        proxy.refuse_when(lambda request: True, _AzureRefusal(403, "AuthenticationFailed"))
        _assert_names_the_clock(AzureStore(azurite.settings(container, endpoint=f"{proxy.endpoint}/{ACCOUNT}")))


@pytest.mark.fake_gcs
def test_google_refuses_a_token_of_another_hour(fake_gcs_tls: FakeGcs) -> None:
    """The description is that of Google's token endpoint."""
    store = GcsStore(fake_gcs_tls.settings(fake_gcs_tls.new_bucket()))
    reason = "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your "
    description = f"{reason}iat and exp values in the JWT claim."
    fake_gcs_tls.tokens.refusal = (400, {"error": "invalid_grant", "error_description": description})
    try:
        _assert_names_the_clock(store)
    finally:
        fake_gcs_tls.tokens.refusal = None
