"""Reports a prune by a flow: the artifacts with the plan, events, and the state in which the run ends."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

from prefect.client.schemas.objects import State

from tasks.engine.prune import Pruned
from tasks.engine.retention.deleted import Deleted
from tasks.flow_support.artifacts import artifact_key, markdown, publish, table
from tasks.flow_support.prune_work import PruneWork, prune_plan
from tasks.flow_support.states import completed, failed, report_event
from tasks.flow_support.wiring import repository
from tasks.reports.retention import HEADER, plan_rows, plan_text, pruned_text


def report_prune_plan(work: PruneWork) -> None:
    """Publish the plan: a row for each point, and a summary."""
    plan = prune_plan(work)
    state = repository(work.flow_run, work.repository).state(work.set_name)
    rows = [dict(zip(map(str.lower, HEADER), row, strict=True)) for row in plan_rows(plan, state)]
    key = artifact_key("retention", work.set_name)
    publish(
        work.flow_run,
        table(f"{key}-points", rows, f"The points of {work.set_name}"),
        markdown(key, f"{plan_text(plan)}\n\nDigest of the plan: `{plan.digest}`", f"Retention of {work.set_name}"),
    )


def approval_needed(work: PruneWork, largest_percent: int) -> State[Any]:
    """The state of a run that has changed nothing, because its plan needs somebody's consent."""
    plan = prune_plan(work)
    sentence = (
        f"{work.set_name}: {len(plan.expire):,} of {len(plan.expire) + len(plan.kept):,} points would expire, which is "
        f"more than {largest_percent} %. Nothing was changed. If that is right, run it with the approval {plan.digest}."
    )
    report_event("kafka-backup.retention.approval-needed", sentence)
    return failed(sentence)


def report_pruned(work: PruneWork, deleted: Sequence[Deleted]) -> State[Any]:
    """The final state: what was done. If anything was changed, with an event."""
    plan = prune_plan(work)
    done = Pruned(plan, reduce(Deleted.plus, deleted, Deleted()))
    text = pruned_text(done)
    if plan.expire or plan.remove or done.deleted.objects:
        report_event("kafka-backup.retention.pruned", text)
    return completed(text)
