"""The lifecycle rules of a policy: only the data of the set, and never the deletion of current objects."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.engine.bucket.policy_rules import old_version_days, own_name, policy_rules
from tasks.engine.options import RetentionPolicy
from tasks.store.bucket_rules import Transition

TIERS = [{"after": "30d", "class": "STANDARD_IA"}, {"after": "12w", "class": "DEEP_ARCHIVE"}]


def _policy(**members: Any) -> RetentionPolicy:
    return RetentionPolicy.model_validate({"keep_last": 3, **members})


def test_all_rules_act_only_on_the_data_of_the_set_and_none_deletes_current_objects() -> None:
    rules = policy_rules(_policy(tiers=TIERS), "orders", root="team/", has_versions=True)

    assert ["tiers", "uploads", "versions"] == [rule.name.removeprefix(own_name("orders")) for rule in rules]
    assert {"team/data/orders/"} == {rule.prefix for rule in rules}
    assert {None} == {rule.expires for rule in rules}
    assert (30, 84) == tuple(move.after_days for move in rules[0].transitions)
    assert Transition(after_days=84, storage_class="DEEP_ARCHIVE") == rules[0].transitions[1]


def test_without_tiers_versions_or_uploads_there_is_no_rule_about_them() -> None:
    assert () == policy_rules(_policy(), "orders", root="", has_versions=False, with_uploads=False)


@pytest.mark.parametrize(
    ("members", "days"),
    [
        ({}, 1),
        ({"grace": "1s"}, 1),
        ({"grace": "25h"}, 2),
        ({"grace": "24h", "minimum_age": "7d"}, 8),
        ({"grace": "1h", "minimum_age": "7d"}, 8),
    ],
)
def test_older_versions_stay_for_the_grace_and_the_minimum_age_in_whole_days(
    members: dict[str, str], days: int
) -> None:
    assert days == old_version_days(_policy(**members))


def test_no_rule_of_a_set_has_the_name_of_one_of_another_set() -> None:
    [rule] = policy_rules(_policy(), "orders-2", root="", has_versions=False)
    assert not rule.name.startswith(own_name("orders"))
