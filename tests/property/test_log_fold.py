"""The log's fold: with checkpoints or from scratch, by one writer or several, the state is the same."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.engine.commit.runs import void_run
from tasks.repository import hints
from tasks.repository.entries import AnyEntry, PointEntry, Totals
from tasks.repository.log import SetLog
from tasks.repository.names import checkpoint_key, head_key, new_id
from tasks.repository.repository import Repository
from tasks.repository.set_state import SetState, apply, fold
from tasks.repository.stored import StoredRef
from tasks.store.memory.memory_store import MemoryStore
from tests.support.made_backup import SET, append_note, copy_store, make_repository

Change = tuple[str, int]
CHANGES = st.lists(st.tuples(st.sampled_from(["point", "void", "note"]), st.integers(0, 5)), max_size=12)


@pytest.fixture(autouse=True, scope="module")
def _checkpoint_often() -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hints, "CHECKPOINT_EVERY", 3)
        yield


def _carry_out(repository: Repository, change: Change) -> None:
    kind, number = change
    log = repository.log(SET)
    if kind == "note":
        append_note(repository, f"note {number}")
    elif kind == "void":
        void_run(repository, SET, f"run-{number}", "gone")
    elif log.state().is_open(f"run-{number}"):
        log.append(lambda state: _point(repository, state, f"run-{number}"))


def _point(repository: Repository, state: SetState, run: str) -> PointEntry:
    return PointEntry(
        seq=state.seq + 1,
        id=new_id(),
        repository_id=repository.root.repository_id,
        set=SET,
        parent=state.tip,
        newest_point=state.seq + 1,
        time_ms=repository.now_ms(),
        tool="made",
        run=run,
        point_kind="snapshot",
        status="complete",
        cluster_id="c",
        planned_ms=0,
        index=(),
        table=(),
        topics=StoredRef(key="k", sha256="", stored_bytes=0),
        totals=Totals(topics=0, partitions=0, records=0, log_bytes=0, stored_bytes=0, objects=0),
    )


def _model(changes: Sequence[Change]) -> dict[str, str]:
    """Which runs are closed and how: the first word about a run is the last."""
    closed: dict[str, str] = {}
    for kind, number in changes:
        if kind != "note":
            closed.setdefault(f"run-{number}", kind)
    return closed


def _pairs(log: SetLog) -> list[tuple[AnyEntry, str]]:
    return [found for seq in range(1, log.state().seq + 1) if (found := log.read_entry(seq)) is not None]


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


@settings(deadline=None, derandomize=True, max_examples=40)
@given(CHANGES)
def test_the_first_word_about_a_run_is_the_last(changes: list[Change]) -> None:
    repository = make_repository(MemoryStore())
    for change in changes:
        _carry_out(repository, change)
    state = repository.log(SET).state()
    how = {run: "void" if point is None else "point" for run, point in state.closed_runs.items()}
    assert _model(changes) == how
    assert sorted(seq for seq in state.closed_runs.values() if seq is not None) == sorted(state.points)
    assert max(state.points, default=None) == state.newest_point


@settings(deadline=None, derandomize=True, max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 2), st.tuples(st.sampled_from(["point", "void", "note"]), st.integers(0, 5)))))
def test_several_writers_keep_one_chain(changes: list[tuple[int, Change]]) -> None:
    store = MemoryStore()
    writers = [make_repository(store) for _ in range(3)]
    for writer, change in changes:
        _carry_out(writers[writer], change)
    state = SetState()
    for entry, tip in _pairs(writers[0].log(SET)):
        state = apply(state, entry, tip)
    assert state == writers[1].log(SET).state()
    assert _model([change for _, change in changes]).keys() == state.closed_runs.keys()
