"""What is the same for every kind of backup: the whole run in one process, and its steps, which capture the bins of its
plan, commit its point, and finish a run that died. Decides which producer makes the point, and voids a run that can
never commit."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

from tasks.engine.capture.capture_ranges import IsCompacted, capture_ranges
from tasks.engine.capture.capture_result import CaptureResult
from tasks.engine.capture.object_sink import ObjectSettings
from tasks.engine.capture.range_reader import CaptureRange
from tasks.engine.commit.adoption import Adopted, epoch_after, find_adoptable
from tasks.engine.commit.commit import PointProducer, commit_point
from tasks.engine.commit.incremental_point import IncrementalPoint
from tasks.engine.commit.point_parts import NOTHING_ADOPTED
from tasks.engine.commit.runs import run_lease, void_run
from tasks.engine.commit.snapshot_point import SnapshotPoint
from tasks.engine.commit.tiling import Cover
from tasks.engine.rate_limit import shared_limit
from tasks.engine.run_context import ClusterContext
from tasks.engine.source.snapshot_plan import SnapshotRequest
from tasks.engine.workers import run_all
from tasks.model.errors import (
    ConfigError,
    DamagedError,
    InterruptedRunError,
    KafkaBackupError,
    OutcomeUnknownError,
    PreconditionError,
    StoreError,
    UnsupportedError,
)
from tasks.model.partition import Partition
from tasks.repository.lines import IndexLine
from tasks.repository.plans import Plan, PlannedPartition, read_plan
from tasks.repository.repository import Repository
from tasks.repository.restore_point import RestorePoint
from tasks.repository.state_objects import TopicsState, read_state


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedRun:
    """A run that died and was finished by another: its point, and what was adopted of it."""

    point: RestorePoint
    objects: int
    records: int


def back_up_locally(
    context: ClusterContext,
    request: SnapshotRequest,
    *,
    make_plan: Callable[[ClusterContext, SnapshotRequest], Plan],
    workers: int,
    planned: Callable[[Plan], None] = lambda plan: None,
    waiting: Callable[[str], None] = lambda owner: None,
    finished: Callable[[FinishedRun], None] = lambda run: None,
) -> tuple[RestorePoint, list[CaptureResult]]:
    """Make one point of the set with `workers` threads of this process. `make_plan` stores the plan and returns it.
    Returns the point and what was captured.

    `planned` is called with the plan before the first byte is read. `waiting` is called with the owner of the lease if
    this run has to wait, `finished` with a run that died and that this run has finished first. Raises `LockedError` if
    another writer holds the set's lease, `InterruptedRunError` on `stop`, and what the steps raise. After an error this
    run has no point, and the next run finishes or voids it. Only after `OutcomeUnknownError` it can have one.
    """
    finish = finisher(context, request, workers=workers, finished=finished)
    with run_lease(context, request.set_name, request.run, waiting=waiting, finish=finish):
        plan = make_plan(context, request)
        planned(plan)
        captured = capture_bins(context, plan, workers=workers)
        return commit_run(context.repository, plan, captured), captured


def capture_bins(
    context: ClusterContext, plan: Plan, *, workers: int, ending: threading.Event | None = None
) -> list[CaptureResult]:
    """Capture all bins of a plan with `workers` threads. For `ending` see `capture_ranges`. Raises what
    `capture_ranges` raises."""
    numbers = range(len(plan.bins))
    return run_all(lambda number: capture_bin(context, plan, number, ending=ending), numbers, workers, context.stop)


def capture_bin(
    context: ClusterContext, plan: Plan, number: int, *, ending: threading.Event | None = None
) -> CaptureResult:
    """Capture the partitions of one bin of a plan. May be called again, in any process. For `ending` see
    `capture_ranges`. Raises what `capture_ranges` raises."""
    return capture_ranges(
        context,
        [_range_of(plan.partitions[index]) for index in plan.bins[number]],
        ObjectSettings.of_plan(plan),
        fetch_bytes=plan.fetch_bytes,
        is_compacted=_compaction_at_plan_time(context.repository, plan),
        ending=ending,
        limit=shared_limit(plan.cluster_id, plan.max_bytes_per_second),
    )


def commit_run(
    repository: Repository,
    plan: Plan,
    captured: Sequence[CaptureResult],
    adopted: Mapping[Partition, Sequence[IndexLine]] = NOTHING_ADOPTED,
) -> RestorePoint:
    """Commit the point of the run. May be called again. `adopted` are lines of an earlier process of the same run.
    Raises what `commit_point` and the point's producer raise.

    After a `PreconditionError` the run can never commit, so it is voided before the error is raised.
    """
    try:
        return commit_point(repository, _producer(repository, plan, captured, adopted))
    except PreconditionError as error:
        void_run(repository, plan.set, plan.run, str(error), begun_after=plan.begun_after)
        raise


def finish_run(
    context: ClusterContext, set_name: str, run: str, *, workers: int, max_bytes_per_second: int | None = None
) -> FinishedRun | None:
    """Finish a run that died: adopt what it has stored, capture the rest of its plan, and commit its point. The limits
    are those of the caller, because the run can have died of its own.

    Returns None if the run gets no point; the caller then voids it. It gets none if it has no plan, if it has stored no
    object that can be adopted, or if another run has changed the set since. Without such an object nothing would be
    saved, because a new plan reads the same records.

    Raises `ConfigError` if it is a run of another cluster, `InterruptedRunError` on `stop`, and what the store raises.
    """
    repository = context.repository
    try:
        plan = read_plan(repository.store, set_name, run)
        plan = plan.model_copy(update={"max_bytes_per_second": max_bytes_per_second})
    except (DamagedError, UnsupportedError):
        return None  # it died before its plan was stored, or another version wrote it
    _check_same_cluster(context, plan)
    adopted = find_adoptable(repository, plan)
    if not adopted.objects:
        return None
    captured = run_all(
        lambda number: _capture_rest(context, plan, number, adopted), range(len(plan.bins)), workers, context.stop
    )
    try:
        point = commit_run(repository, plan, captured, adopted.lines)
    except (InterruptedRunError, StoreError, OutcomeUnknownError):
        raise
    except KafkaBackupError:
        return None
    return FinishedRun(point=point, objects=adopted.objects, records=adopted.records)


def finisher(
    context: ClusterContext, request: SnapshotRequest, *, workers: int, finished: Callable[[FinishedRun], None]
) -> Callable[[str, int | None], None]:
    """The `finish` of `run_lease`: finishes a run of the request's set within the request's limits, and calls
    `finished` if it has a point then."""

    def finish(run: str, begun_after: int | None) -> None:
        most = request.options.max_bytes_per_second
        done = finish_run(context, request.set_name, run, workers=workers, max_bytes_per_second=most)
        if done is not None:
            finished(done)

    return finish


def _check_same_cluster(context: ClusterContext, plan: Plan) -> None:
    """Raises `ConfigError` if this is another cluster, because every topic of the plan would look deleted there."""
    with context.admin() as admin:
        cluster_id = admin.cluster_id()
    if cluster_id != plan.cluster_id:
        raise ConfigError(
            f"The unfinished run {plan.run} of the backup set {plan.set!r} was reading cluster {plan.cluster_id}; "
            f"this is cluster {cluster_id}. Correct the address of the cluster, or name another set with backup_id."
        )


def _capture_rest(context: ClusterContext, plan: Plan, number: int, adopted: Adopted) -> CaptureResult:
    """Capture what is not adopted of a bin's partitions."""
    ranges = [_rest_of(plan.partitions[index], adopted.covers.get(index)) for index in plan.bins[number]]
    return capture_ranges(
        context,
        [range_ for range_ in ranges if range_ is not None],
        ObjectSettings.of_plan(plan),
        fetch_bytes=plan.fetch_bytes,
        is_compacted=_compaction_at_plan_time(context.repository, plan),
        limit=shared_limit(plan.cluster_id, plan.max_bytes_per_second),
    )


def _rest_of(planned: PlannedPartition, cover: Cover | None) -> CaptureRange | None:
    """The range behind the adopted part. None if everything is adopted."""
    range_ = _range_of(planned)
    if cover is None:
        return range_
    if cover.next >= planned.end:
        return None
    return replace(range_, start=cover.next, start_epoch=epoch_after(cover), on_trim="gap")


def _producer(
    repository: Repository,
    plan: Plan,
    captured: Sequence[CaptureResult],
    adopted: Mapping[Partition, Sequence[IndexLine]],
) -> PointProducer:
    if plan.kind == "snapshot":
        return SnapshotPoint(repository, plan, captured, adopted)
    return IncrementalPoint(repository, plan, captured, adopted)


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
    """A function that returns whether a partition's topic was compacted when the run was planned. It reads the topics'
    settings when it is first called."""

    @cache
    def compacted_ids() -> frozenset[str]:
        topics = read_state(repository.store, plan.topics, TopicsState).topics
        return frozenset(topic.topic_id for topic in topics if topic.is_compacted)

    def is_compacted(source: Partition) -> bool:
        return source.topic_id in compacted_ids()

    return is_compacted
