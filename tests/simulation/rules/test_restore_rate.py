"""The rate limits of a restore and a drill: one limit for all workers of a process, kept on average."""

from __future__ import annotations

import threading

import pytest

from tasks.engine import rate_limit
from tasks.engine.drill import drill_locally
from tasks.engine.options import DrillOptions
from tasks.engine.rate_limit import RateLimit
from tasks.engine.restore_steps import started_restore
from tasks.repository.names import new_run_id
from tests.simulation.rules.small_world import SET, SmallWorld

RECORDS, RATE = 9_000, 1_000


@pytest.fixture
def world() -> SmallWorld:
    """Three partitions with many batches."""
    made = SmallWorld()
    made.topic(partitions=3, records=RECORDS // 3)
    made.back_up()
    return made


def test_a_restore_writes_as_many_records_in_a_second_as_its_limit_allows(world: SmallWorld) -> None:
    before_s = world.clock.monotonic_s()

    world.restore(rate_limit_records_per_sec=RATE, max_concurrent_partitions=1)

    assert pytest.approx(RECORDS / RATE, rel=0.1) == world.clock.monotonic_s() - before_s


def test_all_workers_of_a_restore_share_one_limit(world: SmallWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    spent: dict[RateLimit, list[int]] = {}
    lock = threading.Lock()

    def spend(self: RateLimit, amount: int, stop: threading.Event) -> None:
        with lock:
            spent.setdefault(self, []).append(amount)

    monkeypatch.setattr(rate_limit.RateLimit, "spend", spend)

    world.restore(rate_limit_records_per_sec=RATE, rate_limit_bytes_per_sec=100_000, max_concurrent_partitions=3)

    assert [RATE, 100_000] == sorted(one.per_second for one in spent)
    assert RECORDS in [sum(amounts) for amounts in spent.values()]


def test_a_process_among_several_gets_its_share_and_a_plan_without_limit_says_nothing_of_it(world: SmallWorld) -> None:
    limited = world.restore(rate_limit_records_per_sec=6_000, max_concurrent_partitions=3).plan
    shares = [
        started_restore(world.repository, limited.restore, is_one_of_several=several).limit.records
        for several in (False, True)
    ]

    assert [6_000, 6_000 / min(3, len(limited.bins))] == [one and one.per_second for one in shares]
    plain = world.restore({"orders": "unlimited"}).plan
    assert not [key for key in plain.options if key.startswith("rate_limit")]


def test_a_drill_restores_with_its_limit(world: SmallWorld) -> None:
    began_s = world.clock.monotonic_s()
    options = DrillOptions(rate_limit_records_per_sec=RATE, max_concurrent_partitions=1)

    result = drill_locally(
        world.context(world.target), SET, options, drill=new_run_id(world.clock.now_ms()), requested_ms=0
    )

    assert "passed" == result.verdict
    assert world.clock.monotonic_s() - began_s >= RECORDS / RATE * 0.9
