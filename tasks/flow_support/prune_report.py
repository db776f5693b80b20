"""Reports a prune by a flow: the artifacts with the plan and the result, the event with its numbers, and the state in
which the run ends."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

from prefect.client.schemas.objects import State

from tasks.engine.prune import Pruned
from tasks.engine.retention.deleted import Deleted
from tasks.engine.retention.prune_plan import PrunePlan
from tasks.flow_support.artifacts import artifact_key, markdown, publish, table
from tasks.flow_support.prune_work import PruneWork, prune_plan
from tasks.flow_support.states import completed, failed, report_event
from tasks.flow_support.wiring import repository
from tasks.model.quoting import quoted
from tasks.reports.retention import HEADER, denied_text, plan_rows, plan_text, pruned_text


def report_prune_plan(work: PruneWork) -> None:
    """Publish the plan: a row for each point, and a summary."""
    plan = prune_plan(work)
    state = repository(work.flow_run, work.repository).state(work.set_name)
    rows = [dict(zip(map(str.lower, HEADER), row, strict=True)) for row in plan_rows(plan, state)]
    key = artifact_key("retention", work.set_name)
    publish(
        work.flow_run,
        table(f"{key}-points", rows, f"The points of {work.set_name}"),
        markdown(key, f"{plan_text(plan)}\n\nId of the plan: `{plan.id}`", f"Retention of {work.set_name}"),
    )


def report_pruned(
    work: PruneWork, deleted: Sequence[Deleted], in_use: Sequence[int], approved_by: str | None
) -> State[Any]:
    """Publish what was done. If anything was changed, emit an event with the numbers. Returns the final state."""
    plan = prune_plan(work)
    done = Pruned(plan, reduce(Deleted.plus, deleted, Deleted()), tuple(in_use))
    text = pruned_text(done)
    approval = f"\n\nApproved by {quoted(approved_by)}." if approved_by else ""
    publish(
        work.flow_run,
        markdown(
            artifact_key("retention", work.set_name, "result"),
            f"{text}{approval}\n\nId of the plan: `{plan.id}`",
            f"Result of the retention of {work.set_name}",
        ),
    )
    if plan.expire or plan.remove or done.deleted.objects:
        expired = len(plan.expire) - len(in_use)
        numbers = {
            **plan_numbers(plan),
            "expired": expired,
            "deleted_objects": done.deleted.objects,
            "deleted_bytes": done.deleted.bytes,
        }
        report_event("kafka-backup.retention.pruned", text, {**numbers, "approved_by": approved_by})
    denied = denied_text(done.deleted)
    return completed(text) if denied is None else failed(f"{text} {denied}")


def plan_numbers(plan: PrunePlan) -> dict[str, object]:
    """The members of events about a plan: its set and id, and the numbers of points that stay, expire and are
    removed."""
    return {
        "set": plan.set_name,
        "plan": plan.id,
        "kept": len(plan.kept),
        "expired": len(plan.expire),
        "removed": len(plan.remove),
    }
