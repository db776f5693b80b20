"""The folder of a repository: absolute, wherever it was written."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from tasks.model.errors import ConfigError
from tasks.model.setting_fields import validation_problems
from tasks.store.local.settings import LocalSettings, folder_path


@pytest.mark.parametrize("path", ["backups", "./backups", "~/backups", "~", "../backups"])
def test_settings_take_absolute_paths_only(path: str) -> None:
    with pytest.raises(ValidationError) as refused:
        LocalSettings(path=path)
    assert "path should be an absolute path, such as /backups/kafka" == validation_problems(refused.value)


@pytest.mark.parametrize("path", ["/backups\r", "/backups\n", "/back\x00ups"])
def test_a_path_with_a_control_character_is_refused(path: str) -> None:
    with pytest.raises(ValidationError, match=r"line break|control character"):
        LocalSettings(path=path)


def test_a_written_path_counts_from_its_base_and_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ops")
    base = Path("/etc/kafka-backup")
    assert "/etc/kafka-backup/backups" == folder_path("./backups", base=base)
    assert "/etc/kafka-backup/../backups" == folder_path("../backups", base=base)
    assert "/home/ops/backups" == folder_path("~/backups", base=base)
    assert "/absolute" == folder_path("/absolute", base=base)
    assert "/etc/kafka-backup/a/~" == folder_path("a/~", base=base)


def test_the_home_folder_of_nobody_is_refused() -> None:
    with pytest.raises(ConfigError, match="the home folder at its start is not known: write an absolute path"):
        folder_path("~no-such-user/backups", base=Path("/"))
