"""A consolidation: join small data objects of the newest point into large ones, and commit a point that names them.

Continuous backups write many small objects. The command runs all steps in one process; a flow runs each of them as a
task. A consolidation does not need the lease of the set: backups go on at the same time, and the commit uses only
copies whose originals still count.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from tasks.engine.bins import Bins
from tasks.engine.capture.capture_result import CaptureFailure, CaptureResult
from tasks.engine.commit.commit import commit_point
from tasks.engine.commit.consolidated_point import ConsolidatedPoint
from tasks.engine.commit.point_tiers import inherited
from tasks.engine.commit.runs import void_run
from tasks.engine.consolidation.candidates import CandidateObjects
from tasks.engine.consolidation.join import Originals, join_ranges
from tasks.engine.run_context import RunContext
from tasks.engine.workers import run_all
from tasks.model.counting import counted
from tasks.model.errors import NotFoundError, PreconditionError
from tasks.repository.entries import PointEntry
from tasks.repository.frame_reader import FrameReader
from tasks.repository.leases import acquire, kept
from tasks.repository.names import consolidation_lease_key, data_prefix, new_run_id
from tasks.repository.pins import pinned
from tasks.repository.plans import Plan, PlannedPartition, read_plan, write_plan
from tasks.repository.repository import Repository, tool_name
from tasks.repository.restore_point import RestorePoint

WORKERS = 4
"""The number of bins that are copied at the same time. Each of them holds the objects of one window in memory."""


@dataclass(frozen=True, slots=True)
class Consolidation:
    """The result: the points before and after, and the partitions that could not be copied. `warnings` are sentences
    about objects that were left as they are."""

    before: PointEntry
    after: PointEntry
    left_out: tuple[CaptureFailure, ...]
    warnings: tuple[str, ...] = ()


def consolidate_locally(
    context: RunContext, set_name: str, *, workers: int, planned: Callable[[Plan], None] = lambda plan: None
) -> Consolidation | None:
    """Join the small data objects of the set's newest point with `workers` threads of this process. Returns None, and
    writes nothing, if there are too few of them.

    `planned` is called with the plan before the first byte is read. Raises `LockedError` if another consolidation of
    the set is running, `NotFoundError` if the set has no point, `PreconditionError` if other runs replaced everything
    that was copied, `DamagedError`, and `InterruptedRunError` on `stop`. After an error the set is as before. Only
    after `OutcomeUnknownError` it can have the new point.
    """
    with consolidating(context, set_name) as point:
        plan = plan_consolidation(context.repository, point)
        if plan is None:
            return None
        planned(write_plan(context.repository.store, plan))
        originals = originals_of(point, plan)
        work = partial(join_ranges, context, plan, originals=originals)
        copied = run_all(work, range(len(plan.bins)), workers, context.stop)
        return commit_consolidation(context.repository, plan, copied)


@contextmanager
def consolidating(context: RunContext, set_name: str) -> Iterator[RestorePoint]:
    """The newest point of the set, pinned while the body copies from it. The lease keeps two consolidations apart. It
    only saves work: two that run at once can do no harm."""
    repository = context.repository
    lease = acquire(repository.store, consolidation_lease_key(set_name), stop=context.stop, clock=context.clock)
    with kept(lease, context.stop):
        newest = repository.state(set_name).newest_point
        if newest is None:
            raise NotFoundError(f"The backup set {set_name!r} has no restore point to consolidate.")
        with pinned(repository.store, set_name, newest, purpose="consolidate", now_ms=repository.now_ms):
            yield repository.log(set_name).point(newest)


def plan_consolidation(repository: Repository, point: RestorePoint, most_bins: int | None = None) -> Plan | None:
    """The ranges of the point that are copied, and their bins: one for each group of objects that are joined, or at
    most `most_bins`. None if there are too few small objects. Stores nothing. The run writes as the run of the point
    did. Archived objects stay as they are, and a warning of the plan has their number: lists the data of the set if
    there is something to join. Raises `DamagedError` if the point or the plan of its run is damaged."""
    if not _candidates(point, ()).windows():
        return None
    archived = {info.key for info in repository.store.list(data_prefix(point.set_name)) if not info.is_readable}
    candidates = _candidates(point, archived)
    windows = candidates.windows()
    if not windows:
        return None
    text = f"{counted(candidates.left_out, 'archived object')} cannot be read, and stay as they are"
    now_ms, before = repository.now_ms(), read_plan(repository.store, point.set_name, point.entry.run)
    return Plan(
        repository_id=before.repository_id,
        set=point.set_name,
        run=new_run_id(now_ms),
        kind="consolidated",
        cluster_id=point.entry.cluster_id,
        cluster_label=point.entry.cluster_label,
        planned_ms=now_ms,
        based_on=point.seq,
        begun_after=point.seq,
        compression=before.compression,
        compression_level=before.compression_level,
        object_log_bytes=before.object_log_bytes,
        object_records=before.object_records,
        fetch_bytes=before.fetch_bytes,
        partitions=tuple(one for window in windows for one in window),
        bins=_bins(windows, most_bins or len(windows)),
        topics=inherited([point.entry.topics], point.seq)[0],
        warnings=(text,) if candidates.left_out else (),
        tool=tool_name(),
    )


def _candidates(point: RestorePoint, archived: Collection[str]) -> CandidateObjects:
    candidates, lines = CandidateObjects(archived), point.lines(point.rows.values())
    for source in lines:
        for line, is_whole in lines.with_wholeness(source):
            candidates.add(line, is_whole=is_whole)
    return candidates


def originals_of(point: RestorePoint, plan: Plan) -> Originals:
    """What the bins of one process read. The lines are in memory."""
    sources = {planned.source for planned in plan.partitions}
    return Originals(point.lines(point.rows[source] for source in sorted(sources)), FrameReader(point.store))


def commit_consolidation(repository: Repository, plan: Plan, copied: Sequence[CaptureResult]) -> Consolidation:
    """Commit the point that names the copies. May be called again. Raises what `commit_point` raises; after a
    `PreconditionError` the run is voided."""
    try:
        point = commit_point(repository, ConsolidatedPoint(repository, plan, copied))
    except PreconditionError as error:
        void_run(repository, plan.set, plan.run, str(error), begun_after=plan.begun_after)
        raise
    before = repository.log(plan.set).point(plan.based_on or 0).entry
    failures = tuple(failure for one in copied for failure in one.failures)
    return Consolidation(before, point.entry, failures, plan.warnings)


def _bins(windows: Sequence[Sequence[PlannedPartition]], most_bins: int) -> Bins:
    """The indexes of the ranges. Windows that follow each other share a bin if there are more than `most_bins`."""
    each = -(-len(windows) // most_bins)
    bins: list[list[int]] = [[] for _ in range(-(-len(windows) // each))]
    first = 0
    for number, window in enumerate(windows):
        bins[number // each] += range(first, first + len(window))
        first += len(window)
    return tuple(map(tuple, bins))
