"""A trial of a store leaves nothing behind, and is made where the repository would be."""

from __future__ import annotations

import errno
import threading
from pathlib import Path

import pytest

from tasks.model.errors import AccessError, KafkaBackupError, NotFoundError, StoreError
from tasks.store.local.settings import LocalSettings
from tasks.store.memory.settings import MemorySettings
from tasks.store.trial import free_bytes, open_trial

STOP = threading.Event()


def _paths(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


@pytest.mark.parametrize("prefix", ["", "backups/production"])
def test_nothing_stays_in_a_folder_whether_it_exists_or_not(tmp_path: Path, prefix: str) -> None:
    (tmp_path / "repository.json").write_text("{}")
    before = _paths(tmp_path)

    with open_trial(LocalSettings(path=str(tmp_path), prefix=prefix), stop=STOP) as store:
        store.put("probe/a", [b"a"])
        assert [b"a"] == [store.get(info.key)[0] for info in store.list("")], "what the repository holds is not seen"
        assert before < _paths(tmp_path)

    assert before == _paths(tmp_path)


def _failing_trial(settings: LocalSettings) -> None:
    with open_trial(settings, stop=STOP) as store:
        store.put("probe/a", [b"a"])
        raise KafkaBackupError("failed")


def test_nothing_stays_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(KafkaBackupError):
        _failing_trial(LocalSettings(path=str(tmp_path / "new")))

    assert set() == _paths(tmp_path)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = LocalSettings(path=str(tmp_path / "new"))
    for raised, expected in (
        (PermissionError(13, "Permission denied"), AccessError),
        (OSError(28, "full"), StoreError),
    ):

        def fail(error: OSError = raised, **_: object) -> str:
            raise error

        monkeypatch.setattr("tempfile.mkdtemp", fail)
        with pytest.raises(expected, match=str(tmp_path)), open_trial(settings, stop=STOP):
            pass


def test_a_folder_that_this_user_cannot_enter_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(path: Path) -> bool:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "exists", denied)
    settings = LocalSettings(path=str(tmp_path / "private" / "backups"))
    with (
        pytest.raises(AccessError, match="private/backups: Permission denied"),
        open_trial(settings, stop=STOP),
    ):
        pass


def test_a_file_in_the_place_of_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(NotFoundError, match="file is not a folder"),
        open_trial(LocalSettings(path=str(tmp_path / "file" / "new")), stop=STOP),
    ):
        pass


def test_other_backends_are_tried_themselves() -> None:
    settings = MemorySettings(path="trial")
    with open_trial(settings, stop=STOP) as store:
        assert settings.location == store.location


def test_only_folders_tell_their_free_space(tmp_path: Path) -> None:
    assert (free_bytes(LocalSettings(path=str(tmp_path / "new" / "er"))) or 0) > 0
    assert None is free_bytes(MemorySettings(path="trial"))
