"""The steps of a snapshot: hold the set's lease, plan, capture every bin, commit. The command runs them in one process;
a flow runs each of them as a task."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

from tasks.engine.capture.capture_ranges import IsCompacted, capture_ranges
from tasks.engine.capture.capture_result import CaptureResult
from tasks.engine.capture.object_sink import ObjectSettings
from tasks.engine.capture.range_reader import CaptureRange
from tasks.engine.commit.commit import commit_point
from tasks.engine.commit.runs import run_lease, void_run
from tasks.engine.commit.snapshot_point import SnapshotPoint
from tasks.engine.run_context import ClusterContext
from tasks.engine.source.snapshot_plan import SnapshotRequest, plan_snapshot
from tasks.engine.workers import run_all
from tasks.model.errors import PreconditionError
from tasks.model.partition import Partition
from tasks.repository.plans import Plan, PlannedPartition
from tasks.repository.repository import Repository
from tasks.repository.restore_point import RestorePoint
from tasks.repository.state_objects import TopicsState, read_state


def snapshot_locally(
    context: ClusterContext,
    request: SnapshotRequest,
    *,
    workers: int,
    planned: Callable[[Plan], None] = lambda plan: None,
    waiting: Callable[[str], None] = lambda owner: None,
) -> tuple[RestorePoint, list[CaptureResult]]:
    """Make one point of the set with `workers` threads of this process. Returns the point and what was captured.

    `planned` is called with the plan before the first byte is read. `waiting` is called with the owner of the lease if
    this run has to wait. Raises `LockedError` if another writer holds the set's lease, `InterruptedRunError` on `stop`,
    and what the steps raise. After an error this run has no point, and the next run voids it. Only after
    `OutcomeUnknownError` it can have one.
    """
    with run_lease(context, request.set_name, request.run, waiting=waiting):
        plan = plan_snapshot(context, request)
        planned(plan)
        captured = capture_bins(context, plan, workers=workers)
        return commit_snapshot(context.repository, plan, captured), captured


def capture_bins(context: ClusterContext, plan: Plan, *, workers: int) -> list[CaptureResult]:
    """Capture all bins of a plan with `workers` threads. Raises what `capture_ranges` raises."""
    return run_all(lambda number: capture_bin(context, plan, number), range(len(plan.bins)), workers, context.stop)


def capture_bin(context: ClusterContext, plan: Plan, number: int) -> CaptureResult:
    """Capture the partitions of one bin of a plan. May be called again, in any process. Raises what `capture_ranges`
    raises."""
    return capture_ranges(
        context,
        [_range_of(plan.partitions[index]) for index in plan.bins[number]],
        ObjectSettings.of_plan(plan),
        fetch_bytes=plan.fetch_bytes,
        is_compacted=_compaction_at_plan_time(context.repository, plan),
    )


def commit_snapshot(repository: Repository, plan: Plan, captured: Sequence[CaptureResult]) -> RestorePoint:
    """Commit the point of the run. May be called again. Raises what `commit_point` and `SnapshotPoint` raise.

    After a `PreconditionError` the run can never commit, so it is voided before the error is raised.
    """
    try:
        return commit_point(repository, SnapshotPoint(repository, plan, captured))
    except PreconditionError as error:
        void_run(repository, plan.set, plan.run, str(error), begun_after=plan.begun_after)
        raise


def _range_of(planned: PlannedPartition) -> CaptureRange:
    return CaptureRange(source=planned.source, start=planned.start, end=planned.end, bytes=planned.bytes)


def _compaction_at_plan_time(repository: Repository, plan: Plan) -> IsCompacted:
    """A function that returns whether a partition's topic was compacted when the run was planned. It reads the topics'
    settings when it is first called."""

    @cache
    def compacted_ids() -> frozenset[str]:
        topics = read_state(repository.store, plan.topics, TopicsState).topics
        return frozenset(topic.topic_id for topic in topics if topic.is_compacted)

    def is_compacted(source: Partition) -> bool:
        return source.topic_id in compacted_ids()

    return is_compacted
