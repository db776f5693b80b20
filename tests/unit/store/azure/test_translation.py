"""Errors of Azure's SDK are translated without their secrets."""

from __future__ import annotations

import traceback
from io import BytesIO
from typing import Any

import pytest
import requests
import urllib3

from tasks.model.errors import AccessError, KafkaBackupError
from tasks.store.azure import transport
from tasks.store.azure.azure_store import AzureStore
from tasks.store.azure.settings import AzureSettings

SIGNATURE = "hunter2-marker"
SAS: Any = f"sv=2021-12-02&sp=r&sig={SIGNATURE}"
SETTINGS = AzureSettings(account_name="account", container_name="backups", sas_token=SAS)
REFUSAL = f"""<?xml version="1.0" encoding="utf-8"?><Error><Code>AuthenticationFailed</Code><Message>m</Message>
<AuthenticationErrorDetail>Signature did not match: {SIGNATURE}</AuthenticationErrorDetail></Error>""".encode()


@pytest.mark.parametrize("status", [400, 401, 403])
def test_the_traceback_of_a_refusal_contains_no_signature(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    headers = {"Content-Type": "application/xml", "x-ms-error-code": "AuthenticationFailed"}

    def refuse(_: object, request: requests.PreparedRequest, **__: Any) -> requests.Response:
        response = requests.Response()
        response.status_code, response.request, response.url = status, request, str(request.url)
        response.headers.update(headers)
        response.raw = urllib3.HTTPResponse(BytesIO(REFUSAL), headers, status, preload_content=False)
        return response

    monkeypatch.setattr(transport._Adapter, "send", refuse)
    store = AzureStore(SETTINGS)
    for call in (
        lambda: store.get("a"),
        lambda: store.put("a", [b"x"]),
        lambda: list(store.list("")),
        lambda: store.list_folders("a/"),
        lambda: store.delete(["a"]),
    ):
        with pytest.raises(KafkaBackupError) as caught:
            call()
        assert isinstance(caught.value, AccessError)
        assert SIGNATURE not in "".join(traceback.format_exception(caught.value))
