"""The task of a continuous backup: one cycle."""

from __future__ import annotations

from tasks.engine.commit.completeness import NewPoint, describe_new_point
from tasks.engine.continuous import run_cycle
from tasks.flow_support.backup_work import BackupWork, backup_context
from tasks.flow_support.continuous_work import open_cycle
from tasks.flow_support.retries import repeatable_task
from tasks.repository.plans import read_plan


@repeatable_task("cycle", run_name="cycle {work.run}")
def back_up_cycle(work: BackupWork, workers: int) -> NewPoint:
    """Capture what the cycle's plan names, commit the restore point, read it back and describe it. May run again: a
    cycle has at most one point."""
    with backup_context(work) as context, open_cycle(work) as ending:
        plan = read_plan(context.repository.store, work.set_name, work.run)
        cycle = run_cycle(context, plan, ending=ending, workers=workers)
        return describe_new_point(plan, cycle.point, cycle.captured)
