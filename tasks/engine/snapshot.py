"""A snapshot: hold the set's lease, plan, capture every bin, commit. The command takes all steps in one process, a flow
takes them task by task."""

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
    """Make one point of the set by `workers` threads of this process.

    Raises `LockedError` when another writer holds the set's lease, `InterruptedRunError` on `stop`, and what the steps
    raise. Then there is no point of this run, and the next run voids what is left of it.
    """
    with run_lease(context, request.set_name, request.run, waiting=waiting):
        plan = plan_snapshot(context, request)
        planned(plan)
        captured = capture_bins(context, plan, workers=workers)
        return commit_snapshot(context.repository, plan, captured), captured


def capture_bins(context: ClusterContext, plan: Plan, *, workers: int) -> list[CaptureResult]:
    """All bins of the plan, by `workers` threads."""
    return run_all(lambda number: capture_bin(context, plan, number), range(len(plan.bins)), workers, context.stop)


def capture_bin(context: ClusterContext, plan: Plan, number: int) -> CaptureResult:
    """Capture the partitions of one bin of a plan. May run again, in any process; see `capture_ranges`."""
    return capture_ranges(
        context,
        [_range_of(plan.partitions[index]) for index in plan.bins[number]],
        ObjectSettings.of_plan(plan),
        fetch_bytes=plan.fetch_bytes,
        is_compacted=_compaction_at_plan_time(context.repository, plan),
    )


def commit_snapshot(repository: Repository, plan: Plan, captured: Sequence[CaptureResult]) -> RestorePoint:
    """The point of the run. A run whose set has moved on can never have one: it is voided, and `PreconditionError`
    raised. Otherwise as `commit_point`; may be called again."""
    try:
        return commit_point(repository, SnapshotPoint(repository, plan, captured))
    except PreconditionError as error:
        void_run(repository, plan.set, plan.run, str(error))
        raise


def _range_of(planned: PlannedPartition) -> CaptureRange:
    return CaptureRange(source=planned.source, start=planned.start, end=planned.end, bytes=planned.bytes)


def _compaction_at_plan_time(repository: Repository, plan: Plan) -> IsCompacted:
    """By the topics' settings when the run was planned; they are read when the first partition needs them."""

    @cache
    def compacted_ids() -> frozenset[str]:
        topics = read_state(repository.store, plan.topics, TopicsState).topics
        return frozenset(topic.topic_id for topic in topics if topic.is_compacted)

    def is_compacted(source: Partition) -> bool:
        return source.topic_id in compacted_ids()

    return is_compacted
