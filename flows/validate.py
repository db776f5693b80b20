"""The flow that reads restore points back."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from prefect import flow
from prefect.client.schemas.objects import State

from flows.parameters import PointToRead, RepositoryName, shown_as
from tasks.announce import tell_of_check, tell_of_objects, tell_of_validation
from tasks.engine.validate import WORKERS
from tasks.flow_support.fan_out import THREADS, fan_out
from tasks.flow_support.states import run_name
from tasks.validate import (
    check_part,
    conclude_validation,
    inspect_point,
    validating,
)

HowDeep = Annotated[
    Literal["quick", "full"],
    shown_as("Level", "quick: every object exists, with its size and checksum; full: every byte is read."),
]


@flow(name="validate", flow_run_name=run_name, task_runner=THREADS, persist_result=False)
def validate(backup_id: PointToRead, repository: RepositoryName, level: HowDeep = "full") -> State[Any]:
    """Read a restore point back and name every damage.

    Inspect the log and the index, then check the data objects, a few side by side, then conclude. A damaged point ends
    the run as `Failed`, with everything that is wrong in its artifacts.
    """
    with validating(backup_id, repository, level) as work:
        inspecting = inspect_point.submit(work)
        planned = tell_of_objects(work, inspecting.result())
        checked = fan_out(
            lambda part: check_part.submit(work, part, return_state=False, wait_for=[inspecting]),
            planned.parts,
            width=WORKERS,
            finished=lambda part: tell_of_check(work, part),
        )
        concluded = conclude_validation.submit(work, checked, return_state=False)
        return tell_of_validation(work, [one.result() for one in checked], concluded.result())
