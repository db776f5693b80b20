"""What killed processes leave in a folder: it is found with its true age, and nothing else is."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from tasks.store.local.durable_files import temporary_file
from tasks.store.local.local_store import LocalStore
from tasks.store.local.settings import LocalSettings
from tasks.store.local.unfinished import SCRATCH_PREFIX
from tasks.store.trial import open_trial


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    """A store with objects in several folders."""
    made = LocalStore(tmp_path, create=True)
    for key in ("heads/a", "data/set/run/1.log"):
        made.put(key, [b"object"])
    return made


def test_the_temporary_file_of_a_killed_writer_is_found_in_any_folder_and_deleted(
    store: LocalStore, tmp_path: Path
) -> None:
    names = [".tmp-1", "data/set/run/.tmp-2", "empty/.tmp-3"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"half")

    found = list(store.unfinished())

    assert [(name, 4) for name in names] == sorted((one.name, one.size_bytes) for one in found)
    store.delete_unfinished(names)
    store.delete_unfinished(names)
    assert [] == list(store.unfinished())
    assert ["data/set/run/1.log", "heads/a"] == [info.key for info in store.list("")]


def test_a_scratch_folder_of_a_killed_check_is_found_with_the_time_of_its_newest_file(
    store: LocalStore, tmp_path: Path
) -> None:
    folder = tmp_path / f"{SCRATCH_PREFIX}abc"
    (folder / "probe").mkdir(parents=True)
    (folder / "probe" / "1").write_bytes(b"12345")
    for path in (folder, folder / "probe"):
        os.utime(path, (0, 0))

    [found] = store.unfinished()

    assert (folder.name, 5) == (found.name, found.size_bytes)
    assert time.time() - found.modified_ms / 1000 < 60
    store.delete_unfinished([folder.name])
    assert not folder.exists()


def test_a_running_write_is_young_although_its_writers_clock_is_wrong(store: LocalStore, tmp_path: Path) -> None:
    with temporary_file(tmp_path, [b"x"]) as temporary:
        os.utime(temporary.path, (0, 0))
        [found] = store.unfinished()

    assert time.time() - found.modified_ms / 1000 < 60
    assert [] == list(store.unfinished())


def test_a_running_check_is_young(store: LocalStore, tmp_path: Path) -> None:
    with open_trial(LocalSettings(path=str(tmp_path)), stop=threading.Event()) as trial:
        trial.put("probe/1", [b"x"])
        [found] = store.unfinished()

    assert time.time() - found.modified_ms / 1000 < 60
    assert [] == list(store.unfinished())


@pytest.mark.parametrize("name", [".locks/ff", ".other", "notes.txt", "data/.hidden"])
def test_files_of_others_are_left_alone(store: LocalStore, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"x")

    assert [] == list(store.unfinished())
