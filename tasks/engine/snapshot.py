"""The steps of a snapshot: hold the set's lease, plan, capture every bin, commit. The command runs them in one process;
a flow runs each of them as a task."""

from __future__ import annotations

from collections.abc import Callable

from tasks.engine.backup_steps import FinishedRun, capture_bins, commit_run, finisher
from tasks.engine.capture.capture_result import CaptureResult
from tasks.engine.commit.runs import run_lease
from tasks.engine.run_context import ClusterContext
from tasks.engine.source.snapshot_plan import SnapshotRequest, plan_snapshot
from tasks.repository.plans import Plan
from tasks.repository.restore_point import RestorePoint


def snapshot_locally(
    context: ClusterContext,
    request: SnapshotRequest,
    *,
    workers: int,
    planned: Callable[[Plan], None] = lambda plan: None,
    waiting: Callable[[str], None] = lambda owner: None,
    finished: Callable[[FinishedRun], None] = lambda run: None,
) -> tuple[RestorePoint, list[CaptureResult]]:
    """Make one point of the set with `workers` threads of this process. Returns the point and what was captured.

    `planned` is called with the plan before the first byte is read. `waiting` is called with the owner of the lease if
    this run has to wait, `finished` with a run that died and that this run has finished first. Raises `LockedError` if
    another writer holds the set's lease, `InterruptedRunError` on `stop`, and what the steps raise. After an error this
    run has no point, and the next run finishes or voids it. Only after `OutcomeUnknownError` it can have one.
    """
    finish = finisher(
        context,
        request.set_name,
        workers=workers,
        max_bytes_per_second=request.options.max_bytes_per_second,
        finished=finished,
    )
    with run_lease(context, request.set_name, request.run, waiting=waiting, finish=finish):
        plan = plan_snapshot(context, request)
        planned(plan)
        captured = capture_bins(context, plan, workers=workers)
        return commit_run(context.repository, plan, captured), captured
