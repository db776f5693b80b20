"""The estimate of a restore comes from what earlier restores measured, and from its limits."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tasks.engine.target.estimate import Estimate, estimated, measured_rates
from tasks.repository.restores import PartitionCopy, RestorePlan, StepDone, record_step, write_part
from tasks.store.memory.memory_store import MemoryStore

MIB = 1 << 20


def _plan(
    restore: str = "r", *, mib: int = 100, cluster: str = "c", options: Mapping[str, object] | None = None
) -> RestorePlan:
    copy = PartitionCopy(
        topic="t", topic_id="id", partition=0, target_topic="t", target_partition=0, records=1_000, log_bytes=mib * MIB
    )
    return RestorePlan(
        repository_id="repository",
        restore=restore,
        set="set",
        point=1,
        created_ms=0,
        cluster_id=cluster,
        options=dict(options or {}),
        regroup_bytes=1,
        topics=(),
        partitions=(copy,),
        bins=((0,),),
        tool="made",
    )


def test_without_a_measured_restore_nothing_is_estimated() -> None:
    assert Estimate(100 * MIB, 1_000, None) == estimated(_plan(), [])


def test_the_median_of_the_measured_rates_counts() -> None:
    assert Estimate(100 * MIB, 1_000, 5, measured=3) == estimated(_plan(), [1 * MIB, 20 * MIB, 50 * MIB])


@pytest.mark.parametrize(
    ("limits", "seconds"),
    [({"rate_limit_bytes_per_sec": 10 * MIB}, 10), ({"rate_limit_records_per_sec": 1_000}, 5)],
)
def test_a_restore_is_not_faster_than_its_limits(limits: Mapping[str, object], seconds: float) -> None:
    found = estimated(_plan(options=limits), [20 * MIB])
    assert seconds == found.seconds


def test_only_the_newest_large_restores_to_the_same_cluster_are_measured() -> None:
    store = MemoryStore("restores")
    plans = [_plan(f"2026-{number}", mib=number * 10) for number in range(2, 9)]
    for plan in [*plans, _plan("2026-90", mib=1), _plan("2026-91", cluster="other"), _plan("2026-92")]:
        write_part(store, plan.restore, "plan", plan)
        if plan.restore != "2026-92":
            record_step(store, StepDone(restore=plan.restore, step="replayed", time_ms=1_000, report={}))
    assert [mib * MIB for mib in (80, 70, 60, 50, 40)] == measured_rates(store, "c")
