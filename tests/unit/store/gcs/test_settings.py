"""The settings of Google Cloud Storage: what contradicts itself, and what messages show."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from tasks.config.load import load_repository
from tasks.store.gcs.settings import GcsSettings


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            {"service_account_path": "/key.json", "service_account_json": SecretStr("geheim")},
            "service_account_path and service_account_json exclude each other: set one of them",
        ),
        ({"service_account_path": "key.json"}, "service_account_path should be an absolute path"),
        ({"endpoint": "http://127.0.0.1:4443"}, "uses http, so every record would be sent unencrypted"),
        ({"endpoint": "https://u:geheim@host"}, "The endpoint should be a URL without user and password"),
        (
            {"endpoint": "http://127.0.0.1:4443", "allow_http": True, "service_account_json": SecretStr("geheim")},
            "service_account_json is used only over https, because its token could be read: use https",
        ),
        ({"project": "p\n"}, "ends with a line break: remove it"),
    ],
)
def test_settings_that_cannot_be_used_are_refused_without_a_secret(changes: dict[str, object], problem: str) -> None:
    with pytest.raises(ValidationError) as refused:
        GcsSettings.model_validate({"bucket": "backups", **changes})
    assert problem in str(refused.value)
    assert "geheim" not in str(refused.value)


def test_the_location_has_the_prefix_and_the_bucket_its_endpoint() -> None:
    settings = GcsSettings(bucket="backups", prefix="team/a", endpoint="https://storage.example.com")
    assert "gs://backups/team/a" == settings.location
    assert "gs://backups at https://storage.example.com" == settings.bucket_location == settings.address
    assert "team/a/" == settings.root


def test_a_relative_key_file_counts_from_the_folder_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    (tmp_path / "file.yaml").write_text("storage: {backend: gcs, bucket: b, service_account_path: keys/gcs.json}")

    storage = load_repository(tmp_path / "file.yaml", {}).file.storage

    assert isinstance(storage, GcsSettings)
    assert f"{tmp_path}/keys/gcs.json" == storage.service_account_path
