"""The flow that validates restore points, and the text of the level in its form in Prefect's UI."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from prefect import flow
from prefect.client.schemas.objects import State

from flows.parameters import PointParam, RepositoryName, ThawParam, form_field
from tasks.engine.validate import WORKERS
from tasks.flow_support.archived_wait import await_objects, chosen_point, end_wait
from tasks.flow_support.fan_out import THREADS, fan_out
from tasks.flow_support.run_names import run_name
from tasks.flow_support.validation_report import report_checked_bin, report_validation, report_validation_plan
from tasks.flow_support.validation_work import open_validation
from tasks.validate import ask_for_objects, check_bin, conclude_validation, inspect_point

ValidationLevel = Annotated[
    Literal["quick", "full"],
    form_field(
        "Level",
        "With quick, every object must exist with its size and checksum. With full, every byte is read.",
    ),
]


@flow(name="validate", flow_run_name=run_name, task_runner=THREADS, persist_result=False)
def validate(
    backup_id: PointParam, repository: RepositoryName, level: ValidationLevel = "full", thaw: ThawParam = None
) -> State[Any]:
    """Check a restore point and report all damage that is found.

    The flow inspects the log and all that the point names except its data, checks the data objects, several at the same
    time, and concludes. If the point is damaged, the run ends as `Failed`. Its artifacts contain the number of findings
    and as many of them as a browser can show.

    With `thaw`, a validation in full asks the store for archived objects, and the run ends its process until the time
    of its next check. Then it starts again, with the same point, which stays pinned.
    """
    with open_validation(chosen_point(backup_id), repository, level) as work:
        inspecting = inspect_point.submit(work)
        planned = report_validation_plan(work, inspecting.result())
        if thaw is not None and level == "full":
            asked = ask_for_objects.submit(work, thaw).result()
            if not asked.is_done:
                return await_objects(work.repository, work.point.reference, thaw, asked)
        end_wait(work.repository, work.point.reference)
        checked = fan_out(
            lambda bin_task: check_bin.submit(work, bin_task, return_state=False, wait_for=[inspecting]),
            planned.bin_tasks,
            width=WORKERS,
            finished=lambda bin_task: report_checked_bin(work, bin_task),
        )
        concluded = conclude_validation.submit(work, checked.futures, return_state=False)
        return report_validation(work, checked.results, concluded.result())
