"""The settings of a container: what is refused, what a connection string means, and that no text shows a secret."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest
from pydantic import ValidationError

from tasks.model.setting_fields import validation_problems
from tasks.store.azure.settings import AzureSettings

SECRET = "geheim"
KEY = b64encode(SECRET.encode()).decode()
SAS = f"sv=2021-12-02&sp=rl&sig={SECRET}"


def _problems(**fields: Any) -> str:
    with pytest.raises(ValidationError) as refused:
        AzureSettings(**fields)
    return validation_problems(refused.value)


@pytest.mark.parametrize(
    "fields",
    [
        {"account_name": "account", "account_key": KEY},
        {"account_name": "account", "sas_token": f"?{SAS}"},
        {"connection_string": f"AccountName=account;AccountKey={KEY}"},
        {"account_name": "account", "client_id": "c", "tenant_id": "t", "client_secret": SECRET},
    ],
)
def test_no_text_of_the_settings_shows_a_secret(fields: dict[str, Any]) -> None:
    settings = AzureSettings(container_name="backups", **fields)

    texts = [repr(settings), settings.model_dump_json(), settings.location, settings.address, repr(settings.account)]

    assert [] == [text for text in (*texts, repr(settings.shown_section())) if SECRET in text or KEY in text]
    assert "az://account/backups" == settings.location


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"container_name": None}, "container_name Input should be a valid string"),
        ({"container_name": ""}, "container_name should not be empty"),
        (
            {"container_name": "Backups"},
            "container_name should be 3 to 63 lower-case letters, digits and single hyphens",
        ),
        ({"container_name": "a--b"}, "container_name should be 3 to 63 lower-case letters"),
        ({"container_name": "a" * 64}, "container_name should be 3 to 63 lower-case letters"),
        ({"account_name": None}, "account_name is missing: set it, or connection_string"),
        ({"account_name": "a.b"}, "account_name should contain only letters, digits and hyphens"),
        ({"account_key": SECRET + "!"}, "account_key is not an account key: it is not base64"),
        ({"sas_token": SECRET}, "sas_token is not a SAS token: it should look like sv=…&sp=…&se=…&sig=…"),
        ({"account_key": KEY, "sas_token": SAS}, "account_key and sas_token exclude each other: set one of them"),
        ({"sas_token": SAS, "use_workload_identity": True}, "sas_token and use_workload_identity exclude each other"),
        ({"account_key": KEY, "client_id": "c"}, "account_key needs no identity: remove client_id and tenant_id"),
        ({"client_secret": SECRET}, "client_secret belongs to client_id and tenant_id: set all three"),
        ({"tenant_id": "t"}, "tenant_id belongs to client_secret or use_workload_identity: set one of them"),
        ({"connection_string": SECRET, "account_name": None}, "connection_string is not one: it should look like"),
        ({"connection_string": "AccountName=a1", "account_name": None}, "should contain either a key or a signature"),
        ({"connection_string": f"AccountName=a1;AccountKey={KEY}"}, "connection_string and account_name exclude each"),
        ({"endpoint": f"https://user:{SECRET}@host"}, "The endpoint should be a URL without user and password"),
        ({"endpoint": "http://azurite:10000/a", "account_key": KEY}, "use https, or set allow_http: true"),
        ({"endpoint": "http://azurite:10000/a", "allow_http": True}, "tokens of an identity are sent only over https"),
        ({"prefix": "a//b"}, "prefix 'a//b' is not a prefix"),
        ({"connect_timeout_ms": 999}, "connect_timeout_ms Input should be greater than or equal to 1000"),
        ({"bucket": SECRET}, "bucket Extra inputs are not permitted"),
    ],
)
def test_wrong_settings_are_refused_in_one_line_without_a_secret(fields: dict[str, object], expected: str) -> None:
    problems = _problems(**{"container_name": "backups", "account_name": "account", **fields})

    assert expected in problems
    assert SECRET not in problems
    assert KEY not in problems
    assert 1 == len(problems.splitlines())


@pytest.mark.parametrize(
    ("text", "name", "url"),
    [
        (
            f"DefaultEndpointsProtocol=https;AccountName=account;AccountKey={KEY};EndpointSuffix=core.chinacloudapi.cn",
            *("account", "https://account.blob.core.chinacloudapi.cn"),
        ),
        (f"AccountName=account;AccountKey={KEY};", "account", "https://account.blob.core.windows.net"),
        (
            f"BlobEndpoint=https://account.blob.core.windows.net/;SharedAccessSignature={SAS}",
            *("account", "https://account.blob.core.windows.net"),
        ),
        (
            f"accountname=dev;accountkey={KEY};blobendpoint=https://127.0.0.1:10000/dev",
            *("dev", "https://127.0.0.1:10000/dev"),
        ),
        (f"BlobEndpoint=https://127.0.0.1:10000/dev;AccountKey={KEY}", "dev", "https://127.0.0.1:10000/dev"),
    ],
)
def test_a_connection_string_means_an_account_with_its_secret(text: str, name: str, url: str) -> None:
    account = AzureSettings(container_name="backups", connection_string=text).account  # type: ignore[arg-type]

    assert (name, url) == (account.name, account.url)
    secrets = [one.get_secret_value() for one in (account.key, account.sas) if one is not None]
    assert secrets in ([KEY], [SAS])


def test_a_container_in_another_cloud_is_named_with_its_endpoint() -> None:
    settings = AzureSettings(
        account_name="account", container_name="backups", endpoint="https://account.blob.core.usgovcloudapi.net"
    )
    assert "az://account/backups at https://account.blob.core.usgovcloudapi.net" == settings.container_location
    own = AzureSettings(account_name="account", container_name="backups")
    assert "az://account/backups" == own.container_location
