"""The verdict of a drill: it passes only if something was compared, everything is equal, and everything is removed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tasks.engine.drilling.drill_result import (
    ChosenData,
    CleanUp,
    DrillResult,
    DrillTimes,
    GroupComparison,
    Objectives,
    OwnerCheck,
    PartitionComparison,
    SettingsComparison,
)
from tasks.model.partition import Partition

COMPARED = PartitionComparison(
    source=Partition("orders", "id1", 0),
    target=Partition("scratch", "id2", 0),
    level="full",
    expected_records=3,
    found_records=3,
    compared_records=3,
    expected_digest="a",
    found_digest="a",
    problem=None,
    seconds=0.1,
)
PASSED = DrillResult(
    drill="d",
    data=ChosenData(
        set_name="s",
        point=1,
        point_ms=1,
        choice="the latest point of the set",
        topics=("orders",),
        excluded={},
        partitions=1,
        records=3,
        log_bytes=9,
    ),
    repository_id="r",
    source_cluster_id="c1",
    target_cluster_id="c2",
    scratch_prefix="",
    partitions=(COMPARED,),
    settings=(SettingsComparison(topic="orders", target="scratch", compared=2),),
    groups=(GroupComparison(group="g", scratch_group="sg", positions=1),),
    checks=(OwnerCheck(name="ledger", kind="command", verdict="passed", output="", seconds=0.1),),
    clean_up=CleanUp(topics={"scratch": "id2"}, groups=("sg",)),
    times=DrillTimes(requested_ms=1, started_ms=2),
    objectives=Objectives(rto_target_s=10, rto_s=5, rpo_target_s=10, rpo_s=5),
)


def test_a_drill_without_a_problem_passes() -> None:
    assert ("passed", ()) == (PASSED.verdict, PASSED.failures)


@pytest.mark.parametrize(
    ("change", "failure"),
    [
        ({"problems": ("The store failed.",)}, "The store failed."),
        ({"partitions": (replace(COMPARED, problem="record 2 differs"),)}, "orders-0: record 2 differs"),
        ({"partitions": ()}, "The drill has compared nothing."),
        ({"partitions": (replace(COMPARED, compared_records=0),)}, "The drill has compared nothing."),
        (
            {"partitions": (replace(COMPARED, level="counts", compared_records=0, found_records=0),)},
            "The drill has compared nothing.",
        ),
        (
            {"settings": (SettingsComparison(topic="orders", target="scratch", compared=1, problems=("x is 1",)),)},
            "scratch: x is 1",
        ),
        (
            {"groups": (GroupComparison(group="g", scratch_group="sg", positions=1, problems=("wrong",)),)},
            "group g: wrong",
        ),
        (
            {"checks": (OwnerCheck(name="ledger", kind="http", verdict="failed", output="", seconds=1),)},
            "check ledger: it failed",
        ),
        ({"clean_up": None}, "Nothing was cleaned up."),
        ({"clean_up": CleanUp(topics={}, groups=(), problems=("The topic x remains.",))}, "The topic x remains."),
        ({"objectives": Objectives(rto_target_s=4, rto_s=5, rpo_target_s=None, rpo_s=5)}, "objective RTO was missed"),
        (
            {"objectives": Objectives(rto_target_s=4, rto_s=None, rpo_target_s=None, rpo_s=5)},
            "objective RTO was missed",
        ),
        ({"objectives": Objectives(rto_target_s=None, rto_s=5, rpo_target_s=4, rpo_s=5)}, "objective RPO was missed"),
    ],
)
def test_a_drill_fails_for_each_kind_of_problem(change: dict[str, object], failure: str) -> None:
    result = replace(PASSED, **change)  # type: ignore[arg-type]

    assert ("failed", (failure,)) == (result.verdict, result.failures)


def test_counts_alone_can_pass_if_records_were_counted() -> None:
    counted = replace(COMPARED, level="counts", compared_records=0, expected_digest=None, found_digest=None)

    assert "passed" == replace(PASSED, partitions=(counted,)).verdict
