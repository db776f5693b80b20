"""The step that backs the source up, struck or not, and records in the model what the new point has to hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tasks.engine.incremental import incremental_locally
from tasks.engine.options import BackupOptions, TopicSelection
from tasks.engine.run_context import ClusterContext
from tasks.engine.snapshot import snapshot_locally
from tasks.engine.source.snapshot_plan import SnapshotRequest
from tasks.model.errors import KafkaBackupError, LockedError
from tasks.model.partition import Partition
from tasks.repository.document import seal, unseal
from tasks.repository.entries import PartitionNote
from tasks.repository.names import capture_lease_key
from tasks.repository.partition_table import Row
from tasks.repository.plans import Plan
from tasks.repository.restore_point import RestorePoint
from tests.simulation.histories.laws import require
from tests.simulation.histories.model import Expected, Views, expected_of, merged, views
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
        world.model.begin_run(views(world.source))
        attempt = _Attempt(world, self.strike, self.is_incremental)
        known = set(world.model.points)
        attempt.run()
        for seq in sorted(_points(world) - known):
            attempt.learn(_point(world, seq))
        attempt.end()


@dataclass
class _Attempt:
    """One run of the program, and how the cluster looked before it, when it planned, after a change, and after it."""

    world: World
    strike: Strike
    is_incremental: bool = False
    seen: list[Views] = field(default_factory=list)
    planned: Views | None = None
    run_id: str | None = None
    is_done: bool = False

    def end(self) -> None:
        """A run that did not end can be finished later, by what it has stored and by what there is then."""
        unfinished = self.world.model.unfinished
        self.world.model.unfinished = [] if self.is_done else [*unfinished, *self.seen]

    def run(self) -> None:
        self.seen.append(views(self.world.source))
        outcome = "a point"
        try:
            with self.strike.on(self.world, self.world.source, self._act):
                self._back_up(self.world.context(self.world.source, self.strike.store(self.world)), self._plan)
        except Crashed:
            outcome = "the process died"
        except KafkaBackupError as error:
            outcome = f"{type(error).__name__}: {error}"
            is_excused = self.strike.kind not in ("none", "lose-store", "lose-cluster") or not _can_succeed(self.world)
            require(is_excused, "an undisturbed backup succeeds", outcome)
        self.is_done = outcome == "a point"
        self.seen.append(views(self.world.source))
        self.world.log.append(f"  -> {outcome}")

    def learn(self, point: RestorePoint) -> None:
        """What the point has to hold, by how the cluster looked."""
        earlier = [seq for seq in self.world.model.points if seq < point.seq]
        before = self.world.model.points[max(earlier)] if earlier else {}
        model = self.world.model
        seen = self.seen if point.entry.run == self.run_id else [*model.unfinished, *self.seen]
        is_chained = point.entry.point_kind == "incremental"
        expected = {
            source: self._continued(source, row, before, seen)
            if is_chained
            else self._expected(source, before.get(source), seen, is_failed=row.failure is not None)
            for source, row in point.rows.items()
        }
        model.points[point.seq] = expected
        failed = {source for source, row in point.rows.items() if row.failure is not None and source in model.chain}
        model.chain = {source: model.chain[source] if source in failed else one for source, one in expected.items()}
        for source, end in list(model.truncated.items()):  # during this run
            model.truncate(source, end)
        self._require_all_partitions(point, seen)
        if is_chained and point.entry.run == self.run_id and earlier:
            self._require_stated_gaps(_point(self.world, max(earlier)), point)
        if self.planned is not None and point.entry.run == self.run_id:
            model.planned[point.seq] = {
                source: view.within(view.start, point.rows[source].next)
                for source, view in self.planned.items()
                if not _failed(point, source)
            }

    def _require_stated_gaps(self, before: RestorePoint, point: RestorePoint) -> None:
        """Offsets that were deleted after the earlier point and before the plan are stated."""
        for source, view in (self.planned or {}).items():
            row = before.rows.get(source)
            if row is None or _failed(point, source) or source in self.world.model.rewound:
                continue
            stated = [(note.first or 0, note.next or 0) for note in point.entry.gaps if _source(note) == source]
            missing = [at for at in range(row.next, view.start) if not any(low <= at < high for low, high in stated)]
            require(row.first == row.next or not missing, "nothing is lost without a gap that says so", source, missing)

    def _continued(
        self, source: Partition, row: Row, before: Mapping[Partition, Expected], seen: Sequence[Views]
    ) -> Expected:
        """What an incremental point has to hold of a partition: what the chain holds, and what was new."""
        model = self.world.model
        if source not in before:
            return self._expected(source, None, seen, is_failed=row.failure is not None)
        if row.failure is not None:
            return before[source]
        chain, new = model.chain[source], self._expected(source, None, seen, is_failed=False)
        required = {} if source in model.rewound and self._is_compacted(source) else dict(chain.required)
        is_adopted = seen is not self.seen  # its run may have read the log before the source lost a part of it
        if not row.is_live:
            return Expected(required, {**before[source].allowed, **new.allowed})
        allowed = before[source].allowed if is_adopted else chain.allowed
        return Expected({**required, **new.required}, {**allowed, **new.allowed})

    def _is_compacted(self, source: Partition) -> bool:
        topic = self.world.source.topics.by_name.get(source.topic)
        return topic is None or topic.topic_id != source.topic_id or topic.settings.has_policy("compact")

    def _expected(
        self, source: Partition, before: Expected | None, all_seen: Sequence[Views], *, is_failed: bool
    ) -> Expected:
        """A partition that failed keeps what the earlier point has, or without one gets a part."""
        if is_failed and before is not None:
            return before
        found = [seen[source] for seen in all_seen if source in seen]
        gone = any(source not in seen for seen in all_seen)
        pieces = [expected_of(found[0], None if gone else later) for later in found] if found else []
        allowed = merged(expected_of(view, None) for view in found).allowed
        if is_failed or gone or not pieces:
            return Expected({}, allowed)
        required = {
            offset: one
            for offset, one in pieces[0].required.items()
            if all(piece.required.get(offset) == one for piece in pieces)
        }
        return Expected(required, allowed)

    def _require_all_partitions(self, point: RestorePoint, seen: Sequence[Views]) -> None:
        """What was there all the time has a row, or a stated failure."""
        always = set(seen[0]).intersection(*seen)
        stated = {(note.topic, note.topic_id, note.partition) for note in point.entry.failures}
        missing = sorted(source for source in always if source not in point.rows and source not in stated)
        require(not missing, "every partition is in the point, or said to be missing", point.name, missing)

    def _plan(self, plan: Plan) -> None:
        """What the plan covers of the partitions as they are now; the cluster may have changed since it was asked."""
        now = views(self.world.source)
        self.run_id = plan.run
        if plan.kind == "incremental":  # everything up to the planned ends is in the point, read by whichever run
            ends = {part.source: part.end for part in plan.partitions}
            self.planned = {source: view.within(view.start, ends.get(source, view.end)) for source, view in now.items()}
            return
        self.planned = {
            part.source: now[part.source].within(part.start, part.end) for part in plan.partitions if part.source in now
        }

    def _act(self) -> None:
        """In the middle of the run."""
        if self.strike.kind == "change":
            assert self.strike.change is not None
            self.strike.change.run(self.world)
            self.seen.append(views(self.world.source))
            return
        context = self.world.context(self.world.source)
        is_rival = self.strike.kind == "rival"

        def waiting(owner: str) -> None:
            if is_rival:
                _beat(context)

        try:
            self._back_up(context, lambda plan: None, waiting=waiting)
        except LockedError:
            return
        except KafkaBackupError as error:
            self.world.log.append(f"  the other writer: {type(error).__name__}: {error}")
            return
        require(not is_rival, "a second writer is refused while the first one is alive")

    def _back_up(
        self,
        context: ClusterContext,
        planned: Callable[[Plan], None],
        *,
        waiting: Callable[[str], None] = lambda owner: None,
    ) -> None:
        request = SnapshotRequest(
            set_name=SET, run=self.world.run_id(), topics=TopicSelection(), options=OPTIONS, most_bins=2
        )
        back_up = incremental_locally if self.is_incremental else snapshot_locally
        back_up(context, request, workers=1, planned=planned, waiting=waiting)


def _beat(context: ClusterContext) -> None:
    """The first writer's heartbeat, which comes while the second one waits."""
    store, key = context.repository.store, capture_lease_key(SET)
    data, info = store.get(key)
    record = unseal(data, key=key)
    store.compare_and_swap(key, [seal({**record, "beat": record["beat"] + 1})], expected=info.version)


def _points(world: World) -> set[int]:
    return set(world.context(world.source).repository.log(SET).state().points)


def _point(world: World, seq: int) -> RestorePoint:
    return world.context(world.source).repository.log(SET).point(seq)


def _source(note: PartitionNote) -> Partition:
    return Partition(note.topic, note.topic_id, note.partition)


def _failed(point: RestorePoint, source: Partition) -> bool:
    row = point.rows.get(source)
    return row is None or row.failure is not None


def _can_succeed(world: World) -> bool:
    topics = [topic for topic in world.source.topics.by_name.values() if not topic.is_internal]
    return bool(topics) and all(led.leader is not None for topic in topics for led in topic.partitions)
