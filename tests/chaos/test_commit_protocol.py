"""The commit protocol: whatever write a run dies at, the set is as before or has its point, and goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from tasks.engine.commit.runs import begin_run, earlier_open_run, void_run
from tasks.engine.run_context import RunContext
from tasks.engine.validate import validate_locally
from tasks.model.errors import CommitError, OutcomeUnknownError, PreconditionError, RunClosedError
from tasks.repository import hints
from tasks.repository.entries import PointEntry
from tasks.repository.leases import Lease, acquire
from tasks.repository.lines import IndexLine
from tasks.repository.names import capture_lease_key, log_key, new_run_id
from tasks.repository.points import PointReference
from tasks.repository.repository import Repository
from tasks.repository.restore_point import RestorePoint
from tasks.store.memory.memory_store import MemoryStore
from tasks.store.protocol import ObjectStore
from tasks.store.retrying import RetryingStore
from tests.support.faults import WRITES, Crashed, FaultyStore, Operation
from tests.support.made_backup import (
    SET,
    append_note,
    back_up,
    capture_logs,
    commit_logs,
    copy_store,
    keys,
    make_repository,
    plan_logs,
    restorable_records,
)
from tests.support.made_logs import MadeLog, cleaned_log, plain_log, transactional_log

OLD: Sequence[MadeLog] = (plain_log("orders", batches=2), transactional_log("payments"), cleaned_log("gone"))
NEW: Sequence[MadeLog] = (
    plain_log("orders", batches=6, frames_per_object=1),
    transactional_log("payments"),
    cleaned_log("gone"),
)
TTL_MS = 40
"""A dead owner's lease is waited out in the tests, too."""

INDEX_AND_TABLE = 2
"""What a commit puts before its entry."""


@pytest.fixture(scope="module", autouse=True)
def _checkpoint_at_every_other_entry() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hints, "CHECKPOINT_EVERY", 2)
        yield


@pytest.fixture(scope="module")
def before() -> MemoryStore:
    """A set with one point; its next entry is due for a checkpoint."""
    store = MemoryStore("before")
    back_up(make_repository(store), OLD)
    return store


def snapshot(store: ObjectStore, logs: Sequence[MadeLog] = NEW) -> PointEntry:
    """Every write of a backup, in the program's order: lease, states, plan, data, fragments, index, table, entry,
    checkpoint, head, release."""
    repository = make_repository(store)
    lease = acquire(store, capture_lease_key(SET), ttl_ms=TTL_MS)
    run = _enter(repository, lease)
    plan = plan_logs(repository, logs, run=run)
    captured = capture_logs(repository, plan, logs)
    point = commit_logs(repository, plan, captured)
    lease.renew(is_released=True)
    return point


def _enter(repository: Repository, lease: Lease) -> str:
    run = new_run_id(repository.now_ms())
    earlier = earlier_open_run(repository, lease, SET)
    if earlier is not None:
        void_run(repository, SET, earlier, "its writer ended without a point")
    begin_run(lease, run)
    return run


def assert_sound(store: ObjectStore, *allowed: Sequence[MadeLog]) -> None:
    """The newest point validates in full, and holds exactly one of the allowed states."""
    repository = make_repository(store)
    result = validate_locally(RunContext(repository=repository), PointReference(SET), level="full")
    assert () == result.findings
    records = restorable_records(repository, result.point)
    assert any(all(tuple(records[log.source]) == log.records for log in logs) for logs in allowed)


def _writes_of(before: MemoryStore) -> list[tuple[Operation, str]]:
    seen: list[tuple[Operation, str]] = []
    snapshot(FaultyStore(copy_store(before), on_write=lambda number, operation, key: seen.append((operation, key))))
    return seen


def test_the_enumeration_meets_every_kind_of_write(before: MemoryStore) -> None:
    written = [key for _, key in _writes_of(before)]
    kinds = ["leases/", f"meta/{SET}/state/", f"meta/{SET}/runs/", "data/", "fragments/", f"meta/{SET}/index/"]
    kinds += [f"meta/{SET}/partitions/", f"meta/{SET}/log/", f"meta/{SET}/checkpoints/", "heads/"]
    assert dict.fromkeys(kinds, True) == {kind: any(key.startswith(kind) for key in written) for kind in kinds}
    order = [next(number for number, key in enumerate(written) if key.startswith(kind)) for kind in kinds]
    assert sorted(order) == order


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_run_that_dies_at_any_write_leaves_the_old_state_or_the_new_and_the_next_run_succeeds(
    before: MemoryStore, after: bool
) -> None:
    entry_write = [key for _, key in _writes_of(before)].index(log_key(SET, 2)) + 1
    for number in range(1, len(_writes_of(before)) + 1):
        survived = copy_store(before)
        faulty = FaultyStore(survived)
        faulty.crash_at(number, after=after)
        with pytest.raises(Crashed):
            snapshot(faulty)
        is_committed = number > entry_write or (after and number == entry_write)
        assert (2 if is_committed else 1) == make_repository(survived).state(SET).newest_point
        assert_sound(survived, NEW if is_committed else OLD)
        _assert_goes_on(survived, is_committed=is_committed)


def _assert_goes_on(store: MemoryStore, *, is_committed: bool) -> None:
    dead = {key.split("/")[3] for key in keys(store, f"meta/{SET}/runs/")}
    point = snapshot(store)
    state = make_repository(store).state(SET)
    assert point.seq == state.newest_point
    assert all(not state.is_open(run) for run in dead), "a run that died with a plan is voided"
    assert (2 if is_committed else 1) + 1 == len(state.points)
    assert_sound(store, NEW)


@pytest.mark.parametrize("loss", ["response", "request"])
def test_a_lost_answer_to_any_write_is_settled_and_makes_exactly_one_point(before: MemoryStore, loss: str) -> None:
    operations = [operation for operation, _ in _writes_of(before)]
    for operation in WRITES & set(operations):
        for skip in range(operations.count(operation)):
            survived = copy_store(before)
            faulty = FaultyStore(survived)
            (faulty.lose_response if loss == "response" else faulty.lose_request)(operation, skip=skip)
            point = snapshot(RetryingStore(faulty, sleep=lambda seconds: None))
            state = make_repository(survived).state(SET)
            assert (2, {1, 2}) == (point.seq, set(state.points))
            assert_sound(survived, NEW)


def test_a_commit_whose_outcome_stayed_unknown_is_called_again_and_finds_its_point(before: MemoryStore) -> None:
    store = copy_store(before)
    faulty = FaultyStore(store)
    repository = make_repository(faulty)
    plan = plan_logs(repository, NEW)
    captured = capture_logs(repository, plan, NEW)
    faulty.lose_response("put_if_absent", skip=INDEX_AND_TABLE)
    with pytest.raises(OutcomeUnknownError):
        commit_logs(repository, plan, captured)
    point = commit_logs(repository, plan, captured)
    assert (2, plan.run) == (point.seq, point.run)
    assert {1, 2} == set(make_repository(store).state(SET).points)
    assert_sound(store, NEW)


# ── two writers ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _together(*actions: Callable[[], object]) -> list[object]:
    """Run the actions at once; what each returned, or the `CommitError` it raised."""
    barrier = threading.Barrier(len(actions))

    def run(action: Callable[[], object]) -> object:
        barrier.wait()
        try:
            return action()
        except CommitError as error:
            return error

    with ThreadPoolExecutor(len(actions)) as pool:
        return list(pool.map(run, actions))


def test_writers_that_race_for_a_number_lose_no_entry_and_keep_the_chain(before: MemoryStore) -> None:
    store = copy_store(before)
    repository = make_repository(store)
    texts = [f"note {number}" for number in range(8)]
    _together(*(lambda text=text: append_note(repository, text) for text in texts))
    entries = list(repository.log(SET).entries())
    assert sorted(texts) == sorted(entry.text for entry in entries if entry.kind == "note")
    assert_sound(store, OLD)


def test_two_runs_of_one_plan_state_that_commit_at_once_both_count(before: MemoryStore) -> None:
    store = copy_store(before)
    repository = make_repository(store)
    plans = [plan_logs(repository, NEW) for _ in range(2)]
    captured = [capture_logs(repository, plan, NEW) for plan in plans]
    answers = _together(*(lambda n=n: commit_logs(repository, plans[n], captured[n]) for n in range(2)))
    points = [answer for answer in answers if isinstance(answer, PointEntry)]
    assert {2, 3} == {point.seq for point in points}
    assert_sound(store, NEW)


def test_a_run_commits_behind_an_entry_that_came_in_between(before: MemoryStore) -> None:
    store = copy_store(before)
    faulty = FaultyStore(store)
    repository = make_repository(faulty)
    plan = plan_logs(repository, NEW)
    captured = capture_logs(repository, plan, NEW)
    stall = faulty.stall("put_if_absent", skip=INDEX_AND_TABLE)
    with ThreadPoolExecutor(1) as pool:
        committing = pool.submit(commit_logs, repository, plan, captured)
        assert stall.reached.wait(10)
        append_note(make_repository(store), "meanwhile")
        stall.release.set()
        assert 3 == committing.result(10).seq
    assert_sound(store, NEW)


def test_a_run_that_another_overtook_is_refused_and_takes_nothing_away(before: MemoryStore) -> None:
    store = copy_store(before)
    repository = make_repository(store)
    slow = plan_logs(repository, OLD)
    captured = capture_logs(repository, slow, OLD)
    back_up(repository, NEW)
    with pytest.raises(PreconditionError, match="past this plan"):
        commit_logs(repository, slow, captured)
    assert_sound(store, NEW)


def test_a_run_that_lacks_a_topic_which_another_added_is_refused(before: MemoryStore) -> None:
    store = copy_store(before)
    repository = make_repository(store)
    plan = plan_logs(repository, OLD)
    captured = capture_logs(repository, plan, OLD)
    wider = [*OLD, plain_log("added", batches=1)]
    back_up(repository, wider)
    with pytest.raises(PreconditionError, match="does not contain it"):
        commit_logs(repository, plan, captured)
    assert_sound(store, wider)


def test_a_voided_run_can_never_commit_and_a_committed_one_is_never_voided(before: MemoryStore) -> None:
    store = copy_store(before)
    repository = make_repository(store)
    plan = plan_logs(repository, NEW)
    captured = capture_logs(repository, plan, NEW)
    void_run(repository, SET, plan.run, "its lease was gone")
    with pytest.raises(RunClosedError, match="was voided"):
        commit_logs(repository, plan, captured)
    point = back_up(repository, NEW)
    void_run(repository, SET, point.run, "by mistake")
    assert point.seq == repository.state(SET).seq


def test_a_zombie_that_captured_the_same_plan_does_no_harm(before: MemoryStore) -> None:
    store = copy_store(before)
    repository = make_repository(store)
    plan = plan_logs(repository, NEW)
    zombie = capture_logs(repository, plan, NEW)
    captured = capture_logs(repository, plan, NEW)
    point = commit_logs(repository, plan, captured)
    late = capture_logs(repository, plan, NEW)
    named = {line.object for line in _lines(repository, point) if line.object}
    for stranger in (*zombie, *late):
        assert not any(stranger.writer in key for key in named)
    assert_sound(store, NEW)


def _lines(repository: Repository, point: PointEntry) -> list[IndexLine]:
    opened = RestorePoint(repository.store, point)
    return [line for own in opened.lines(opened.rows.values()).values() for line in own]


def test_a_capture_that_left_a_hole_is_not_committed(before: MemoryStore) -> None:
    store = copy_store(before)
    repository = make_repository(store)
    plan = plan_logs(repository, NEW)
    captured = capture_logs(repository, plan, NEW)
    with pytest.raises(CommitError, match="neither captured nor stated"):
        commit_logs(repository, plan, captured[1:])
    assert 1 == repository.state(SET).seq
