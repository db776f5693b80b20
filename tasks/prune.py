"""The tasks of a prune. Each receives names and numbers, runs one step of the engine, and returns a small value."""

from __future__ import annotations

from typing import NamedTuple

from tasks.engine.prune import change_points, delete_left_overs, delete_unnamed, require_sha256
from tasks.engine.retention.deleted import Deleted
from tasks.flow_support.prune_work import PruneWork, prune_plan
from tasks.flow_support.retries import repeatable_task
from tasks.flow_support.task_context import task_context
from tasks.flow_support.wiring import repository
from tasks.repository.names import prune_lease_key, run_prefixes

LEFT_OVERS = "left-overs"
"""The part of a prune that is not a part of the set: what crashed processes have left beside the objects of runs."""


class PlannedPrune(NamedTuple):
    """The plan in figures: its SHA-256, the numbers of points, and the parts of the set in which objects can be
    deleted, in the order of the deletion."""

    sha256: str
    kept: int
    expiring: int
    removed: int
    parts: tuple[str, ...]


@repeatable_task("plan")
def plan_points(work: PruneWork) -> PlannedPrune:
    """Decide which points stay, and find the objects that nothing names."""
    plan = prune_plan(work)
    prefixes = run_prefixes(work.set_name)
    parts = tuple(prefix for prefix in prefixes if any(key.startswith(prefix) for key in plan.unnamed.objects))
    if plan.left_overs:
        parts = (*parts, LEFT_OVERS)
    return PlannedPrune(plan.sha256, len(plan.kept), len(plan.expire), len(plan.remove), parts)


@repeatable_task("expire")
def expire_points(work: PruneWork, sha256: str, approved_by: str | None) -> tuple[int, ...]:
    """Append the entries by which points expire and are removed. Returns the points that do not expire now, because
    they are being read. Raises `RefusedError` if the plan has another SHA-256:
    a task that runs in another process than the flow makes the plan again."""
    plan = prune_plan(work)
    require_sha256(plan, sha256)
    return change_points(repository(work.flow_run, work.repository), plan, approved_by=approved_by)


@repeatable_task("delete", run_name="delete {part}")
def delete_part(work: PruneWork, part: str) -> Deleted:
    """Delete the objects of one part of the set that nothing names, or the left-overs."""
    with task_context(work.flow_run, work.repository, lease=prune_lease_key(work.set_name)) as context:
        if part == LEFT_OVERS:
            return delete_left_overs(context.run, prune_plan(work))
        return delete_unnamed(context.run, prune_plan(work), part=part)
