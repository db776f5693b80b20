"""A continuous backup: a point for each cycle with news, a heartbeat without, and an end that loses nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from tasks.engine import continuous
from tasks.engine.backup_steps import FinishedRun
from tasks.engine.commit.runs import lease_of_cycles
from tasks.engine.continuous import (
    HEARTBEAT_MS,
    Cycle,
    CycleReports,
    back_up_continuously,
    can_pass,
    most_bins_of_cycle,
    plan_cycle,
    run_cycle,
)
from tasks.model.errors import BrokerUnavailableError, KafkaBackupError, LockedError, RunClosedError
from tasks.repository.entries import PointEntry
from tasks.repository.leases import acquire, read_lease
from tasks.repository.names import capture_lease_key
from tasks.repository.sealed_objects import swap_sealed
from tests.simulation.kafka.clock import SimulatedStop
from tests.simulation.kafka.faults import Step
from tests.simulation.rules.small_world import SET, SmallWorld
from tests.support.faults import Crashed

CYCLE_MS = 30_000


@dataclass
class Running:
    """A continuous backup that ends when its `script` is done: each function is called after a cycle's wait."""

    world: SmallWorld
    cycles: list[Cycle] = field(default_factory=list)
    failures: list[KafkaBackupError] = field(default_factory=list)
    finished: list[FinishedRun] = field(default_factory=list)

    def run(self, *script: Callable[[], object], **options: object) -> list[int | None]:
        """Run one cycle, and one more after each function of the script. Returns the new records of each point."""
        context = self.world.context(self.world.source)
        ending = _Scripted(self.world, script)
        reports = CycleReports(committed=self.cycles.append, failed=self.failures.append, finished=self.finished.append)
        known = len(self.cycles)
        back_up_continuously(
            context, self.world.request(**options), cycle_ms=CYCLE_MS, ending=ending, workers=1, reports=reports
        )
        return [sum(one.records for bin_ in cycle.captured for one in bin_.ranges) for cycle in self.cycles[known:]]


class _Scripted(SimulatedStop):
    """An `ending` that is set after the last function of the script."""

    def __init__(self, world: SmallWorld, script: tuple[Callable[[], object], ...]) -> None:
        super().__init__(world.clock)
        self._left = list(script)

    def wait(self, timeout: float | None = None) -> bool:
        """Let the time pass, and call the next function. Waits of a backup between two cycles are the only ones."""
        super().wait(timeout)
        if not self._left:
            self.set()
        else:
            self._left.pop(0)()
        return self.is_set()


def _nothing() -> None:
    """A cycle without news."""


def _kinds(world: SmallWorld) -> list[str]:
    return [one.point_kind for one in world.repository.log(SET).entries() if isinstance(one, PointEntry)]


def _restored(world: SmallWorld) -> list[object]:
    name = f"copy-{world.clock.now_ms()}"
    assert () == tuple(world.restore({"orders": name}).mismatches)
    return list(world.contents(name))


def test_each_cycle_with_news_makes_a_point_and_one_without_makes_none(world: SmallWorld) -> None:
    world.topic()

    read = Running(world).run(lambda: world.send(records=5), _nothing, lambda: world.send(records=15))

    assert ([10, 5, 15], ["snapshot", "continuous", "continuous"]) == (read, _kinds(world))
    assert world.contents("orders", cluster=world.source) == _restored(world)
    world.assert_valid()


def test_a_cycle_over_many_partitions_makes_one_object_for_each_worker(world: SmallWorld) -> None:
    world.topic(partitions=20)
    running = Running(world)

    def send() -> None:
        for partition in range(20):
            world.send(("orders", partition), 1)

    running.run(send)

    assert [None, 1] == [None if cycle.plan.kind == "snapshot" else len(cycle.plan.bins) for cycle in running.cycles]


@pytest.mark.parametrize(
    ("mib", "bins"), [(0, 4), (100, 4), (600, 16), (9000, 16)], ids=["nothing", "little", "much", "very much"]
)
def test_a_cycle_has_a_bin_for_each_worker_and_more_only_for_many_bytes(mib: int, bins: int) -> None:
    assert bins == most_bins_of_cycle(mib << 20, 16, 4)


def test_cycles_begin_at_their_interval(world: SmallWorld) -> None:
    world.topic()
    began = world.clock.now_ms()

    running = Running(world)
    running.run(lambda: world.send(records=5), lambda: world.send(records=5))

    planned = [cycle.plan.planned_ms - began for cycle in running.cycles]
    assert [0, 1, 2] == [round(one / CYCLE_MS) for one in planned]


def test_without_news_there_is_a_point_every_fifteen_minutes_with_the_positions_of_the_groups(
    world: SmallWorld,
) -> None:
    world.topic()
    idle = [_nothing] * (2 * HEARTBEAT_MS // CYCLE_MS + 1)
    idle[3] = lambda: world.commit("billing", {("orders", 0): 7})

    running = Running(world)
    assert [10, 0, 0] == running.run(*idle)

    assert ["snapshot", "continuous", "continuous"] == _kinds(world)
    groups = running.cycles[1].point.groups
    assert groups is not None
    assert [("billing", [7])] == [(one.group, [at.offset for at in one.positions]) for one in groups.groups]


def test_new_topics_and_partitions_are_picked_up_and_deleted_ones_end(world: SmallWorld) -> None:
    world.topic()
    running = Running(world)

    def grow() -> None:
        world.topic("payments", records=3)

    def shrink() -> None:
        with world.context(world.source).admin() as admin:
            admin.delete_topics(["orders"])

    assert [10, 3, 0] == running.run(grow, shrink)
    live = {source.topic: row.is_live for source, row in world.point().rows.items()}
    assert {"orders": False, "payments": True} == live


def test_told_to_end_it_commits_what_it_has_read_and_the_next_one_goes_on_there(world: SmallWorld) -> None:
    world.topic(partitions=2)
    context, ending = world.context(world.source), threading.Event()
    Running(world).run()
    for partition in (0, 1):
        world.send(("orders", partition), 20)
    reports = CycleReports()
    with lease_of_cycles(context, SET, ending=ending) as lease:
        plan = plan_cycle(context, lease, world.request(), workers=1, finished=reports.finished)
        assert plan is not None
        end_after_first_batch = replace(context, progress=lambda *_args, **_figures: ending.set())
        cycle = run_cycle(end_after_first_batch, plan, ending=ending, workers=1)

    assert ("complete", 20 + 5) == (cycle.point.entry.status, cycle.point.entry.totals.records)
    assert [35] == Running(world).run()
    for partition in (0, 1):
        assert 30 == len(world.contents("orders", partition, cluster=world.source))
    assert 60 == world.point().entry.totals.records
    world.assert_valid()


def test_told_to_end_while_it_reads_a_partition_again_it_leaves_that_as_it_was(world: SmallWorld) -> None:
    """Otherwise the newest point would end before the one before it, until the next process has read the rest."""
    world.topic(records=20)
    context, ending = world.context(world.source), threading.Event()
    Running(world).run()
    world.source.elect_uncleanly(("orders", 0), end=5)
    world.send(records=30)
    with lease_of_cycles(context, SET, ending=ending) as lease:
        plan = plan_cycle(context, lease, world.request(), workers=1, finished=lambda run: None)
        assert plan is not None
        cycle = run_cycle(
            replace(context, progress=lambda *_args, **_figures: ending.set()), plan, ending=ending, workers=1
        )

    assert ((), 20) == (cycle.point.entry.truncated, cycle.point.entry.totals.records)
    world.assert_valid()
    assert [30] == Running(world).run()
    assert world.contents("orders", cluster=world.source) == _restored(world)


def test_a_truncation_without_new_records_is_news(world: SmallWorld) -> None:
    world.topic()

    read = Running(world).run(lambda: world.source.elect_uncleanly(("orders", 0), end=5), _nothing)

    assert [10, 0] == read
    assert [(5, 10)] == [(note.first, note.next) for note in world.point().entry.truncated]
    assert world.contents("orders", cluster=world.source) == _restored(world)


def test_told_to_end_during_a_base_it_makes_no_point_and_the_next_one_adopts_what_was_read(world: SmallWorld) -> None:
    world.topic(records=20)
    context, ending = world.context(world.source), SimulatedStop(world.clock)
    context = replace(context, progress=lambda *_args, **_figures: ending.set())

    back_up_continuously(context, world.request(), cycle_ms=CYCLE_MS, ending=ending, workers=1, reports=CycleReports())
    assert [] == _kinds(world)
    later = Running(world)
    later.run()

    assert [(5, 20)] == [(run.records, run.point.entry.totals.records) for run in later.finished]
    assert (["snapshot"], world.contents("orders", cluster=world.source)) == (_kinds(world), _restored(world))


def test_the_cycle_of_a_process_that_died_is_finished_by_the_next_one(
    world: SmallWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.topic()
    Running(world).run()
    world.send(records=15)

    def crash(*_args: object) -> None:
        raise Crashed

    with monkeypatch.context() as dying:
        dying.setattr(continuous, "commit_run", crash)
        with pytest.raises(Crashed):
            Running(world).run()
    world.send(records=5)
    later = Running(world)

    assert [5] == later.run()
    assert [("continuous", 15)] == [(run.point.entry.point_kind, run.records) for run in later.finished]
    assert ["snapshot", "continuous", "continuous"] == _kinds(world)
    assert world.contents("orders", cluster=world.source) == _restored(world)


@pytest.mark.parametrize("call", ["admin.describe_topics", "fetcher.receive"])
def test_a_cycle_that_fails_is_tried_again_while_the_lease_is_kept(world: SmallWorld, call: str) -> None:
    world.topic()
    running = Running(world)

    def fail(step: Step) -> None:
        if step.call == call:
            raise BrokerUnavailableError("no broker answers")

    def strike() -> None:
        world.send(records=5)
        world.source.interceptor = fail

    def recover() -> None:
        world.source.interceptor = world.faults

    running.run(strike, _nothing, recover)

    assert 2 == len(running.failures)
    assert ("complete", 15) == (world.point().entry.status, world.point().entry.totals.records)
    assert world.contents("orders", cluster=world.source) == _restored(world)


def test_a_cycle_that_another_process_has_voided_adds_nothing_and_the_next_one_goes_on(world: SmallWorld) -> None:
    world.topic()
    context, ending = world.context(world.source), threading.Event()
    with lease_of_cycles(context, SET, ending=ending) as lease:
        request = world.request()
        first = plan_cycle(context, lease, request, workers=1, finished=lambda run: None)
        assert first is not None
        run_cycle(context, first, ending=ending, workers=1)
        world.send(records=5)
        second = plan_cycle(context, lease, request, workers=1, finished=lambda run: None)
        assert second is not None
        lease.release()
        world.back_up_changes()
        with pytest.raises(RunClosedError) as closed:
            run_cycle(context, second, ending=ending, workers=1)

    assert can_pass(closed.value)
    assert 15 == world.point().entry.totals.records
    assert world.contents("orders", cluster=world.source) == _restored(world)


def test_a_second_one_waits_for_the_lease_and_goes_on_where_the_first_ended(world: SmallWorld) -> None:
    world.topic()
    first = acquire(world.store, capture_lease_key(SET))
    owners: list[str] = []
    beats = iter(range(5))

    def renew() -> None:
        if next(beats, None) is None:
            first.release()
        else:
            first.renew()

    context = world.context(world.source)
    ending = _Scripted(world, (renew,) * 30)
    with lease_of_cycles(context, SET, ending=ending, waiting=owners.append) as lease:
        assert first.record.owner != lease.record.owner
    assert [first.record.writer] == owners


def test_it_ends_when_another_writer_takes_its_lease(world: SmallWorld) -> None:
    world.topic()
    key = capture_lease_key(SET)

    def steal() -> None:
        record = read_lease(world.store, key)
        assert record is not None
        _, info = world.store.get(key)
        swap_sealed(world.store, key, record.model_copy(update={"owner": "other"}), expected=info.version)
        world.send(records=5)

    with pytest.raises(LockedError, match="Another writer took over the lease"):
        Running(world).run(steal)
    assert ["snapshot"] == _kinds(world)


@pytest.fixture
def world() -> SmallWorld:
    """An empty world."""
    return SmallWorld()
