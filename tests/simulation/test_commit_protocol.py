"""The commit protocol of the program: whatever write a run dies at, the set is as before or has its point, and goes on.

Each run is the program's own snapshot of a simulated Kafka. Every entry but the first is due for a checkpoint.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from tasks.engine.backup_steps import capture_bins, commit_run
from tasks.engine.capture import segment
from tasks.engine.capture.capture_result import CaptureResult
from tasks.engine.commit.runs import void_run
from tasks.engine.run_context import ClusterContext
from tasks.engine.snapshot import snapshot_locally
from tasks.engine.source.snapshot_plan import plan_snapshot
from tasks.model.errors import CommitError, LockedError, OutcomeUnknownError, RunClosedError
from tasks.model.partition import Partition
from tasks.repository import hints
from tasks.repository.document import seal, unseal
from tasks.repository.entries import AnyEntry, NoteEntry
from tasks.repository.names import capture_lease_key, log_key
from tasks.repository.plans import Plan
from tasks.repository.repository import Repository
from tasks.repository.restore_point import RestorePoint
from tasks.repository.set_state import SetState
from tasks.store.memory.memory_store import MemoryStore
from tasks.store.protocol import ObjectStore
from tasks.store.retrying import RetryingStore
from tests.simulation.histories.model import Content, content
from tests.simulation.kafka import SimulatedKafka
from tests.simulation.rules.small_world import SET, SmallWorld
from tests.support.faults import WRITES, Crashed, FaultyStore, Operation
from tests.support.made_backup import copy_store, keys, restorable_records

Contents = Mapping[Partition, Sequence[Content]]

INDEX_AND_TABLE = 2
"""Objects that a commit puts before its entry."""


@pytest.fixture(scope="module", autouse=True)
def _small_numbers() -> Iterator[None]:
    """A checkpoint is due at every other entry, and every batch is a frame, so that a partition has several objects."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hints, "CHECKPOINT_EVERY", 2)
        patch.setattr(segment, "FRAME_LOG_BYTES", 1)
        patch.setattr(segment, "FULL_ENOUGH_BYTES", 1)
        yield


@dataclass(frozen=True)
class Scene:
    """A set with one point in `before`, which holds `old`; its cluster holds `new` by now. No test changes either."""

    before: MemoryStore
    source: SimulatedKafka
    old: Contents
    new: Contents

    def world(self, store: ObjectStore) -> SmallWorld:
        """The same cluster and another store."""
        world = SmallWorld(store=store, clock=self.source.clock)
        world.source = self.source
        return world


@pytest.fixture(scope="module")
def scene(_small_numbers: None) -> Scene:
    """`orders` has grown since the first point, and a group moved on; `payments` has an aborted transaction; `idle` has
    nothing."""
    store = MemoryStore("before")
    world = SmallWorld(store=store)
    world.topic()
    world.topic("payments", records=3)
    world.topic("idle", records=0)
    transaction = world.source.transactional_producer()
    transaction.send(("payments", 0), world.records(3))
    transaction.abort()
    world.back_up()
    old = _contents(world.source)
    world.send(records=60)
    world.commit("billing", {("orders", 0): 7})
    return Scene(store, world.source, old, _contents(world.source))


def _contents(kafka: SimulatedKafka) -> Contents:
    return {
        partition: [content(record) for record in kafka.log((name, partition.partition)).visible_records()]
        for name, topic in kafka.topics.by_name.items()
        if not topic.is_internal
        for partition in kafka.partitions(name)
    }


def assert_sound(world: SmallWorld, *allowed: Contents) -> None:
    """The newest point validates in full, and holds exactly one of the allowed states."""
    world.assert_valid()
    records = restorable_records(world.repository, world.point().entry)
    held = {source: [content(record) for record in found] for source, found in records.items()}
    assert held in allowed


def _writes_of(scene: Scene) -> list[tuple[Operation, str]]:
    seen: list[tuple[Operation, str]] = []
    store = FaultyStore(copy_store(scene.before), on_write=lambda number, operation, key: seen.append((operation, key)))
    _back_up(scene.world(store))
    return seen


def _back_up(world: SmallWorld) -> RestorePoint:
    return world.back_up(segment_max_bytes=1 << 10)


def _captured(world: SmallWorld) -> tuple[ClusterContext, Plan, list[CaptureResult]]:
    """A run that has captured everything and has not committed."""
    context = world.context(world.source)
    plan = plan_snapshot(context, world.request())
    return context, plan, capture_bins(context, plan, workers=1)


# ── one writer ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_run_writes_each_kind_of_object_after_what_it_rests_on(scene: Scene) -> None:
    written = [key for _, key in _writes_of(scene)]
    kinds = ["leases/", f"meta/{SET}/state/", f"meta/{SET}/runs/", "data/", "fragments/", f"meta/{SET}/index/"]
    kinds += [f"meta/{SET}/partitions/", f"meta/{SET}/log/", f"meta/{SET}/checkpoints/", "heads/"]
    assert dict.fromkeys(kinds, True) == {kind: any(key.startswith(kind) for key in written) for kind in kinds}
    order = [next(number for number, key in enumerate(written) if key.startswith(kind)) for kind in kinds]
    assert sorted(order) == order
    assert 3 == sum(key.startswith("data/") for key in written), "two of orders, one of payments"
    assert (capture_lease_key(SET), 1) == (written[-1], sum(key == log_key(SET, 2) for key in written))


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_run_that_dies_at_any_write_leaves_the_old_state_or_the_new_and_the_next_run_succeeds(
    scene: Scene, after: bool
) -> None:
    written = [key for _, key in _writes_of(scene)]
    entry_write = written.index(log_key(SET, 2)) + 1
    for number in range(1, len(written) + 1):
        survived = copy_store(scene.before)
        faulty = FaultyStore(survived)
        faulty.crash_at(number, after=after)
        with pytest.raises(Crashed):
            _back_up(scene.world(faulty))
        is_committed = number > entry_write or (after and number == entry_write)
        world = scene.world(survived)
        assert (2 if is_committed else 1) == world.repository.state(SET).newest_point
        assert_sound(world, scene.new if is_committed else scene.old)
        _assert_goes_on(world, scene)


def _assert_goes_on(world: SmallWorld, scene: Scene) -> None:
    dead = {key.split("/")[3] for key in keys(world.store, f"meta/{SET}/runs/")}
    with_data = {run for run in dead if keys(world.store, f"fragments/{SET}/{run}/")}
    point = _back_up(world)
    log = world.repository.log(SET)
    state = log.state()
    assert point.seq == state.newest_point
    closed = {run: log.closing_of(run, state, begun_after=0) for run in dead}
    assert None not in closed.values()
    assert {*(closed[run] for run in with_data), point.seq} == set(state.points), "a run that stored data is finished"
    assert_sound(world, scene.new)


@pytest.mark.parametrize("loss", ["response", "request"])
def test_a_lost_answer_to_any_write_is_settled_and_makes_exactly_one_point(scene: Scene, loss: str) -> None:
    operations = [operation for operation, _ in _writes_of(scene)]
    for operation in WRITES & set(operations):
        for skip in range(operations.count(operation)):
            survived = copy_store(scene.before)
            faulty = FaultyStore(survived)
            (faulty.lose_response if loss == "response" else faulty.lose_request)(operation, skip=skip)
            point = _back_up(scene.world(RetryingStore(faulty, sleep=lambda seconds: None)))
            world = scene.world(survived)
            assert (2, {1, 2}) == (point.seq, set(world.repository.state(SET).points))
            assert_sound(world, scene.new)


def test_a_commit_whose_outcome_stayed_unknown_is_called_again_and_finds_its_point(scene: Scene) -> None:
    faulty = FaultyStore(copy_store(scene.before))
    world = scene.world(faulty)
    context, plan, captured = _captured(world)
    faulty.lose_response("put_if_absent", skip=INDEX_AND_TABLE)
    with pytest.raises(OutcomeUnknownError):
        commit_run(context.repository, plan, captured)
    point = commit_run(context.repository, plan, captured)
    assert (2, plan.run) == (point.seq, point.entry.run)
    assert {1, 2} == set(world.repository.state(SET).points)
    assert_sound(world, scene.new)


def test_a_capture_that_left_a_hole_is_not_committed(scene: Scene) -> None:
    world = scene.world(copy_store(scene.before))
    context, plan, captured = _captured(world)
    with pytest.raises(CommitError, match="neither captured nor stated"):
        commit_run(context.repository, plan, captured[1:])
    assert 1 == world.repository.state(SET).seq


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


def _append_note(repository: Repository, text: str) -> AnyEntry:
    def build(state: SetState) -> AnyEntry:
        return NoteEntry(**repository.next_entry(SET, state), newest_point=state.newest_point, text=text)

    return repository.log(SET).append(build)


def test_writers_that_race_for_a_number_lose_no_entry_and_keep_the_chain(scene: Scene) -> None:
    world = scene.world(copy_store(scene.before))
    repository = world.repository
    texts = [f"note {number}" for number in range(8)]
    _together(*(lambda text=text: _append_note(repository, text) for text in texts))
    entries = list(repository.log(SET).entries())
    assert sorted(texts) == sorted(entry.text for entry in entries if entry.kind == "note")
    assert_sound(world, scene.old)


def test_two_runs_of_one_plan_state_that_commit_at_once_both_count(scene: Scene) -> None:
    world = scene.world(copy_store(scene.before))
    runs = [_captured(world) for _ in range(2)]
    answers = _together(
        *(lambda run=run: commit_run(run[0].repository, run[1], run[2]) for run in runs),
    )
    assert {2, 3} == {answer.seq for answer in answers if isinstance(answer, RestorePoint)}
    assert_sound(world, scene.new)


def test_a_run_commits_behind_an_entry_that_came_in_between(scene: Scene) -> None:
    store = copy_store(scene.before)
    faulty = FaultyStore(store)
    world = scene.world(faulty)
    context, plan, captured = _captured(world)
    stall = faulty.stall("put_if_absent", skip=INDEX_AND_TABLE)
    with ThreadPoolExecutor(1) as pool:
        committing = pool.submit(commit_run, context.repository, plan, captured)
        assert stall.reached.wait(10)
        _append_note(scene.world(store).repository, "meanwhile")
        stall.release.set()
        assert 3 == committing.result(10).seq
    assert_sound(world, scene.new)


def test_a_second_writer_is_locked_out_while_the_first_is_alive_and_the_first_is_whole(scene: Scene) -> None:
    world = scene.world(copy_store(scene.before))
    refusals: list[LockedError] = []

    def second() -> None:
        rival = scene.world(world.store)
        with pytest.raises(LockedError, match="which renews it") as refused:
            snapshot_locally(
                rival.context(rival.source), rival.request(), workers=1, waiting=lambda owner: _beat(world.store)
            )
        refusals.append(refused.value)
        rival.source.interceptor = world.faults

    world.faults.before("fetcher.receive", second)
    point = _back_up(world)

    assert (2, 1) == (point.seq, len(refusals))
    assert_sound(world, scene.new)


def _beat(store: ObjectStore) -> None:
    """The first writer's heartbeat, which comes while the second one waits."""
    data, info = store.get(capture_lease_key(SET))
    record = unseal(data, key=capture_lease_key(SET))
    store.compare_and_swap(
        capture_lease_key(SET), [seal({**record, "beat": record["beat"] + 1})], expected=info.version
    )


def test_a_voided_run_can_never_commit_and_a_committed_one_is_never_voided(scene: Scene) -> None:
    world = scene.world(copy_store(scene.before))
    context, plan, captured = _captured(world)
    void_run(context.repository, SET, plan.run, "its lease was gone")
    with pytest.raises(RunClosedError, match="was voided"):
        commit_run(context.repository, plan, captured)
    point = _back_up(world)
    void_run(context.repository, SET, point.entry.run, "by mistake")
    assert point.seq == world.repository.state(SET).seq
    assert_sound(world, scene.new)


def test_a_zombie_that_captured_the_same_plan_does_no_harm(scene: Scene) -> None:
    """Before the commit, and after it: the point names only what the commit was given."""
    world = scene.world(copy_store(scene.before))
    context, plan, zombie = _captured(world)
    captured = capture_bins(context, plan, workers=1)
    point = commit_run(context.repository, plan, captured)
    late = capture_bins(context, plan, workers=1)
    lines = point.lines(point.rows.values()).values()
    named = {line.object for own in lines for line in own if line.object}
    for stranger in (*zombie, *late):
        assert not any(stranger.writer in key for key in named)
    assert named
    assert_sound(world, scene.new)
