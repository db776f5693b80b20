"""A single writer whose store carries a write out after its response was lost."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from hashlib import md5
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from tasks.model.errors import ObjectExistsError, OutcomeUnknownError
from tasks.store.s3 import s3_store
from tasks.store.s3.requests import S3Requests
from tasks.store.s3.s3_store import S3Store
from tasks.store.s3.settings import S3Settings
from tests.contract.stores import create

KEY = "meta/orders/log/1"


class _SlowStore:
    """The client of a store that ignores conditions, and carries out the first write `late_s` after its connection was
    cut."""

    def __init__(self, late_s: float) -> None:
        self.objects: dict[str, bytes] = {}
        self._late_s: float | None = late_s

    def head_object(self, *, Key: str, **_: Any) -> dict[str, Any]:
        if Key not in self.objects:
            metadata = {"HTTPStatusCode": 404, "HTTPHeaders": {"x-amz-request-id": "1"}}
            raise ClientError({"Error": {"Code": "404"}, "ResponseMetadata": metadata}, "HeadObject")
        data = self.objects[Key]
        return {"ETag": md5(data).hexdigest(), "LastModified": datetime.now(UTC), "ContentLength": len(data)}

    def put_object(self, *, Key: str, Body: Any, **_: Any) -> dict[str, Any]:
        data = bytes(Body.read(-1))
        if self._late_s is not None:
            late = threading.Timer(self._late_s, self.objects.__setitem__, (Key, data))
            self._late_s = None
            late.start()
            raise ReadTimeoutError(endpoint_url="https://x")
        self.objects[Key] = data
        metadata = {"HTTPHeaders": {"date": "Mon, 30 Nov 2026 21:00:00 GMT"}}
        return {"ETag": md5(data).hexdigest(), "ResponseMetadata": metadata}


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> S3Store:
    client = _SlowStore(late_s=0.5)
    monkeypatch.setattr(S3Requests, "client", property(lambda self: client))
    monkeypatch.setattr(s3_store, "_LATE_WRITE_PAUSE_S", 0.01)
    settings = S3Settings.model_validate(
        {"bucket": "b", "endpoint": "https://x", "region": "r", "access_key": "a", "secret_key": "s"}
    )
    return S3Store(settings.model_copy(update={"single_writer": True}), is_data=lambda key: key.startswith("data/"))


def test_the_next_writer_of_the_machine_waits_and_finds_the_late_write(store: S3Store) -> None:
    with pytest.raises(OutcomeUnknownError):
        create(store, KEY, b"first")

    with pytest.raises(ObjectExistsError):
        create(store, KEY, b"second")

    assert md5(b"first").hexdigest() == store.head(KEY).version


def test_the_wait_for_a_write_that_is_never_carried_out_ends(store: S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_store, "_LATE_WRITE_S", 0.1)
    began = time.monotonic()

    with pytest.raises(OutcomeUnknownError):
        create(store, KEY, b"first")

    assert time.monotonic() - began < 0.5
