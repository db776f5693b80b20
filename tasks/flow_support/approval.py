"""The approval of a prune: suspends the flow run until somebody has answered a form that shows the plan.

A suspended run has no process. When the form is answered, a worker starts the run again from its beginning, and the run
makes the plan of its form again, which new points do not change. An approval is valid only for that plan. Prefect's
server keeps a key for each suspension of a run. The key contains the id of the plan, so that it is stored together with
the suspension.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, NamedTuple

from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun, State
from prefect.flow_runs import suspend_flow_run
from prefect.input import RunInput
from pydantic import Field, ValidationError

from tasks.engine.retention.approval import ApprovalLimits
from tasks.engine.retention.plan_id import PlanId
from tasks.engine.retention.prune_plan import PrunePlan
from tasks.flow_support.prune_report import plan_numbers
from tasks.flow_support.prune_work import PruneWork, prune_plan
from tasks.flow_support.states import failed, refused, report_event
from tasks.flow_support.wiring import repository
from tasks.model.quoting import quoted
from tasks.reports.retention import approval_form_text
from tasks.repository.names import new_id

ANSWER_WITHIN_S = 24 * 60 * 60
"""How long a suspended run waits for an answer, in seconds. Then Prefect ends it as `Failed`."""

_KEY = re.compile(r"plan-(?P<number>[0-9]+)-(?P<plan>[0-9]+-[0-9]+-[0-9a-f]{64})-[0-9a-f]+")


class PruneApproval(RunInput):
    """The form of a suspended run."""

    approve: bool = Field(
        False, title="Approve", description="Yes carries out exactly this plan. No ends the run, and nothing changes."
    )
    approved_by: str = Field(
        title="Your name",
        description="Who answers, for the log of the backup set. Prefect does not check it.",
        pattern=r"^\S(.*\S)?$",
        max_length=200,
    )


class Decision(NamedTuple):
    """Whether a plan can be carried out. `end` is the state in which the run ends without it, or None. `approved_by` is
    who has approved it by a form, or None."""

    end: State[Any] | None = None
    approved_by: str | None = None


class _Answer(NamedTuple):
    """The answer to the last form of a run, and the id of the plan that the form has shown."""

    plan: PlanId
    form: PruneApproval


def decide_on_plan(work: PruneWork, limits: ApprovalLimits, given: str | None) -> Decision:
    """Decide whether the plan is carried out. If it needs an approval, the flow run is suspended, and this function
    does not return. The resumed run calls it again.

    `given` is the id of a plan that is approved without a form, or None. If a form was answered and the plan is
    another one by now, the run is suspended again with the new plan, also if that exceeds no limit. A run that cannot
    be resumed, because it has no deployment or is a subflow, ends as `Failed` instead of being suspended.

    Raises `RefusedError` if the repository is frozen, because nothing could be carried out.
    """
    plan = prune_plan(work)
    if given is not None and PlanId.parse(given).sha256 == plan.sha256:
        return Decision()
    run = _read_run(work)
    answer = _last_answer(run)
    if answer is not None and not answer.form.approve:
        return Decision(end=_refused(work, answer.form.approved_by))
    if not plan.expire and plan.old is None:
        return Decision()
    if answer is not None and answer.plan.sha256 == plan.sha256:
        return Decision(approved_by=answer.form.approved_by)
    limit = limits.exceeded_by(plan)
    if limit is None and answer is None:
        return Decision()
    sentence = _need(plan, limit, answer)
    if run.deployment_id is None or run.parent_task_run_id is not None:
        hint = f"This run cannot wait for an approval. If the plan is right, run it with the approval {plan.id}."
        report_event("kafka-backup.retention.approval-needed", f"{sentence} {hint}", plan_numbers(plan))
        return Decision(end=failed(f"{sentence} {hint}"))
    opened = repository(work.flow_run, work.repository)
    opened.require_not_frozen(work.set_name)
    report_event("kafka-backup.retention.approval-needed", sentence, plan_numbers(plan))
    state = opened.state(work.set_name)
    form = PruneApproval.with_initial_data(description=approval_form_text(plan, state, sentence))
    suspend_flow_run(wait_for_input=form, timeout=ANSWER_WITHIN_S, key=_next_key(run, plan))
    raise AssertionError("a suspension with a new key does not return")


def with_approved_moment(work: PruneWork, given: str | None) -> PruneWork:
    """The work with the moment of the approved plan, so that its plan is that one. Returns `work` if no plan is
    approved, or if the approved plan cannot be carried out any more because the points or the policy have changed.
    `given` is the id of a plan that is approved without a form, or None. Raises `ConfigError` if it is not an id, and
    `RefusedError` if it is one of another set."""
    approved = _approved_plan(work, given)
    if approved is None:
        return work
    then = replace(work, moment=approved.moment.not_after(work.moment))
    return then if prune_plan(then).sha256 == approved.sha256 else work


def _approved_plan(work: PruneWork, given: str | None) -> PlanId | None:
    if given is not None:
        return PlanId.parse(given)
    answer = _last_answer(_read_run(work))
    return answer.plan if answer is not None and answer.form.approve else None


def _need(plan: PrunePlan, limit: str | None, answer: _Answer | None) -> str:
    if answer is not None:
        by = quoted(answer.form.approved_by)
        return (
            f"{plan.set_name}: the plan that {by} approved is not the plan any more, because the set has changed. This "
            f"run has changed nothing. Now {len(plan.expire):,} of {len(plan.expire) + len(plan.kept):,} points would "
            "expire."
        )
    return f"{plan.set_name}: {limit}. Nothing was changed."


def _refused(work: PruneWork, by: str) -> State[Any]:
    return refused(
        f"{work.set_name}: {quoted(by)} refused the plan. Nothing was changed. The next run asks again.",
        event="kafka-backup.retention.refused",
    )


def _read_run(work: PruneWork) -> FlowRun:
    with get_client(sync_client=True) as client:
        return client.read_flow_run(work.flow_run)  # type: ignore[arg-type]


def _last_answer(run: FlowRun) -> _Answer | None:
    """The answer to the last form. None if there was no form, or if it was not answered."""
    keys = _form_keys(run)
    if not keys:
        return None
    last = max(keys, key=lambda key: int(key["number"]))
    try:
        return _Answer(PlanId.parse(last["plan"]), suspend_flow_run(wait_for_input=PruneApproval, key=last[0]))
    except ValidationError:  # Prefect loads an answer that does not exist as an empty one
        return None


def _next_key(run: FlowRun, plan: PrunePlan) -> str:
    """The key of one more form. It has a random part, because Prefect forgets the keys of a run that is retried, but
    keeps the answers."""
    number = max((int(key["number"]) for key in _form_keys(run)), default=0) + 1
    return f"plan-{number}-{plan.id}-{new_id()}"


def _form_keys(run: FlowRun) -> list[re.Match[str]]:
    keys = run.empirical_policy.pause_keys or ()
    return [found for found in map(_KEY.fullmatch, keys) if found]
