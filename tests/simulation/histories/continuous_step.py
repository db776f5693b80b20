"""The step that backs the source up continuously, cycle after cycle, struck or not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tasks.engine.continuous import Cycle, CycleReports, back_up_continuously
from tasks.engine.incremental import incremental_locally
from tasks.engine.run_context import ClusterContext
from tasks.model.errors import KafkaBackupError
from tasks.repository.plans import Plan
from tests.simulation.histories.attempt import Attempt, point_of
from tests.simulation.histories.backup_step import request_of
from tests.simulation.histories.cluster_steps import ClusterStep
from tests.simulation.histories.laws import require
from tests.simulation.histories.middle import act_in_the_middle, can_succeed
from tests.simulation.histories.strikes import UNDISTURBED, Strike
from tests.simulation.histories.world import World
from tests.simulation.kafka.clock import SimulatedClock, SimulatedStop
from tests.support.faults import Crashed

CYCLE_MS = 14 * 60_000
"""Of two cycles without news the second has a heartbeat."""

LEASE_WAIT_S = 2.0
"""No wait for a lease is longer. A wait for the next cycle is, or it is 0."""


@dataclass(frozen=True)
class Continuous:
    """A process that runs a cycle, and one more after each of the changes. Then it is told to end. Without a strike
    every cycle succeeds where every partition has a leader.

    A strike counts the calls of all cycles. `end` tells the process to end in the middle of a cycle. The other writer
    of `second-writer` is continuous too: it runs a cycle, the change of the strike happens, and it runs another. The
    struck process goes on after that, as a zombie."""

    changes: tuple[ClusterStep, ...] = ()
    strike: Strike = UNDISTURBED

    def run(self, world: World) -> None:
        """Whatever happens to it, the set has its old points and perhaps more, which the model then knows."""
        _Process(world, self).run()


class _Ending(SimulatedStop):
    """The `ending` of a process. `between` is called between two cycles, and returns whether there is no other."""

    def __init__(self, clock: SimulatedClock, between: Callable[[], bool]) -> None:
        super().__init__(clock)
        self._between = between

    def wait(self, timeout: float | None = None) -> bool:
        """Let the time pass."""
        is_for_lease = timeout is not None and 0 < timeout <= LEASE_WAIT_S
        if not super().wait(timeout) and not is_for_lease and self._between():
            self.set()
        return self.is_set()


class _Process:
    """The process of a step. `_attempt` is its last cycle, which is open or has ended."""

    def __init__(self, world: World, step: Continuous) -> None:
        self._world = world
        self._strike = step.strike
        self._changes = list(step.changes)
        self._struck_before = world.struck
        self._begin_cycle()

    def run(self) -> None:
        """Run it to its end, or to what ends it."""
        self._ending = _Ending(self._world.clock, self._between)
        outcome = "told to end"
        try:
            with self._strike.on(self._world, self._world.source, self._act):
                context = self._world.context(self._world.source, self._strike.store(self._world))
                reports = CycleReports(planned=self._planned, committed=self._committed, failed=self._failed)
                _back_up(self._world, context, self._ending, reports)
        except Crashed:
            self._attempt.is_done = False
            outcome = "the process died"
        except KafkaBackupError as error:
            self._failed(error)
            outcome = "ended by an error"
        if self._is_open:
            self._end_cycle()
        self._world.log.append(f"  -> {outcome}")

    def _between(self) -> bool:
        self._end_cycle()
        if self._changes:
            change = self._changes.pop(0)
            self._world.log.append(f"  then {change}")
            change.run(self._world)
            self._begin_cycle()
        return not self._is_open

    # ── its cycles ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _begin_cycle(self) -> None:
        self._is_open = True
        self._attempt = Attempt(self._world, is_done=True)  # so it stays if there is nothing to do
        self._struck_in_earlier_cycles = self._world.struck
        self._could_succeed = can_succeed(self._world)

    def _end_cycle(self) -> None:
        self._is_open = False
        self._attempt.end()
        if self._attempt.is_done and not self._attempt.is_cut_short and not self._is_disturbed:
            self._require_up_to_date()

    @property
    def _is_disturbed(self) -> bool:
        """Whether the strike, or the cluster, is a reason for this cycle to fail."""
        is_struck = self._world.struck > self._struck_in_earlier_cycles
        is_zombie = self._strike.kind == "second-writer" and self._world.struck > self._struck_before
        is_hurt = (is_struck or is_zombie) and not self._strike.is_harmless
        return is_hurt or not self._could_succeed or not can_succeed(self._world)

    def _require_up_to_date(self) -> None:
        """A partition that lost the marker of a transaction after a part of it was read can be further."""
        model = self._world.model
        newest = point_of(self._world, max(model.points))
        for source, view in self._attempt.seen[0].items():
            row, end = newest.rows.get(source), max(view.start, view.end)
            found = None if row is None else (row.next, row.failure)
            is_new = found == (end, None) or source in model.rewound & model.failed
            require(is_new, "after a cycle the set is as new as the cluster", source, end, found)

    def _planned(self, plan: Plan) -> None:
        self._attempt.is_done = False
        self._attempt.plan(plan)

    def _committed(self, cycle: Cycle) -> None:
        self._attempt.is_done = True
        self._world.log.append(f"  a point with {cycle.records} new records")

    def _failed(self, error: KafkaBackupError) -> None:
        self._attempt.is_done = False
        outcome = f"{type(error).__name__}: {error}"
        self._world.log.append(f"  a cycle failed: {outcome}")
        require(self._is_disturbed, "an undisturbed cycle succeeds", outcome)

    # ── strikes ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _act(self) -> None:
        if self._strike.kind == "end":
            self._attempt.is_cut_short = True
            self._ending.set()
        elif self._strike.kind == "second-writer":
            self._replace()
        else:
            act_in_the_middle(self._world, self._strike, self._attempt, self._rival)

    def _rival(self, context: ClusterContext, waiting: Callable[[str], None]) -> None:
        incremental_locally(context, request_of(self._world), workers=1, waiting=waiting)

    def _replace(self) -> None:
        """Another process takes the lease, and runs two cycles with the change of the strike between them."""
        left = [self._strike.change]

        def between() -> bool:
            for change in left:
                if change is not None:
                    change.run(self._world)
                    self._attempt.look()
            is_last = not left
            left.clear()
            return is_last

        reports = CycleReports(failed=lambda error: self._world.log.append(f"  the other process: {error}"))
        try:
            _back_up(self._world, self._world.context(self._world.source), _Ending(self._world.clock, between), reports)
        except KafkaBackupError as error:
            self._world.log.append(f"  the other process: {type(error).__name__}: {error}")


def _back_up(world: World, context: ClusterContext, ending: SimulatedStop, reports: CycleReports) -> None:
    request = request_of(world)
    back_up_continuously(context, request, cycle_ms=CYCLE_MS, ending=ending, workers=1, reports=reports)
