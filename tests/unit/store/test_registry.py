"""From URLs and settings to stores."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from tasks.model.errors import ConfigError, NotFoundError
from tasks.store.azure.settings import AzureSettings
from tasks.store.gcs.settings import GcsSettings
from tasks.store.local.settings import LocalSettings
from tasks.store.memory.settings import MemorySettings
from tasks.store.registry import BACKENDS, KEYS, open_store, settings_from_url
from tasks.store.s3.settings import S3Settings

SDKS = ("botocore", "google.auth", "azure.core")
"""A module of the SDK of each backend that has one."""


@pytest.mark.parametrize(
    ("url", "settings"),
    [
        ("file:///backups/kafka", LocalSettings(path="/backups/kafka")),
        ("file://localhost/backups", LocalSettings(path="/backups")),
        ("file:///with%20space/%23", LocalSettings(path="/with space/#")),
        ("FILE:///upper", LocalSettings(path="/upper")),
        ("memory://demo", MemorySettings(path="demo")),
        ("s3://bucket", S3Settings(bucket="bucket")),
        ("s3://bucket/team/kafka", S3Settings(bucket="bucket", prefix="team/kafka")),
        ("gs://bucket", GcsSettings(bucket="bucket")),
        ("gs://bucket/team/kafka", GcsSettings(bucket="bucket", prefix="team/kafka")),
        ("az://account/container", AzureSettings(account_name="account", container_name="container")),
        (
            "az://account/container/team/kafka",
            AzureSettings(account_name="account", container_name="container", prefix="team/kafka"),
        ),
    ],
)
def test_a_url_stands_for_settings(url: str, settings: object) -> None:
    assert settings == settings_from_url(url)


@pytest.mark.parametrize(
    "url",
    ["", "/plain/path", "ftp://u:geheim@h/x", "file://host/geheim", "file:relative", "file://", "memory://", "memory://a/b",
     "s3://key:geheim@bucket/p", "s3://bucket/p?key=geheim", "file:///a?b=geheim", "file:///a#b", "http//geheim", "file://[geheim",
     "az://key:geheim@account/c", "az://account/c?sig=geheim", "az://account", "az://account/", "az:///container",
     "abfss://geheim@account.dfs.core.windows.net/", "wasb://geheim",
     "gs://key:geheim@bucket/p", "gs://bucket/p?key=geheim", "gcs://geheim"],
)  # fmt: skip
def test_any_other_url_is_a_configuration_error_that_shows_the_right_form(url: str) -> None:
    with pytest.raises(ConfigError) as refused:
        settings_from_url(url)
    assert "geheim" not in str(refused.value)
    assert any(form in str(refused.value) for form in ("file:///", "memory://", "s3://", "az://", "gs://", "%23"))


@pytest.mark.parametrize("prefix", ["a//b", "..", ".hidden", "a%20b"])
def test_a_url_with_an_invalid_prefix_is_a_configuration_error(prefix: str) -> None:
    with pytest.raises(ConfigError, match=r"The storage URL cannot be used: prefix .* is not a prefix") as refused:
        settings_from_url(f"s3://bucket/{prefix}")
    assert 1 == len(str(refused.value).splitlines())


def test_a_local_store_is_the_prefix_below_the_path(tmp_path: Path) -> None:
    store = open_store(LocalSettings(path=str(tmp_path), prefix="/team/kafka/"), create=True)
    store.put("a", [b"x"])
    assert b"x" == (tmp_path / "team/kafka/a").read_bytes()
    assert f"file://{tmp_path}/team/kafka" == store.location
    assert b"x" == open_store(settings_from_url(store.location)).get("a")[0]


def test_a_missing_folder_is_made_only_with_create(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        open_store(LocalSettings(path=str(tmp_path / "missing")))
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("prefix", ["..", "a/../..", ".hidden", "a b"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_prefix_that_is_not_an_object_key_is_refused(backend: str, prefix: str) -> None:
    names = {"path": "/p", "bucket": "b", "account_name": "a1", "container_name": "abc"}
    fields = {name: value for name, value in names.items() if name in KEYS[backend]}
    with pytest.raises(ValueError, match="is not a prefix"):
        BACKENDS[backend].model_validate({**fields, "prefix": prefix})


def test_memory_stores_are_shared_by_path_and_prefix_and_keep_their_objects_when_closed() -> None:
    store = open_store(MemorySettings(path="shared"))
    store.put("a", [b"x"])
    store.close()
    assert b"x" == open_store(MemorySettings(path="shared")).get("a")[0]
    for other in (MemorySettings(path="other"), MemorySettings(path="shared", prefix="team")):
        assert [] == list(open_store(other).list(""))


def test_the_keys_of_every_backend_include_backend() -> None:
    assert set(BACKENDS) == set(KEYS)
    assert [] == [name for name, keys in KEYS.items() if "backend" not in keys]


def test_importing_the_registry_imports_no_adapter_and_no_sdk() -> None:
    code = "import sys, tasks.store.registry; print(*sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    sdks = {"prefect", *SDKS} & set(shown.split())
    adapters = [name for name in shown.split() if name.startswith("tasks.store.") and name.endswith("_store")]
    assert ([], []) == (sorted(sdks), adapters)


@pytest.mark.parametrize(
    ("url", "own"),
    [
        ("file:///", None),
        ("memory://demo", None),
        ("s3://bucket", "botocore"),
        ("az://account/container", "azure.core"),
        ("gs://bucket", "google.auth"),
    ],
)
def test_opening_a_store_imports_no_sdk_of_another_backend(
    url: str, own: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    credentials = {"type": "authorized_user", "client_id": "a", "client_secret": "b", "refresh_token": "c"}
    (tmp_path / "google.json").write_text(json.dumps(credentials))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "google.json"))
    code = f"""
import sys
from tasks.store.registry import open_store, settings_from_url
open_store(settings_from_url({url!r}))
print(*sys.modules)
"""
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert {own} - {None} == set(SDKS) & set(shown.split())


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_text_of_any_backend_has_a_control_character(backend: str) -> None:
    kind = BACKENDS[backend]
    kinds = {name: str(field.annotation).lower() for name, field in kind.model_fields.items()}
    others = ("backend", "sse", "service_account_json")  # a key file of Google has line breaks
    texts = {name for name, found in kinds.items() if name not in others and "str" in found}
    mappings = {name for name in texts if kinds[name].startswith("dict")}
    values = {name: {"team": "/geheim\n"} if name in mappings else "/geheim\n" for name in texts}

    with pytest.raises(ValidationError) as refused:
        kind.model_validate(values)

    problems = {str(one["loc"][0]): one["msg"].removeprefix("Value error, ") for one in refused.value.errors()}
    problem = "ends with a line break: remove it"
    assert {name: f"team {problem}" if name in mappings else problem for name in texts} == problems


@pytest.mark.parametrize("url", ["file:///backups\r", "file:///backups%0A", "s3://bucket/prefix\n"])
def test_a_url_with_a_line_break_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="ends with a line break: remove it"):
        settings_from_url(url)
