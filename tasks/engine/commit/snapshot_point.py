"""The point of a snapshot: makes its entry from the plan, the captured lines and the newest point. Contains the
precondition of its commit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tasks.engine.capture.capture_result import CaptureResult
from tasks.engine.commit.outcome import Outcome, decide
from tasks.engine.commit.point_parts import NOTHING_ADOPTED, CapturedRun, shrinkage
from tasks.engine.commit.runs import check_open
from tasks.model.errors import PreconditionError
from tasks.model.partition import Partition
from tasks.repository.entries import PointEntry, Totals
from tasks.repository.frame_reader import FrameReader
from tasks.repository.index import IndexRef, write_index
from tasks.repository.lines import IndexLine
from tasks.repository.partition_table import Row, write_table
from tasks.repository.plans import Plan
from tasks.repository.repository import Repository
from tasks.repository.restore_point import RestorePoint
from tasks.repository.set_state import SetState


class SnapshotPoint:
    """The `PointProducer` of a snapshot run. Making it reads the run's fragments, which raises `DamagedError` if one is
    missing or damaged.

    `build` also raises `CommitError` if a planned offset is neither captured, nor in a gap, nor of a failed partition,
    and `NothingCapturedError` if nothing was captured (`AccessError` if a permission is missing).
    """

    def __init__(
        self,
        repository: Repository,
        plan: Plan,
        captured: Sequence[CaptureResult],
        adopted: Mapping[Partition, Sequence[IndexLine]] = NOTHING_ADOPTED,
    ) -> None:
        self._repository = repository
        self._run = CapturedRun.read(repository, plan, captured, adopted)
        self._log = repository.log(plan.set)

    @property
    def set_name(self) -> str:
        """See `PointProducer.set_name`."""
        return self._run.plan.set

    def build(self, state: SetState) -> PointEntry:
        """See `PointProducer.build`."""
        plan = self._run.plan
        check_open(self._log, state, plan.run, begun_after=plan.begun_after)
        newest = self._point(state.newest_point)
        rows = newest.rows if newest else {}
        based_on = self._point(plan.based_on)
        check_snapshot(plan, rows, based_on.rows if based_on else {})
        outcomes = decide(plan, self._run.lines, self._run.failures, rows, now_ms=plan.planned_ms)
        if not any(outcome.lines or outcome.row.failure is None for outcome in outcomes):
            raise self._run.nothing_captured()
        return self._entry(state, newest, outcomes)

    def _point(self, seq: int | None) -> RestorePoint | None:
        return None if seq is None else self._log.point(seq)

    def _entry(self, state: SetState, newest: RestorePoint | None, outcomes: Sequence[Outcome]) -> PointEntry:
        plan, store = self._run.plan, self._repository.store
        new_lines = [line for outcome in outcomes if not outcome.is_kept for line in outcome.lines]
        repeated = _repeated_lines(newest, outcomes)
        totals = _totals(self._repository, outcomes, [*new_lines, *repeated])
        return PointEntry(
            **self._run.entry_members(self._repository, state, newest, outcomes),
            point_kind="snapshot",
            index=_write_indexes(self._repository, plan, new_lines, repeated),
            table=(write_table(store, plan.set, plan.run, [outcome.row for outcome in outcomes]),),
            totals=totals,
            shrunk=shrinkage(plan, newest, [outcome.row for outcome in outcomes], totals),
        )


def check_snapshot(plan: Plan, now: Mapping[Partition, Row], then: Mapping[Partition, Row]) -> None:
    """The precondition of a snapshot. `now` are the rows of the newest point, `then` are the rows of the point that was
    the newest when the run was planned. Pure.

    Raises `PreconditionError` if another run captured a partition beyond this plan's end, or captured a live
    incarnation that this plan does not contain. The point of this run would remove those records from the newest point.
    """
    ends = {planned.source: planned.end for planned in plan.partitions}
    known = ends.keys() | {failure.source for failure in plan.failures}
    for source, row in now.items():
        if row == then.get(source):
            continue
        if source in ends and row.next > ends[source]:
            raise PreconditionError(
                f"{source}: another run captured up to {row.next}, past this plan's end at {ends[source]}. "
                "Run the backup again."
            )
        if source not in known and row.is_live and source not in then:
            raise PreconditionError(
                f"{source}: another run captured it, and this run's plan does not contain it. Run the backup again."
            )


def _repeated_lines(newest: RestorePoint | None, outcomes: Sequence[Outcome]) -> list[IndexLine]:
    """The counting lines of the rows that the new point keeps from the newest one. Each line has its own seq."""
    kept_rows = [outcome.row for outcome in outcomes if outcome.is_kept]
    if not kept_rows or newest is None:
        return []
    found = newest.lines([newest.rows[row.source] for row in kept_rows])
    return [line for lines in found.values() for line in lines]


def _write_indexes(
    repository: Repository, plan: Plan, new_lines: Sequence[IndexLine], repeated: Sequence[IndexLine]
) -> tuple[IndexRef, ...]:
    return tuple(write_index(repository.store, plan.set, plan.run, lines) for lines in (new_lines, repeated) if lines)


def _totals(repository: Repository, outcomes: Sequence[Outcome], lines: Sequence[IndexLine]) -> Totals:
    reader = FrameReader(repository.store)
    return Totals(
        topics=len({outcome.row.source.incarnation for outcome in outcomes}),
        partitions=len(outcomes),
        records=sum(reader.count_records(line) for line in lines),
        log_bytes=sum(line.log_bytes for line in lines),
        stored_bytes=sum({line.object: line.stored_bytes or 0 for line in lines}.values()),
        objects=len({line.object for line in lines if line.object}),
    )
