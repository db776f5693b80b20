"""The lifecycle rules of a bucket for one backup set: shows what its policy asks for, and writes it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from tasks.engine.bucket.bucket_findings import bucket_findings
from tasks.engine.bucket.policy_rules import policy_rules
from tasks.engine.bucket.rule_changes import RuleChanges, difference, rule_changes
from tasks.engine.options import RetentionPolicy
from tasks.engine.run_context import RunContext
from tasks.model.errors import StoreError
from tasks.store.bucket_rules import BucketRule, BucketRules, BucketState

_READ_BACKS = 5
_READ_BACK_PAUSE_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LifecyclePlan:
    """The state of a bucket, what has to change for a set, and the findings about the state."""

    set_name: str
    state: BucketState
    changes: RuleChanges
    findings: tuple[str, ...]


def plan_lifecycle(
    bucket: BucketRules, set_name: str, policy: RetentionPolicy, *, with_uploads: bool = True
) -> LifecyclePlan:
    """Read the rules of the bucket and compare them with those that the policy asks for. Writes nothing.
    `with_uploads`: see `policy_rules`."""
    state = bucket.read()
    wanted = policy_rules(
        policy, set_name, root=bucket.root, has_versions=state.has_versions, with_uploads=with_uploads
    )
    return LifecyclePlan(
        set_name=set_name,
        state=state,
        changes=rule_changes(state.rules, wanted, set_name),
        findings=tuple(bucket_findings(state, set_name, root=bucket.root)),
    )


def apply_lifecycle(context: RunContext, bucket: BucketRules, plan: LifecyclePlan) -> tuple[str, ...]:
    """Write the rules of a plan, and read them back. Returns the findings about the new state. May be called again with
    a new plan.

    Writes nothing if the plan changes nothing. Raises `RefusedError` if the repository is frozen, because rules delete,
    or if another program changed the rules since the plan, and `StoreError` if the store refuses a rule, or if it does
    not return exactly the rules that were written.
    """
    context.repository.require_not_frozen(plan.set_name)
    if plan.changes.is_empty:
        return plan.findings
    rules = plan.changes.result
    bucket.replace(plan.state, rules)
    state = _read_back(bucket, rules, context.stop)
    wrong = difference(rules, state.rules)
    if wrong:
        raise StoreError(
            f"The lifecycle rules of the bucket are not those that were written: {'; '.join(wrong)}. Compare them with "
            "`kafka-backup lifecycle show`, and correct them with the tools of the store."
        )
    return tuple(bucket_findings(state, plan.set_name, root=bucket.root))


def _read_back(bucket: BucketRules, rules: Sequence[BucketRule], stop: threading.Event) -> BucketState:
    """The state after a write. It is read again for some seconds if it is not what was written, because a store can
    show the earlier rules for a moment."""
    state = bucket.read()
    for _ in range(_READ_BACKS):
        if not difference(rules, state.rules) or stop.wait(_READ_BACK_PAUSE_S):
            break
        state = bucket.read()
    return state
