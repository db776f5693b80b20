"""Findings about the rules and settings of a bucket."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tasks.engine.bucket.bucket_findings import bucket_findings
from tasks.engine.bucket.policy_rules import policy_rules
from tasks.engine.options import RetentionPolicy
from tasks.store.bucket_rules import BucketRule, BucketState, Transition

ROOT = "team/"
PLAIN = BucketState(rules=(), has_versions=False, default_lock=None)
EXPIRING = BucketRule(name="cleanup", prefix="", expires="after 30 days")
ARCHIVING = BucketRule(name="archive", prefix="", transitions=(Transition(after_days=1, storage_class="GLACIER"),))


def _findings(*rules: BucketRule, has_versions: bool = False, lock: str | None = None) -> list[str]:
    state = replace(PLAIN, rules=rules, has_versions=has_versions, default_lock=lock)
    return bucket_findings(state, "orders", root=ROOT)


@pytest.mark.parametrize(
    "prefix",
    [
        *("", "te", "team/", "team/data/", "team/data/orders/", "team/data/orders/2026", "team/meta/orders/log/"),
        *("team/fragments/", "team/repository.json", "team/heads/orders.json", "team/leases/", "team/data/o"),
    ],
)
def test_a_rule_that_deletes_something_of_the_set_is_a_finding(prefix: str) -> None:
    for rule in (EXPIRING, replace(EXPIRING, is_narrowed=True)):
        [finding] = _findings(replace(rule, prefix=prefix))
        assert "'cleanup' deletes objects" in finding


@pytest.mark.parametrize("prefix", ["logs/", "team2/", "team/data/other/", "team/data/orders-2/", "team/probe/"])
def test_a_rule_for_other_objects_is_no_finding(prefix: str) -> None:
    assert [] == _findings(replace(EXPIRING, prefix=prefix), replace(ARCHIVING, prefix=prefix))


def test_a_disabled_rule_is_no_finding() -> None:
    assert [] == _findings(replace(EXPIRING, is_enabled=False), replace(ARCHIVING, is_enabled=False))


def test_an_archive_for_what_every_command_reads_is_a_finding_and_one_for_data_is_not() -> None:
    assert ["'archive' moves objects"] == [
        one[len("The rule ") :][: len("'archive' moves objects")] for one in _findings(ARCHIVING)
    ]
    assert 1 == len(_findings(replace(ARCHIVING, prefix="team/meta/")))
    assert [] == _findings(replace(ARCHIVING, prefix="team/data/"))
    readable = (Transition(after_days=1, storage_class="GLACIER_IR"),)
    assert [] == _findings(replace(ARCHIVING, transitions=readable))


def test_a_default_lock_is_a_finding() -> None:
    [finding] = _findings(lock="COMPLIANCE for 30 days")
    assert "locks every new object (COMPLIANCE for 30 days)" in finding


def test_versions_that_no_rule_deletes_are_a_finding_until_the_rule_of_the_policy_is_there() -> None:
    policy = RetentionPolicy(keep_last=1)
    own = policy_rules(policy, "orders", root=ROOT, has_versions=True)
    versions = BucketRule(name="v", prefix="", old_version_days=30)

    assert 1 == len(_findings(has_versions=True))
    assert 1 == len(_findings(replace(versions, prefix="team/data/orders/2026"), has_versions=True))
    assert 1 == len(_findings(replace(versions, is_narrowed=True), has_versions=True))
    assert 1 == len(_findings(replace(versions, is_enabled=False), has_versions=True))
    assert [] == _findings(versions, has_versions=True)
    assert [] == _findings(*own, has_versions=True)
