"""The tasks of a backup. Each receives names and numbers, runs one step of the engine, and returns a small value."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.engine import backup_steps
from tasks.engine.bins import MAX_BINS
from tasks.engine.capture.capture_result import CaptureResult
from tasks.engine.commit.completeness import NewPoint, describe_new_point
from tasks.engine.incremental import plan_incremental
from tasks.engine.options import BackupOptions, TopicSelection
from tasks.engine.run_context import ClusterContext
from tasks.engine.source.snapshot_plan import SnapshotRequest, plan_snapshot
from tasks.flow_support.backup_work import BackupWork, PlannedBackup, backup_context, planned_backup
from tasks.flow_support.bin_tasks import BinTask
from tasks.flow_support.flow_run_cache import flow_run_cache
from tasks.flow_support.retries import failures_or_retry, repeatable_task
from tasks.flow_support.states import with_state_name
from tasks.repository.plans import Plan, read_plan


@repeatable_task("plan")
def plan_backup(work: BackupWork, topics: TopicSelection, options: BackupOptions) -> PlannedBackup:
    """Decide what to read, and write the plan into the repository. If the run already has a plan, that plan is used."""
    request = SnapshotRequest(set_name=work.set_name, run=work.run, topics=topics, options=options, most_bins=MAX_BINS)
    with backup_context(work) as context:
        plan = plan_incremental(context, request) if work.is_incremental else plan_snapshot(context, request)
    return planned_backup(work, plan)


@repeatable_task("capture", run_name="{bin_task.label}")
def capture_bin(work: BackupWork, bin_task: BinTask) -> CaptureResult:
    """Copy the partitions of one bin into the repository. A failed attempt has no effect on the point, because the
    commit reads only what finished attempts have written."""
    with backup_context(work) as context:
        plan = _plan(work, context)
        sources = [plan.partitions[index].source for index in plan.bins[bin_task.number]]
        flow_run_cache(work.flow_run).counter.restart(*sources)
        captured = backup_steps.capture_bin(context, plan, bin_task.number)
    return with_state_name("Incomplete", failures_or_retry(captured.failures), captured)


@repeatable_task("commit")
def commit_backup(work: BackupWork, captured: Sequence[CaptureResult]) -> NewPoint:
    """Commit the restore point of the run, read it back and describe it. If the commit is refused, there is no point.
    May run again: a run has at most one point."""
    with backup_context(work) as context:
        plan = _plan(work, context)
        point = backup_steps.commit_run(context.repository, plan, captured)
        return describe_new_point(plan, point, captured)


def _plan(work: BackupWork, context: ClusterContext) -> Plan:
    store = context.repository.store
    return flow_run_cache(work.flow_run).cached("plan", lambda: read_plan(store, work.set_name, work.run))
