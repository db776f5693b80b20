"""The step that backs the source up once, struck or not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tasks.engine.incremental import incremental_locally
from tasks.engine.options import BackupOptions, TopicSelection
from tasks.engine.run_context import ClusterContext
from tasks.engine.snapshot import snapshot_locally
from tasks.engine.source.snapshot_plan import SnapshotRequest
from tasks.model.errors import KafkaBackupError
from tasks.repository.plans import Plan
from tests.simulation.histories.attempt import Attempt
from tests.simulation.histories.laws import require
from tests.simulation.histories.middle import act_in_the_middle, can_succeed
from tests.simulation.histories.strikes import UNDISTURBED, Strike
from tests.simulation.histories.world import SET, World
from tests.support.faults import Crashed

OPTIONS = BackupOptions(consumer_group_snapshot=True, segment_max_bytes=1 << 10, max_concurrent_partitions=1)
"""Objects are closed after a kilobyte of log, so that a partition has several."""


@dataclass(frozen=True)
class Backup:
    """One snapshot, or one incremental run, of everything. Without a strike it must succeed where every partition has a
    leader."""

    strike: Strike = UNDISTURBED
    is_incremental: bool = False

    def run(self, world: World) -> None:
        """Whatever happens to it, the set has its old points and perhaps one more, which the model then knows."""
        attempt = Attempt(world)
        outcome = self._outcome(world, attempt)
        attempt.is_done = outcome == "a point"
        attempt.end()
        world.log.append(f"  -> {outcome}")

    def _outcome(self, world: World, attempt: Attempt) -> str:
        def act() -> None:
            act_in_the_middle(
                world,
                self.strike,
                attempt,
                lambda context, waiting: self._back_up(world, context, lambda plan: None, waiting),
            )

        try:
            with self.strike.on(world, world.source, act):
                context = world.context(world.source, self.strike.store(world))
                self._back_up(world, context, attempt.plan, lambda owner: None)
        except Crashed:
            return "the process died"
        except KafkaBackupError as error:
            outcome = f"{type(error).__name__}: {error}"
            is_excused = self.strike.kind not in ("none", "lose-store", "lose-cluster") or not can_succeed(world)
            require(is_excused, "an undisturbed backup succeeds", outcome)
            return outcome
        return "a point"

    def _back_up(
        self, world: World, context: ClusterContext, planned: Callable[[Plan], None], waiting: Callable[[str], None]
    ) -> None:
        back_up = incremental_locally if self.is_incremental else snapshot_locally
        back_up(context, request_of(world), workers=1, planned=planned, waiting=waiting)


def request_of(world: World, set_name: str = SET) -> SnapshotRequest:
    """A backup of everything."""
    return SnapshotRequest(set_name=set_name, run=world.run_id(), topics=TopicSelection(), options=OPTIONS, most_bins=2)
