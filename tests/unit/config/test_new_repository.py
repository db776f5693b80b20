"""A repository is created last: a run that cannot begin leaves nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.config.new_repository import opened_or_created
from tasks.model.errors import BrokerUnavailableError
from tasks.repository.repository import Repository
from tasks.store.local.local_store import LocalStore
from tasks.store.local.new_folder import removed_on_failure
from tasks.store.local.settings import LocalSettings


def _clock() -> int:
    return 1


def _unreachable() -> None:
    raise BrokerUnavailableError("the cluster does not answer")


def _fail_after(body: Callable[[], object], folder: Path) -> None:
    def fail() -> None:
        with removed_on_failure(folder):
            body()
            raise ValueError("failed")

    with pytest.raises(ValueError, match="failed"):
        fail()


def test_nothing_is_made_when_the_cluster_does_not_answer(tmp_path: Path) -> None:
    with pytest.raises(BrokerUnavailableError):
        opened_or_created(LocalSettings(path=str(tmp_path / "a/b")), _clock, before_creation=_unreachable)
    assert [] == list(tmp_path.iterdir())


def test_a_repository_that_exists_is_opened_without_that_check(tmp_path: Path) -> None:
    Repository.open_or_create(LocalStore(tmp_path / "a", create=True), _clock)
    _, is_created = opened_or_created(LocalSettings(path=str(tmp_path / "a")), _clock, before_creation=_unreachable)
    assert not is_created


def test_a_missing_repository_is_created_after_it(tmp_path: Path) -> None:
    steps: list[bool] = []
    settings = LocalSettings(path=str(tmp_path / "a/b"))
    _, is_created = opened_or_created(settings, _clock, before_creation=lambda: steps.append(settings.folder.exists()))
    assert is_created
    assert [False] == steps


def test_a_new_folder_goes_with_its_new_parents_and_its_locks_when_the_body_fails(tmp_path: Path) -> None:
    def body() -> None:
        store = LocalStore(tmp_path / "a/b", create=True)
        store.put("probe/x", [b"x"])
        store.delete(["probe/x"])

    _fail_after(body, tmp_path / "a/b")
    assert [] == list(tmp_path.iterdir())


def test_a_folder_with_an_object_stays_when_the_body_fails(tmp_path: Path) -> None:
    def body() -> None:
        LocalStore(tmp_path / "a/b", create=True).put("other/object", [b"x"])

    _fail_after(body, tmp_path / "a/b")
    assert b"x" == (tmp_path / "a/b/other/object").read_bytes()
    assert [] != list((tmp_path / "a/b/.locks").iterdir())


def test_what_was_there_before_stays_when_the_body_fails(tmp_path: Path) -> None:
    LocalStore(tmp_path, create=False).put("a", [b"x"])
    (tmp_path / "empty").mkdir()
    before = sorted(tmp_path.rglob("*"))
    _fail_after((tmp_path / "probe").mkdir, tmp_path)
    assert before == sorted(tmp_path.rglob("*"))
