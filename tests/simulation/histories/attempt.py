"""One run of a backup as the model follows it: how the cluster looked meanwhile, and what its point has to hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tasks.model.partition import Partition
from tasks.repository.entries import PartitionNote
from tasks.repository.partition_table import Row
from tasks.repository.plans import Plan
from tasks.repository.restore_point import RestorePoint
from tests.simulation.histories.laws import require
from tests.simulation.histories.model import Expected, Views, expected_of, merged, views
from tests.simulation.histories.world import SET, World


@dataclass
class Attempt:
    """One run, and how the cluster looked before it, when it planned, after a change, and after it. The model begins
    the run with it. `is_cut_short`: it was told to end while it read."""

    world: World
    seen: list[Views] = field(default_factory=list)
    planned: Views | None = None
    run_id: str | None = None
    is_done: bool = False
    is_cut_short: bool = False

    def __post_init__(self) -> None:
        self.world.model.begin_run(views(self.world.source))
        self._known = set(self.world.model.points)
        self.look()

    def look(self) -> None:
        """The cluster as it is now."""
        self.seen.append(views(self.world.source))

    def plan(self, plan: Plan) -> None:
        """What the plan covers of the partitions as they are now; the cluster may have changed since it was asked."""
        now = views(self.world.source)
        self.run_id = plan.run
        if plan.kind != "snapshot":  # everything up to the planned ends is in the point, read by whichever run
            ends = {part.source: part.end for part in plan.partitions}
            self.planned = {source: view.within(view.start, ends.get(source, view.end)) for source, view in now.items()}
            return
        self.planned = {
            part.source: now[part.source].within(part.start, part.end) for part in plan.partitions if part.source in now
        }

    def end(self) -> None:
        """Whatever happened to it, the set has its old points and perhaps more, which the model then knows. A run that
        did not end can be finished later, by what it has stored and by what there is then."""
        self.look()
        new = sorted(_points(self.world) - self._known)
        for seq in new:
            self._learn(point_of(self.world, seq))
        if not new:
            self.world.model.forget_run(list(self.world.model.chain))
        unfinished = self.world.model.unfinished
        self.world.model.unfinished = [] if self.is_done else [*unfinished, *self.seen]

    def _learn(self, point: RestorePoint) -> None:
        """What the point has to hold, by how the cluster looked."""
        model = self.world.model
        earlier = max((seq for seq in model.points if seq < point.seq), default=None)
        before = model.points[earlier] if earlier is not None else {}
        is_own = point.entry.run == self.run_id
        seen = self.seen if is_own else [*model.unfinished, *self.seen]
        is_chained = point.entry.point_kind != "snapshot"
        if earlier is not None:
            self._require_no_step_back(point_of(self.world, earlier), point)
        kept = {source for source, row in point.rows.items() if row.failure is not None}
        if is_own and self.is_cut_short and earlier is not None:
            kept |= self._left_out(point_of(self.world, earlier), point)
        expected = {
            source: self._continued(source, row, before, seen, is_kept=source in kept)
            if is_chained
            else self._expected(source, before.get(source), seen, is_failed=source in kept)
            for source, row in point.rows.items()
        }
        if is_own and self.is_cut_short:
            expected = {source: one.below(point.rows[source].next) for source, one in expected.items()}
        model.points[point.seq] = expected
        model.failed |= {source for source, row in point.rows.items() if row.failure is not None}
        model.continue_with(expected, kept & model.chain.keys())
        if not (is_own and self.is_cut_short):
            self._require_all_partitions(point, seen)
        if is_chained and is_own and earlier is not None:
            self._require_stated_gaps(point_of(self.world, earlier), point)
        if self.planned is not None and is_own:
            model.planned[point.seq] = {
                source: view.within(view.start, point.rows[source].next)
                for source, view in self.planned.items()
                if source in point.rows and source not in kept
            }

    def _require_no_step_back(self, before: RestorePoint, point: RestorePoint) -> None:
        for source, earlier in before.rows.items():
            row = point.rows.get(source)
            is_as_far = row is None or row.next >= earlier.next or source in self.world.model.rewound
            require(is_as_far, "no point ends before an earlier one", source, earlier.next, row)

    def _left_out(self, before: RestorePoint, point: RestorePoint) -> set[Partition]:
        """The partitions to which the run did not come any more before it was told to end. Of the others it takes
        nothing away that the cluster still has."""
        for source, view in self.seen[-1].items():
            row, earlier = point.rows.get(source), before.rows.get(source)
            if row is not None and earlier is not None:
                is_as_far = row.next >= min(earlier.next, view.end)
                require(is_as_far, "a run that is told to end takes nothing away", source, earlier.next, row.next)
        return {source for source, row in before.rows.items() if point.rows.get(source) == row}

    def _require_stated_gaps(self, before: RestorePoint, point: RestorePoint) -> None:
        """Offsets that were deleted after the earlier point and before the plan are stated."""
        for source, view in (self.planned or {}).items():
            row = before.rows.get(source)
            if row is None or _failed(point, source) or source in self.world.model.rewound:
                continue
            stated = [(note.first or 0, note.next or 0) for note in point.entry.gaps if _source(note) == source]
            lost = range(row.next, min(view.start, point.rows[source].next))
            missing = [at for at in lost if not any(low <= at < high for low, high in stated)]
            require(row.first == row.next or not missing, "nothing is lost without a gap that says so", source, missing)

    def _continued(
        self,
        source: Partition,
        row: Row,
        before: Mapping[Partition, Expected],
        seen: Sequence[Views],
        *,
        is_kept: bool,
    ) -> Expected:
        """What an incremental point has to hold of a partition: what the chain holds, and what was new."""
        model = self.world.model
        if source not in before:
            return self._expected(source, None, seen, is_failed=is_kept)
        if is_kept:
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


def point_of(world: World, seq: int) -> RestorePoint:
    """A point of the set."""
    return world.context(world.source).repository.log(SET).point(seq)


def _points(world: World) -> set[int]:
    return set(world.context(world.source).repository.log(SET).state().points)


def _source(note: PartitionNote) -> Partition:
    return Partition(note.topic, note.topic_id, note.partition)


def _failed(point: RestorePoint, source: Partition) -> bool:
    row = point.rows.get(source)
    return row is None or row.failure is not None
