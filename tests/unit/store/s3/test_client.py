"""The client of S3 refuses an environment that would make invalid requests."""

from __future__ import annotations

import pytest

from tasks.model.errors import ConfigError
from tasks.store.registry import open_store, settings_from_url
from tasks.store.s3.settings import S3Settings

SECRET = "hunter2-marker"


@pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION"])
def test_a_line_break_in_a_variable_of_aws_is_named_without_its_value(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, f"{SECRET}\n")
    with pytest.raises(ConfigError) as caught:
        open_store(S3Settings(bucket="b", region="eu-west-1"))
    assert f"The environment variable {name} ends with a line break: remove it." == str(caught.value)


@pytest.mark.parametrize("url", ["file:///backups\r", "s3://bucket/prefix\n", "file:///a\tb"])
def test_a_control_character_in_a_storage_url_is_an_error(url: str) -> None:
    with pytest.raises(ConfigError, match=r"^The storage URL (ends with a line break|contains a tab): remove it\.$"):
        settings_from_url(url)
