"""The state of a set stays small, and every run that is not in it is still answered for exactly."""

from __future__ import annotations

import pytest
import zstandard

from tasks.engine.commit.runs import run_lease, void_run
from tasks.engine.run_context import RunContext
from tasks.model.errors import DamagedError, RunClosedError
from tasks.repository import hints, set_state
from tasks.repository.document import seal
from tasks.repository.hints import read_checkpoint
from tasks.repository.leases import read_lease
from tasks.repository.names import capture_lease_key, checkpoint_key, head_key, log_key, new_run_id
from tasks.repository.repository import Repository
from tasks.repository.set_state import fold
from tasks.store.memory.memory_store import MemoryStore
from tests.support.counting_store import CountingStore
from tests.support.made_backup import SET, append_note, back_up, capture_logs, commit_logs, make_repository, plan_logs
from tests.support.made_entries import voids
from tests.support.made_logs import plain_log
from tests.support.steps import steps_of

LOGS = [plain_log("orders", batches=2)]


@pytest.fixture
def repository() -> Repository:
    return make_repository(MemoryStore())


@pytest.fixture
def keeps_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """The state keeps two closed runs."""
    monkeypatch.setattr(set_state, "KEPT_CLOSED_RUNS", 2)


def _close(repository: Repository, count: int) -> None:
    """Runs of others, begun and voided."""
    for number in range(count):
        void_run(repository, SET, f"other-{repository.log(SET).state().seq}-{number}", "it died")


def test_the_state_does_not_grow_with_the_number_of_closed_runs(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(set_state, "KEPT_CLOSED_RUNS", 100)
    few, many = (fold(voids(repository, count)) for count in (100, 500))
    assert 100 == len(few.closed_runs) == len(many.closed_runs)
    assert (1, 401) == (few.closed_from, many.closed_from)
    assert len(seal(many.to_json())) < 1.1 * len(seal(few.to_json()))


def test_the_steps_of_a_fold_grow_with_the_entries_and_not_with_their_square(repository: Repository) -> None:
    pairs = list(voids(repository, 2000))
    few, many = steps_of(lambda: fold(pairs[:250])), steps_of(lambda: fold(pairs))
    assert many < 1.2 * 8 * few


def test_a_run_that_began_recently_is_known_to_be_open_without_reading_the_log(
    repository: Repository, keeps_two: None
) -> None:
    _close(repository, 20)
    counting = CountingStore(repository.store)
    log, state = make_repository(counting).log(SET), repository.log(SET).state()
    counting.requests.clear()
    for begun_after in (18, 19, 20):
        assert None is log.closing_of("mine", state, begun_after=begun_after)
    assert [] == counting.requests


def test_a_run_that_began_long_ago_costs_one_request_for_each_entry_since_then(
    repository: Repository, keeps_two: None
) -> None:
    void_run(repository, SET, "mine", "it died")
    _close(repository, 20)
    counting = CountingStore(repository.store)
    log, state = make_repository(counting).log(SET), repository.log(SET).state()
    assert 20 == state.closed_from
    counting.requests.clear()
    assert 1 == log.closing_of("mine", state, begun_after=0)
    assert 1 == counting.count()
    assert None is log.closing_of("never closed", state, begun_after=10)
    assert 1 + 9 == counting.count()


def test_a_missing_entry_is_damage_and_not_an_open_run(repository: Repository, keeps_two: None) -> None:
    void_run(repository, SET, "mine", "it died")
    _close(repository, 5)
    state = repository.log(SET).state()
    repository.store.delete([log_key(SET, 1)])
    with pytest.raises(DamagedError, match="is missing, although later entries exist"):
        repository.log(SET).closing_of("mine", state, begun_after=0)


@pytest.mark.parametrize("has_lease", [True, False])
def test_a_run_that_was_voided_long_ago_cannot_commit(repository: Repository, keeps_two: None, has_lease: bool) -> None:
    """It lost its lease, was voided, and goes on after the state has forgotten it."""
    captured = _captured(repository, has_lease=has_lease)
    void_run(repository, SET, captured.plan.run, "its writer ended without a point")
    _close(repository, 5)
    assert captured.plan.run not in repository.log(SET).state().closed_runs
    with pytest.raises(RunClosedError, match="was voided by entry 2"):
        commit_logs(repository, captured.plan, captured.results)
    assert 7 == repository.log(SET).state().seq


@pytest.mark.parametrize("has_lease", [True, False])
def test_a_run_that_was_committed_long_ago_has_no_second_point(
    repository: Repository, keeps_two: None, has_lease: bool
) -> None:
    captured = _captured(repository, has_lease=has_lease)
    point = commit_logs(repository, captured.plan, captured.results)
    _close(repository, 5)
    assert point.id == commit_logs(repository, captured.plan, captured.results).id


@pytest.mark.parametrize("has_lease", [True, False])
def test_a_slow_run_commits_although_the_state_has_forgotten_all_runs_of_its_time(
    repository: Repository, keeps_two: None, has_lease: bool
) -> None:
    captured = _captured(repository, has_lease=has_lease)
    _close(repository, 5)
    assert 7 == commit_logs(repository, captured.plan, captured.results).seq


def test_a_lease_records_where_the_log_ended_when_its_run_began(repository: Repository) -> None:
    _close(repository, 3)
    with run_lease(RunContext(repository=repository), SET, "mine"):
        record = read_lease(repository.store, capture_lease_key(SET))
    assert record is not None
    assert ("mine", 3) == (record.run, record.begun_after)


def test_a_checkpoint_that_keeps_more_closed_runs_is_read_and_reduced(
    repository: Repository, keeps_two: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As versions before the bound wrote them, without `closed_from`."""
    monkeypatch.setattr(hints, "CHECKPOINT_EVERY", 4)
    _close(repository, 4)
    expected = repository.log(SET).state()
    state = {**expected.to_json(), "closed_runs": {f"run-{seq}": seq for seq in range(1, 5)}}
    del state["closed_from"]
    _replace_checkpoint(repository, state)
    found = read_checkpoint(repository.store, SET, 4)
    assert found is not None
    assert ({"run-3": 3, "run-4": 4}, 3) == (found.closed_runs, found.closed_from)


def test_a_checkpoint_that_does_not_state_which_entry_closed_a_run_is_ignored(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Earlier versions wrote null for a void."""
    monkeypatch.setattr(hints, "CHECKPOINT_EVERY", 4)
    _close(repository, 4)
    expected = repository.log(SET).state()
    _replace_checkpoint(repository, {**expected.to_json(), "closed_runs": {"run-1": None}})
    assert None is read_checkpoint(repository.store, SET, 4)
    assert expected == repository.log(SET).state()


@pytest.mark.parametrize("entries", [150, 350])
def test_without_a_head_the_newest_checkpoint_is_found_by_one_listing(repository: Repository, entries: int) -> None:
    """The number of requests is the same for a short history and for a long one."""
    for number in range(entries):
        append_note(repository, f"note {number}")
    repository.store.delete([head_key(SET)])
    counting = CountingStore(repository.store)
    log = make_repository(counting).log(SET)
    counting.requests.clear()
    assert entries == log.state().seq
    assert 1 == counting.count("list")
    assert 1 + 1 + 1 + 50 + 1 == counting.count("get"), "head, checkpoint, its entry, the entries after it, the end"


class _Captured:
    """A run that has captured everything and not yet committed."""

    def __init__(self, repository: Repository, *, has_lease: bool) -> None:
        back_up(repository, LOGS)
        plan = plan_logs(repository, LOGS, run=new_run_id(repository.now_ms()))
        self.plan = plan.model_copy(update={"begun_after": 1 if has_lease else None})
        self.results = capture_logs(repository, self.plan, LOGS)


def _captured(repository: Repository, *, has_lease: bool) -> _Captured:
    return _Captured(repository, has_lease=has_lease)


def _replace_checkpoint(repository: Repository, state: dict[str, object]) -> None:
    data = zstandard.ZstdCompressor().compress(seal({"format": 1, "state": state}))
    repository.store.put(checkpoint_key(SET, 4), [data])
