"""The flow that prunes a backup set by its policy."""

from __future__ import annotations

from typing import Annotated, Any

from prefect import flow
from prefect.client.schemas.objects import State
from pydantic import Field

from flows.parameters import RepositoryName, form_field
from tasks.engine.options import RetentionPolicy
from tasks.engine.retention.approval import ApprovalLimits
from tasks.flow_support.approval import decide_on_plan, with_approved_moment
from tasks.flow_support.fan_out import THREADS
from tasks.flow_support.prune_report import report_prune_plan, report_pruned
from tasks.flow_support.prune_work import open_prune
from tasks.flow_support.run_names import run_name
from tasks.flow_support.states import skipped
from tasks.model.errors import LockedError
from tasks.prune import delete_part, expire_points, plan_points

PrunedSet = Annotated[str, form_field("Backup set", "The backup set whose points are kept or expire.")]
PolicyParam = Annotated[
    RetentionPolicy, form_field("Policy", "The rules that keep points. A point stays if one of them keeps it.")
]
ApproveAbovePoints = Annotated[
    Annotated[int, Field(ge=0)] | None,
    form_field(
        "Approve above points",
        "If more points than this would expire, the run waits for an approval. 0 means always, empty means no limit.",
    ),
]
ApproveAbovePercent = Annotated[
    Annotated[int, Field(ge=0, le=100)] | None,
    form_field(
        "Approve above percent",
        "If more than this percentage of the points would expire, the run waits for an approval. 0 means always.",
    ),
]
Approval = Annotated[
    str | None,
    form_field(
        "Approval",
        "The id of a plan that is approved already, as a run or the command prints it. The run carries it out.",
    ),
]


@flow(name="retention", flow_run_name=run_name, task_runner=THREADS, persist_result=False)
def retention(
    backup_id: PrunedSet,
    repository: RepositoryName,
    policy: PolicyParam,
    approve_above_points: ApproveAbovePoints = None,
    approve_above_percent: ApproveAbovePercent = 50,
    approval: Approval = None,
) -> State[Any]:
    """Let the points expire that the policy does not keep, and delete what nothing names any more.

    An expired point can be brought back until its grace is over. Only then its data is deleted. If the plan lets more
    points expire than a limit allows, the run changes nothing and is suspended until somebody has answered its form.
    Then it starts again, and carries out only the plan that was approved. If the answer is no, it ends as `Refused`. If
    another prune of the set is running, this one ends as `Skipped`.
    """
    limits = ApprovalLimits(points=approve_above_points, percent=approve_above_percent)
    try:
        with open_prune(backup_id, repository, policy) as work:
            work = with_approved_moment(work, approval)
            planned = plan_points.submit(work).result()
            report_prune_plan(work)
            decision = decide_on_plan(work, limits, approval)
            if decision.end is not None:
                return decision.end
            in_use = expire_points.submit(work, planned.sha256, decision.approved_by).result()
            deleted = [delete_part.submit(work, part).result() for part in planned.parts]
            return report_pruned(work, deleted, in_use, decision.approved_by)
    except LockedError as error:
        return skipped(f"{backup_id}: {error}")
