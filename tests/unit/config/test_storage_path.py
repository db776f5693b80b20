"""`storage.path` in a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.config.load import load_repository
from tasks.model.errors import ConfigError


def _path(folder: Path, written: str, **environment: str) -> str:
    (folder / "file.yaml").write_text(f"storage:\n  backend: filesystem\n  path: {written}\n", encoding="utf-8")
    storage = load_repository(folder / "file.yaml", environment).file.storage
    assert storage.backend == "filesystem"
    return storage.path


@pytest.mark.parametrize("written", ["backups", "./backups", "'${DIR}'", "${DIR}"])
def test_a_relative_path_counts_from_the_folder_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str
) -> None:
    monkeypatch.chdir("/")
    assert str(tmp_path / "backups") == _path(tmp_path, written, DIR="backups")


def test_a_relative_file_is_found_from_the_folder_of_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _path(tmp_path, "backups")
    monkeypatch.chdir(tmp_path)
    storage = load_repository(Path("file.yaml"), {}).file.storage
    assert f"file://{tmp_path}/backups" == storage.location


def test_the_home_folder_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ops")
    assert "/home/ops/backups" == _path(tmp_path, "~/backups")


def test_a_home_folder_that_is_not_known_is_a_problem_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r":3: 'storage.path': the home folder at its start is not known"):
        _path(tmp_path, "~no-such-user/backups")


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
def test_a_variable_that_ends_with_a_line_break_is_a_problem_with_its_line_and_key(tmp_path: Path, end: str) -> None:
    with pytest.raises(ConfigError, match=r":3: 'storage.path': ends with a line break: remove it\.$"):
        _path(tmp_path, "${DIR}", DIR=f"/backups{end}")
