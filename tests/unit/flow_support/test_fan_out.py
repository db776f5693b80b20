"""Bins as tasks: never more at the same time than asked for, and the first failure is raised at once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prefect.futures import PrefectConcurrentFuture, PrefectFuture

from tasks.flow_support.bin_tasks import BinTask, bin_tasks_of
from tasks.flow_support.fan_out import fan_out
from tasks.model.partition import Partition


class Runner:
    """Real threads and Prefect's own futures; counts what runs at the same time."""

    def __init__(self, pool: ThreadPoolExecutor, failing: int | None = None) -> None:
        self.most = 0
        self.begun: list[int] = []
        self._running = 0
        self._lock = threading.Lock()
        self._pool = pool
        self._failing = failing

    def submit(self, bin_task: BinTask) -> PrefectFuture[int]:
        return PrefectConcurrentFuture(task_run_id=uuid4(), wrapped_future=self._pool.submit(self._run, bin_task))

    def _run(self, bin_task: BinTask) -> int:
        with self._lock:
            self.begun.append(bin_task.number)
            self._running += 1
            self.most = max(self.most, self._running)
        threading.Event().wait(0.001)  # long enough for others to begin
        with self._lock:
            self._running -= 1
        if bin_task.number == self._failing:
            raise ValueError(f"bin {bin_task.number}")
        return bin_task.number


def _bins(count: int) -> list[BinTask]:
    return [BinTask(number, str(number)) for number in range(count)]


@settings(deadline=None, derandomize=True, max_examples=25)
@given(st.integers(0, 20), st.integers(1, 6))
def test_every_bin_runs_and_never_more_at_once_than_asked_for(count: int, width: int) -> None:
    finished: list[int] = []
    with ThreadPoolExecutor(16) as pool:
        runner = Runner(pool)
        ended = fan_out(runner.submit, _bins(count), width=width, finished=finished.append)

    assert list(range(count)) == [future.result() for future in ended.futures] == ended.results
    assert list(range(count)) == sorted(finished)
    assert runner.most <= width


def test_the_first_failure_is_raised_before_the_rest_begins() -> None:
    with ThreadPoolExecutor(16) as pool:
        runner = Runner(pool, failing=1)
        with pytest.raises(ValueError, match="bin 1"):
            fan_out(runner.submit, _bins(50), width=2)

    assert len(runner.begun) < 10


def test_a_task_is_named_after_its_partition_or_the_first_of_its_partitions_and_how_many_more() -> None:
    orders = [Partition("orders", "id", number) for number in range(3)]

    assert ("orders-1", "orders-0 and 1 more") == tuple(
        bin_task.label for bin_task in bin_tasks_of([[orders[1]], [orders[2], orders[0]]])
    )
    assert (BinTask(0, "orders-2"),) == bin_tasks_of([[orders[2], orders[2]]])
