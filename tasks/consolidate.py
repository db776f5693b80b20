"""The tasks of a consolidation. Each receives names and numbers, runs one step of the engine, and returns a small
value."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.engine.bins import MAX_BINS
from tasks.engine.capture.capture_result import CaptureResult
from tasks.engine.consolidate import Consolidation, commit_consolidation, plan_consolidation
from tasks.engine.consolidation.join import join_ranges
from tasks.flow_support.bin_tasks import BinTask, bin_tasks_of
from tasks.flow_support.consolidation_work import ConsolidationWork, PlannedConsolidation, plan_and_originals
from tasks.flow_support.retries import repeatable_task
from tasks.flow_support.task_context import task_context
from tasks.flow_support.wiring import repository
from tasks.repository.names import consolidation_lease_key
from tasks.repository.plans import write_plan


@repeatable_task("plan")
def plan_joins(work: ConsolidationWork) -> PlannedConsolidation:
    """Find the small data objects of the point, and store the plan if there are enough of them."""
    opened = repository(work.flow_run, work.repository)
    plan = plan_consolidation(opened, opened.log(work.set_name).point(work.seq), MAX_BINS)
    if plan is None:
        return PlannedConsolidation("", (), 0)
    write_plan(opened.store, plan)
    bins = [[plan.partitions[index].source for index in bin_] for bin_ in plan.bins]
    return PlannedConsolidation(plan.run, bin_tasks_of(bins), sum(one.bytes for one in plan.partitions))


@repeatable_task("join", run_name="{bin_task.label}")
def join_bin(work: ConsolidationWork, run: str, bin_task: BinTask) -> CaptureResult:
    """Copy the ranges of one bin into new data objects, and compare them with the originals."""
    plan, originals = plan_and_originals(work, run)
    lease = consolidation_lease_key(work.set_name)
    with task_context(work.flow_run, work.repository, lease=lease) as context:
        return join_ranges(context.run, plan, bin_task.number, originals)


@repeatable_task("commit")
def commit_joins(work: ConsolidationWork, run: str, copied: Sequence[CaptureResult]) -> Consolidation:
    """Commit the point that names the copies."""
    plan, _ = plan_and_originals(work, run)
    return commit_consolidation(repository(work.flow_run, work.repository), plan, copied)
