"""An incremental backup: hold the set's lease, plan from the newest point's offsets, capture what is new, commit.

Decides whether a run is a snapshot: it is one if the set has no point, or if a new base is due (`full_every`). The
command runs all steps in one process; a flow runs each of them as a task.
"""

from __future__ import annotations

from functools import partial

from tasks.engine.backup_steps import back_up_locally
from tasks.engine.run_context import ClusterContext
from tasks.engine.source.incremental_plan import draft_incremental, is_base_due
from tasks.engine.source.snapshot_plan import SnapshotRequest, draft_snapshot
from tasks.repository.plans import Plan, write_plan


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
    if is_base_due(state, request.options.full_every, context.repository.now_ms()):
        return draft_snapshot(context, request, is_dry_run=is_dry_run)
    assert state.newest_point is not None
    return draft_incremental(context, request, log.point(state.newest_point), is_dry_run=is_dry_run)


incremental_locally = partial(back_up_locally, make_plan=plan_incremental)
"""See `back_up_locally`."""
