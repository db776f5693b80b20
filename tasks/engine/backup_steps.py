"""The steps of a run that are the same for every kind of backup: capture the bins of its plan, and commit its point."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from tasks.engine.capture.capture_ranges import IsCompacted, capture_ranges
from tasks.engine.capture.capture_result import CaptureResult
from tasks.engine.capture.object_sink import ObjectSettings
from tasks.engine.capture.range_reader import CaptureRange
from tasks.engine.commit.commit import PointProducer, commit_point
from tasks.engine.commit.incremental_point import IncrementalPoint
from tasks.engine.commit.runs import void_run
from tasks.engine.commit.snapshot_point import SnapshotPoint
from tasks.engine.run_context import ClusterContext
from tasks.engine.workers import run_all
from tasks.model.errors import PreconditionError
from tasks.model.partition import Partition
from tasks.repository.plans import Plan, PlannedPartition
from tasks.repository.repository import Repository
from tasks.repository.restore_point import RestorePoint
from tasks.repository.state_objects import TopicsState, read_state


def capture_bins(context: ClusterContext, plan: Plan, *, workers: int) -> list[CaptureResult]:
    """Capture all bins of a plan with `workers` threads. Raises what `capture_ranges` raises."""
    return run_all(lambda number: capture_bin(context, plan, number), range(len(plan.bins)), workers, context.stop)


def capture_bin(context: ClusterContext, plan: Plan, number: int) -> CaptureResult:
    """Capture the partitions of one bin of a plan. May be called again, in any process; see `capture_ranges`."""
    return capture_ranges(
        context,
        [_range_of(plan.partitions[index]) for index in plan.bins[number]],
        ObjectSettings.of_plan(plan),
        fetch_bytes=plan.fetch_bytes,
        is_compacted=_compaction_at_plan_time(context.repository, plan),
    )


def commit_run(repository: Repository, plan: Plan, captured: Sequence[CaptureResult]) -> RestorePoint:
    """Commit the point of the run. May be called again, and raises, as `commit_point`.

    On `PreconditionError` the run is voided first, because it can never commit.
    """
    try:
        return commit_point(repository, _producer(repository, plan, captured))
    except PreconditionError as error:
        void_run(repository, plan.set, plan.run, str(error), begun_after=plan.begun_after)
        raise


def _producer(repository: Repository, plan: Plan, captured: Sequence[CaptureResult]) -> PointProducer:
    if plan.kind == "snapshot":
        return SnapshotPoint(repository, plan, captured)
    return IncrementalPoint(repository, plan, captured)


def _range_of(planned: PlannedPartition) -> CaptureRange:
    return CaptureRange(
        source=planned.source,
        start=planned.start,
        end=planned.end,
        bytes=planned.bytes,
        start_epoch=planned.start_epoch,
        on_trim="trimmed" if planned.stored_next is None else "gap",
    )


def _compaction_at_plan_time(repository: Repository, plan: Plan) -> IsCompacted:
    """Tells which topics were compacted when the run was planned. Reads their settings when they are first needed."""

    @cache
    def compacted_ids() -> frozenset[str]:
        topics = read_state(repository.store, plan.topics, TopicsState).topics
        return frozenset(topic.topic_id for topic in topics if topic.is_compacted)

    def is_compacted(source: Partition) -> bool:
        return source.topic_id in compacted_ids()

    return is_compacted
