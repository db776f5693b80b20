"""The flow that prunes a backup set by its policy."""

from __future__ import annotations

from typing import Annotated, Any

from prefect import flow
from prefect.client.schemas.objects import State
from pydantic import Field

from flows.parameters import RepositoryName, form_field
from tasks.engine.options import RetentionPolicy
from tasks.flow_support.fan_out import THREADS
from tasks.flow_support.prune_report import approval_needed, report_prune_plan, report_pruned
from tasks.flow_support.prune_work import open_prune
from tasks.flow_support.run_names import run_name
from tasks.flow_support.states import skipped
from tasks.model.errors import LockedError
from tasks.prune import delete_part, expire_points, plan_points

PrunedSet = Annotated[str, form_field("Backup set", "The backup set whose points are kept or expire.")]
PolicyParam = Annotated[
    RetentionPolicy, form_field("Policy", "The rules that keep points. A point stays if one of them keeps it.")
]
LargestPercent = Annotated[
    int,
    Field(ge=0, le=100),
    form_field("Largest share", "If more than this percentage of the points would expire, an approval is needed."),
]
Approval = Annotated[
    str | None,
    form_field("Approval", "The digest of a plan that needs an approval, as the run that needed it has printed it."),
]


@flow(name="retention", flow_run_name=run_name, task_runner=THREADS, persist_result=False)
def retention(
    backup_id: PrunedSet,
    repository: RepositoryName,
    policy: PolicyParam,
    largest_percent: LargestPercent = 50,
    approval: Approval = None,
) -> State[Any]:
    """Let the points expire that the policy does not keep, and delete what nothing names any more.

    An expired point can be brought back until its grace is over. Only then its data is deleted. If the plan lets more
    points expire than `largest_percent`, the run changes nothing and ends as `Failed`, until it is given the digest of
    that plan. If another prune of the set is running, this one ends as `Skipped`.
    """
    try:
        with open_prune(backup_id, repository, policy) as work:
            planned = plan_points.submit(work).result()
            report_prune_plan(work)
            is_large = planned.expiring * 100 > largest_percent * (planned.expiring + planned.kept)
            if is_large and approval != planned.digest:
                return approval_needed(work, largest_percent)
            expire_points.submit(work).result()
            return report_pruned(work, [delete_part.submit(work, part).result() for part in planned.parts])
    except LockedError as error:
        return skipped(f"{backup_id}: {error}")
