"""A deletion that is repeated after a failure counts every object that the store only hides, once."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Iterable
from io import BytesIO
from typing import Any

import pytest
import requests
import urllib3
from requests.adapters import HTTPAdapter

from tasks.model.errors import Deleted, StoreUnavailableError, UndeletedError
from tasks.store.azure.azure_store import AzureStore
from tasks.store.azure.settings import AzureSettings
from tasks.store.gcs.gcs_store import GcsStore
from tasks.store.gcs.settings import GcsSettings
from tasks.store.memory.memory_store import MemoryStore
from tasks.store.protocol import ObjectStore
from tasks.store.retrying import RetryingStore
from tasks.store.split import SplitStore

KEYS = [f"data/x{number:03d}" for number in range(100)]
KEY: Any = b64encode(b"key").decode()


def _azure() -> ObjectStore:
    return AzureStore(AzureSettings(account_name="account", container_name="backups", account_key=KEY))


def _gcs() -> ObjectStore:
    return GcsStore(GcsSettings(bucket="backups", endpoint="http://127.0.0.1:9", allow_http=True))


class _Versions:
    """A server of a bucket with versions. It refuses the first deletion of each key in `busy`, and each deletion of a
    key in `denied`."""

    def __init__(self, *, busy: Iterable[str] = (), denied: Iterable[str] = ()) -> None:
        self.alive, self.busy, self.denied = set(KEYS), set(busy), set(denied)

    def send(self, request: requests.PreparedRequest) -> tuple[int, str]:
        """The status and the reason of the answer."""
        if request.method == "GET":
            return 200, ""
        key = str(request.url).partition("?")[0].replace("%2F", "/")[-len(KEYS[0]) :]
        if key in self.busy:
            self.busy.remove(key)
            return 503, "ServerBusy"
        if key in self.denied:
            return 403, "forbidden"
        if key not in self.alive:
            return 404, "BlobNotFound"
        self.alive.remove(key)
        return 202, ""


def _serve(versions: _Versions, monkeypatch: pytest.MonkeyPatch) -> None:
    def send(_: object, request: requests.PreparedRequest, **__: Any) -> requests.Response:
        status, reason = versions.send(request)
        error = {"error": {"message": "m", "errors": [{"reason": reason}]}}
        body = json.dumps(error if reason else {"name": "backups", "versioning": {"enabled": True}}).encode()
        headers = {"x-ms-delete-type-permanent": "false", "Content-Type": "application/json"}
        headers |= {"x-ms-error-code": reason} if reason else {}
        response = requests.Response()
        response.status_code, response.request, response.url = status, request, str(request.url)
        response.headers.update(headers)
        response.raw = urllib3.HTTPResponse(BytesIO(body), headers, status, preload_content=False)
        return response

    monkeypatch.setattr(HTTPAdapter, "send", send)


@pytest.mark.parametrize("open_store", [_azure, _gcs])
def test_what_a_failed_attempt_has_hidden_is_counted(
    open_store: Callable[[], ObjectStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = _Versions(busy=[KEYS[40], KEYS[41], KEYS[99]])
    _serve(versions, monkeypatch)

    hidden = RetryingStore(open_store(), first_wait_ms=1).delete([*KEYS, "data/x999"])

    assert (100, set()) == (hidden, versions.alive)


@pytest.mark.parametrize("open_store", [_azure, _gcs])
def test_it_is_counted_also_if_another_object_stays(
    open_store: Callable[[], ObjectStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = _Versions(busy=[KEYS[99]], denied=[KEYS[3]])
    _serve(versions, monkeypatch)

    with pytest.raises(UndeletedError) as kept:
        RetryingStore(open_store(), first_wait_ms=1).delete(KEYS)

    assert ([KEYS[3]], 99) == (list(kept.value.denied), kept.value.hidden)
    assert {KEYS[3]} == versions.alive


class _Hiding(MemoryStore):
    """Hides each object that exists. Its first deletions fail after one object."""

    def __init__(self, name: str, *, failures: int) -> None:
        super().__init__(name)
        self.failures = failures

    def delete(self, keys: Iterable[str]) -> int:
        doomed = list(keys)
        part = doomed[:1] if self.failures else doomed
        existing = {info.key for info in self.list("")}
        super().delete(part)
        hidden = len(existing.intersection(part))
        if self.failures:
            self.failures -= 1
            error = StoreUnavailableError("busy")
            error.deleted = Deleted(keys=frozenset(part), hidden=hidden)
            raise error
        return hidden


def test_with_two_places_the_objects_of_both_are_counted() -> None:
    fixed, mutable = _Hiding("fixed", failures=1), _Hiding("mutable", failures=2)
    split = SplitStore(fixed, mutable, is_immutable=lambda key: key.startswith("data/"))
    keys = [*KEYS, *(f"heads/{number}" for number in range(5))]
    for key in keys:
        split.put(key, [b"x"])

    assert 105 == RetryingStore(split, first_wait_ms=1).delete(keys)
    assert [] == list(split.list(""))
