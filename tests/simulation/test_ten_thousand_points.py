"""The plan of a prune of a continuous set: it reads each entry and each index object once, and never data, so its cost
grows with the number of points and not faster."""

from __future__ import annotations

import time

import pytest

from tasks.engine.options import RetentionPolicy
from tasks.engine.retention.prune_plan import PrunePlan, draft_prune
from tasks.repository.repository import Repository
from tests.support.continuous_set import ContinuousSet
from tests.support.counting_store import PAGE_OBJECTS, CountingStore
from tests.support.made_backup import SET

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
POLICIES = {
    "thinned": RetentionPolicy(keep_last=10, keep_hourly=24, keep_daily=7),
    "all-kept": RetentionPolicy(keep_last=100_000),
    "by-age": RetentionPolicy(keep_daily=10, maximum_age="1d"),
}


def _plan(made: ContinuousSet, policy: RetentionPolicy) -> tuple[PrunePlan, CountingStore]:
    """The plan a day after the last point, and the requests that it took."""
    store = CountingStore(made.store)
    repository = Repository.open(store, lambda: made.now_ms + DAY_MS + HOUR_MS)
    return draft_prune(repository, SET, policy, now_ms=repository.now_ms()), store


def _check_requests(store: CountingStore, points: int) -> None:
    pages = 1 + points // PAGE_OBJECTS
    assert points <= store.count("get", f"meta/{SET}/log/") <= points + 100
    assert store.count("get", f"meta/{SET}/index/") <= points + 100
    assert store.count("head", f"meta/{SET}/log/") <= 100
    assert store.count("list") <= 40 + 12 * pages
    for prefix in ("data/", "fragments/", f"meta/{SET}/runs/", f"meta/{SET}/partitions/", f"meta/{SET}/state/"):
        assert 0 == store.count("get", prefix) == store.count("get_range", prefix) == store.count("head", prefix)


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
def test_a_plan_reads_each_entry_and_each_index_object_once_and_no_data(policy: RetentionPolicy) -> None:
    """More points than the log remembers as closed runs."""
    made = ContinuousSet()
    made.add_points(1_200)
    plan, store = _plan(made, policy)
    assert 1_200 == len(plan.kept) + len(plan.expire)
    _check_requests(store, 1_200)


@pytest.mark.soak
def test_ten_thousand_points_are_planned_in_ten_seconds_of_cpu() -> None:
    made = ContinuousSet()
    made.add_points(10_000)
    for policy in POLICIES.values():
        before_s = time.process_time()
        plan, store = _plan(made, policy)
        assert 10.0 > time.process_time() - before_s
        assert 10_000 == len(plan.kept) + len(plan.expire)
        _check_requests(store, 10_000)
