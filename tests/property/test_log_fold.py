"""The fold of a log: with hints or without, by one writer or several, the state and the fate of every run are the
same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.engine.commit.runs import void_run
from tasks.repository import hints, set_state
from tasks.repository.entries import AnyEntry, PointEntry
from tasks.repository.names import checkpoint_key, head_key
from tasks.repository.repository import Repository
from tasks.repository.set_log import SetLog
from tasks.repository.set_state import SetState, apply, fold
from tasks.store.memory.memory_store import MemoryStore
from tests.support.made_backup import SET, append_note, copy_store, make_repository
from tests.support.made_entries import empty_point

Change = tuple[str, int]
RUNS = 8
CHANGES = st.lists(st.tuples(st.sampled_from(["point", "void", "note"]), st.integers(0, RUNS - 1)), max_size=14)


@pytest.fixture(autouse=True, scope="module")
def _small_bounds() -> Iterator[None]:
    """Checkpoints often, and so few closed runs in the state that most of them have to be looked up."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hints, "CHECKPOINT_EVERY", 3)
        patch.setattr(set_state, "KEPT_CLOSED_RUNS", 2)
        yield


def _carry_out(repository: Repository, change: Change) -> None:
    kind, number = change
    log = repository.log(SET)
    if kind == "note":
        append_note(repository, f"note {number}")
    elif kind == "void":
        void_run(repository, SET, f"run-{number}", "gone")
    elif log.closing_of(f"run-{number}", log.state(), begun_after=None) is None:
        log.append(lambda state: empty_point(repository, state, run=f"run-{number}"))


def _model(changes: Sequence[Change]) -> dict[str, str]:
    """Which runs are closed and how. The first entry about a run decides."""
    closed: dict[str, str] = {}
    for kind, number in changes:
        if kind != "note":
            closed.setdefault(f"run-{number}", kind)
    return closed


def _pairs(log: SetLog) -> list[tuple[AnyEntry, str]]:
    return [found for seq in range(1, log.state().seq + 1) if (found := log.read_entry(seq)) is not None]


def _how(log: SetLog, run: str, state: SetState, begun_after: int | None) -> str | None:
    """How a run was closed according to the log; None if it is open."""
    seq = log.closing_of(run, state, begun_after=begun_after)
    found = log.read_entry(seq) if seq is not None else None
    return found[0].kind if found else None


@settings(deadline=None, derandomize=True, max_examples=40)
@given(CHANGES)
def test_the_state_is_the_fold_of_the_entries_with_any_of_the_hints(changes: list[Change]) -> None:
    store = MemoryStore()
    repository = make_repository(store)
    for change in changes:
        _carry_out(repository, change)
    log = repository.log(SET)
    pairs = _pairs(log)
    expected = fold(pairs)
    assert expected == log.state()
    for doomed in ([head_key(SET)], *([checkpoint_key(SET, seq)] for seq in range(3, len(pairs) + 1, 3))):
        assert expected == SetLog(copy_store(store, without=doomed), log.repository_id, SET).state()
    for cut in range(len(pairs) + 1):
        assert expected == fold(pairs[cut:], fold(pairs[:cut]))


@settings(deadline=None, derandomize=True, max_examples=60)
@given(CHANGES)
def test_the_first_entry_about_a_run_decides_however_long_ago_it_was(changes: list[Change]) -> None:
    """For every run, and for every time before its closing at which it can have begun."""
    repository = make_repository(MemoryStore())
    for change in changes:
        _carry_out(repository, change)
    log = repository.log(SET)
    state = log.state()
    model = _model(changes)
    for run in (f"run-{number}" for number in range(RUNS)):
        closed_by = log.closing_of(run, state, begun_after=None)
        for begun_after in (None, *range(state.seq + 1 if closed_by is None else closed_by)):
            assert model.get(run) == _how(log, run, state, begun_after)
    assert {entry.seq for entry in log.entries() if isinstance(entry, PointEntry)} == state.points.keys()
    assert max(state.points, default=None) == state.newest_point


@settings(deadline=None, derandomize=True, max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 2), st.tuples(st.sampled_from(["point", "void", "note"]), st.integers(0, 5)))))
def test_several_writers_keep_one_chain(changes: list[tuple[int, Change]]) -> None:
    store = MemoryStore()
    writers = [make_repository(store) for _ in range(3)]
    for writer, change in changes:
        _carry_out(writers[writer], change)
    log = writers[1].log(SET)
    state = SetState()
    for entry, tip in _pairs(writers[0].log(SET)):
        state = apply(state, entry, tip)
    assert state == log.state()
    model = _model([change for _, change in changes])
    assert model == {run: how for run in model if (how := _how(log, run, state, None))}
