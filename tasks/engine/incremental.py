"""An incremental backup: hold the set's lease, plan from the newest point's offsets, capture what is new, commit.
Decides whether a run is a snapshot, because the set has no point or a new base is due (`full_every`).

The first run of a set is a snapshot, and so is a run for which a new base is due. The command runs all steps in one
process; a flow runs each of them as a task.
"""

from __future__ import annotations

from collections.abc import Callable

from tasks.engine.backup_steps import FinishedRun, capture_bins, commit_run, finisher
from tasks.engine.capture.capture_result import CaptureResult
from tasks.engine.commit.runs import run_lease
from tasks.engine.run_context import ClusterContext
from tasks.engine.source.incremental_plan import draft_incremental, is_base_due
from tasks.engine.source.snapshot_plan import SnapshotRequest, draft_snapshot
from tasks.repository.plans import Plan, write_plan
from tasks.repository.restore_point import RestorePoint


def incremental_locally(
    context: ClusterContext,
    request: SnapshotRequest,
    *,
    workers: int,
    planned: Callable[[Plan], None] = lambda plan: None,
    waiting: Callable[[str], None] = lambda owner: None,
    finished: Callable[[FinishedRun], None] = lambda run: None,
) -> tuple[RestorePoint, list[CaptureResult]]:
    """Make one point of the set with `workers` threads of this process. Returns the point and what was captured.

    `planned` is called with the plan before the first byte is read, `waiting` with the writer that holds the lease if
    this run has to wait, `finished` with the run that died and that this run has finished first. Raises as
    `snapshot_locally`."""
    finish = finisher(
        context,
        request.set_name,
        workers=workers,
        max_bytes_per_second=request.options.max_bytes_per_second,
        finished=finished,
    )
    with run_lease(context, request.set_name, request.run, waiting=waiting, finish=finish):
        plan = plan_incremental(context, request)
        planned(plan)
        captured = capture_bins(context, plan, workers=workers)
        return commit_run(context.repository, plan, captured), captured


def plan_incremental(context: ClusterContext, request: SnapshotRequest) -> Plan:
    """Decide what the run will read, and store the plan. If the run already has a plan, that is returned.

    Raises as `plan_snapshot`.
    """
    return write_plan(context.repository.store, draft_backup(context, request))


def draft_backup(context: ClusterContext, request: SnapshotRequest, *, is_dry_run: bool = False) -> Plan:
    """Make the plan without storing it: of a snapshot if the set has no point or a new base is due, else of an
    incremental run. Raises as `plan_incremental`."""
    log = context.repository.log(request.set_name)
    state = log.state()
    if state.newest_point is None or is_base_due(
        state.points.values(), request.options.full_every, context.repository.now_ms()
    ):
        return draft_snapshot(context, request, is_dry_run=is_dry_run)
    return draft_incremental(context, request, log.point(state.newest_point), is_dry_run=is_dry_run)
