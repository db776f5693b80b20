"""Lifecycle rules on a bucket in memory: exactly the difference is written, and the result is checked."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tasks.engine import lifecycle
from tasks.engine.freeze import freeze_repository, thaw_repository
from tasks.engine.lifecycle import apply_lifecycle, plan_lifecycle
from tasks.engine.options import RetentionPolicy
from tasks.engine.run_context import RunContext
from tasks.model.errors import RefusedError, StoreError
from tasks.store.bucket import RetryingBucketRules
from tasks.store.bucket_rules import BucketRule
from tasks.store.memory.memory_store import MemoryStore
from tasks.store.retrying import RepeatedCalls
from tests.support.made_backup import make_repository
from tests.support.made_bucket import MadeBucket

SET = "orders"
FOREIGN = BucketRule(name="logs", prefix="logs/", expires="after 3 days", stored=b"<Rule>as read</Rule>")
OTHER_SET = BucketRule(name="kafka-backup/orders-2/uploads", prefix="team/data/orders-2/", upload_days=7)


@pytest.fixture(autouse=True)
def _without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifecycle, "_READ_BACK_PAUSE_S", 0.0)


def _policy(**members: Any) -> RetentionPolicy:
    return RetentionPolicy.model_validate({"keep_last": 3, **members})


TIERED = _policy(tiers=[{"after": "30d", "class": "GLACIER"}])


def _apply(bucket: MadeBucket, policy: RetentionPolicy = TIERED) -> tuple[str, ...]:
    return apply_lifecycle(_context(), bucket, plan_lifecycle(bucket, SET, policy))


def _context() -> RunContext:
    return RunContext(repository=make_repository(MemoryStore("bucket")))


def test_the_rules_of_the_policy_are_added_and_all_others_stay_as_they_were_read() -> None:
    bucket = MadeBucket(FOREIGN, OTHER_SET)
    plan = plan_lifecycle(bucket, SET, TIERED)
    assert ([], 0) == (
        [one.name for one in bucket.state.rules if one.name.startswith("kafka-backup/orders/")],
        bucket.writes,
    )

    apply_lifecycle(_context(), bucket, plan)

    assert (FOREIGN, OTHER_SET) == bucket.state.rules[:2]
    assert FOREIGN.stored == bucket.state.rules[0].stored
    assert ["kafka-backup/orders/tiers", "kafka-backup/orders/uploads"] == [one.name for one in bucket.state.rules[2:]]


def test_a_second_apply_writes_nothing() -> None:
    bucket = MadeBucket(FOREIGN, has_versions=True)
    _apply(bucket)
    assert plan_lifecycle(bucket, SET, TIERED).changes.is_empty
    _apply(bucket)
    assert 1 == bucket.writes


def test_a_changed_policy_changes_and_removes_only_rules_of_its_set() -> None:
    bucket = MadeBucket(FOREIGN, OTHER_SET)
    _apply(bucket)
    later = plan_lifecycle(bucket, SET, _policy(tiers=[{"after": "60d", "class": "GLACIER"}])).changes
    none = plan_lifecycle(bucket, SET, _policy()).changes

    assert ["kafka-backup/orders/tiers"] == [new.name for _, new in later.changed]
    assert [30] == [move.after_days for old, _ in later.changed for move in old.transitions]
    assert ["kafka-backup/orders/tiers"] == [one.name for one in none.removed]
    assert (FOREIGN, OTHER_SET) == later.foreign == none.foreign


def test_a_rule_that_somebody_gave_a_deletion_of_current_objects_is_put_right() -> None:
    bucket = MadeBucket()
    _apply(bucket)
    bucket.state = replace(
        bucket.state, rules=tuple(replace(rule, expires="after 1 day", stored=b"x") for rule in bucket.state.rules)
    )
    assert 2 == len(plan_lifecycle(bucket, SET, TIERED).findings)

    assert () == _apply(bucket)
    assert {None} == {rule.expires for rule in bucket.state.rules}


@pytest.mark.parametrize(
    ("stores", "said"),
    [
        (lambda rule: None if rule.transitions else rule, "dropped the rule 'kafka-backup/orders/tiers'"),
        (lambda rule: replace(rule, upload_days=None), "changed the rule 'kafka-backup/orders/uploads'"),
        (lambda rule: None if rule.name == "logs" else rule, "dropped the rule 'logs'"),
        (lambda rule: replace(rule, stored=b"<Rule>other</Rule>") if rule.stored else rule, "changed the rule 'logs'"),
    ],
)
def test_a_store_that_drops_or_changes_a_rule_is_reported(stores: Any, said: str) -> None:
    bucket = MadeBucket(FOREIGN)
    bucket.stores = stores
    with pytest.raises(StoreError) as raised:
        _apply(bucket)
    assert said in str(raised.value)


def test_a_plan_is_refused_if_another_program_changed_the_rules_meanwhile() -> None:
    bucket = MadeBucket(FOREIGN)
    plan = plan_lifecycle(bucket, SET, TIERED)
    bucket.state = replace(bucket.state, rules=())
    with pytest.raises(RefusedError):
        apply_lifecycle(_context(), bucket, plan)
    assert () == bucket.state.rules


def test_a_write_whose_response_was_lost_is_settled_by_reading_back() -> None:
    bucket = MadeBucket(FOREIGN)
    bucket.loses_responses = 1
    calls = RepeatedCalls(subject="bucket", sleep=lambda seconds: None)
    repeated = RetryingBucketRules(bucket, calls)

    apply_lifecycle(_context(), repeated, plan_lifecycle(repeated, SET, TIERED))

    assert 1 == bucket.writes
    assert plan_lifecycle(bucket, SET, TIERED).changes.is_empty


def test_a_frozen_repository_lets_no_rule_be_written() -> None:
    bucket, context = MadeBucket(FOREIGN), _context()
    plan = plan_lifecycle(bucket, SET, TIERED)
    freeze_repository(context, reason="incident", by="me")
    with pytest.raises(RefusedError, match="incident"):
        apply_lifecycle(context, bucket, plan)
    assert 0 == bucket.writes

    thaw_repository(context.repository, reason="over", by="me")
    apply_lifecycle(context, bucket, plan)
    assert 1 == bucket.writes
