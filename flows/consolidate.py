"""The flow that joins small data objects of a backup set."""

from __future__ import annotations

from typing import Annotated, Any

from prefect import flow
from prefect.client.schemas.objects import State

from flows.parameters import RepositoryName, form_field
from tasks.consolidate import commit_joins, join_bin, plan_joins
from tasks.engine.consolidate import WORKERS
from tasks.flow_support.consolidation_report import report_consolidation, report_joined, report_joins
from tasks.flow_support.consolidation_work import open_consolidation
from tasks.flow_support.fan_out import THREADS, fan_out
from tasks.flow_support.run_names import run_name
from tasks.flow_support.states import skipped
from tasks.model.errors import LockedError

ConsolidatedSet = Annotated[
    str, form_field("Backup set", "The backup set whose newest restore point has many small data objects.")
]


@flow(name="consolidate", flow_run_name=run_name, task_runner=THREADS, persist_result=False)
def consolidate(backup_id: ConsolidatedSet, repository: RepositoryName) -> State[Any]:
    """Join small data objects of the newest point into large ones, and make a point that names them.

    Continuous backups write many small objects. The new point restores the same records and positions; each copy is
    compared with its original before it is used. Older points keep their objects. Backups of the set can run at the
    same time. If another consolidation of the set is running, this one ends as `Skipped`.
    """
    try:
        with open_consolidation(backup_id, repository) as work:
            planning = plan_joins.submit(work)
            planned = planning.result()
            if not planned.bin_tasks:
                return report_consolidation(work, None)
            report_joins(work, planned)
            copied = fan_out(
                lambda bin_task: join_bin.submit(work, planned.run, bin_task, return_state=False, wait_for=[planning]),
                planned.bin_tasks,
                width=WORKERS,
                finished=lambda one: report_joined(work, one),
            )
            done = commit_joins.submit(work, planned.run, copied.futures, return_state=False)
            return report_consolidation(work, done.result())
    except LockedError as error:
        return skipped(f"{backup_id}: {error}")
