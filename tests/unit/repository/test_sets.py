"""The names of the sets: no set is hidden, and the number of requests does not grow with the length of the logs."""

from __future__ import annotations

import pytest

from tasks.repository.names import head_key, log_key
from tasks.repository.repository import Repository
from tasks.repository.set_state import SetState
from tasks.store.memory.memory_store import MemoryStore
from tests.support.counting_store import CountingStore
from tests.support.made_backup import append_note, make_repository

NAMES = [f"set-{number:03d}" for number in range(100)]


def _repository(*names: str, entries: int = 1) -> Repository:
    repository = make_repository(MemoryStore())
    for name in names:
        for number in range(entries):
            append_note(repository, f"note {number}", set_name=name)
    return repository


@pytest.mark.parametrize("entries", [1, 5])
def test_the_names_of_100_sets_take_101_requests(entries: int) -> None:
    """One listing of folders, and for each set one listing of its log."""
    counting = CountingStore(_repository(*NAMES, entries=entries).store)
    repository = make_repository(counting)
    counting.requests.clear()
    assert NAMES == repository.set_names()
    assert 101 == counting.count()


def test_a_list_of_100_sets_with_one_entry_takes_401_requests() -> None:
    """One listing; and for each set the listing of its log, its head, its entry, and the end of its log."""
    counting = CountingStore(_repository(*NAMES).store)
    repository = make_repository(counting)
    counting.requests.clear()
    assert [1] * 100 == [repository.state(name).seq for name in repository.set_names()]
    assert 401 == counting.count()


@pytest.mark.parametrize("entries", [101, 301])
def test_the_state_of_a_long_log_takes_a_few_requests(entries: int) -> None:
    """The number is the same for a history that is three times as long: it depends on the number of entries after the
    last checkpoint."""
    counting = CountingStore(_repository("set", entries=entries).store)
    repository = make_repository(counting)
    counting.requests.clear()
    assert entries == repository.state("set").seq
    assert counting.count() <= 5


def test_a_set_without_its_head_or_its_first_entry_is_named() -> None:
    repository = _repository("a", "b", "c", entries=2)
    repository.store.delete([head_key("a"), head_key("b"), log_key("b", 1)])
    assert ["a", "b", "c"] == repository.set_names()


def test_a_set_that_has_no_log_yet_is_not_named() -> None:
    repository = _repository("a")
    repository.store.put("meta/b/runs/r/plan.json", [b"{}"])
    assert ["a"] == repository.set_names()
    assert SetState() == repository.log("b").state()
