"""Runs the bins of a flow run as tasks, a few at the same time, on any task runner. Contains the task runner of the
flows, with at most 64 threads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from queue import SimpleQueue
from typing import Any, Generic, NamedTuple, TypeVar

from prefect.futures import PrefectFuture
from prefect.task_runners import ThreadPoolTaskRunner

from tasks.flow_support.bin_tasks import BinTask

T = TypeVar("T")

THREADS: Any = ThreadPoolTaskRunner(max_workers=64)
"""The task runner of the flows, unless `with_options` gives them another. It has as many threads as the largest run
needs, and starts a thread only when it is needed. (Any: mypy does not recognize it as a runner of futures.)"""


class FanOut(NamedTuple, Generic[T]):
    """The tasks of a fan-out and their results, both in the order of the bins.

    The futures are for tasks that depend on these, so that Prefect draws the graph. The results are here too, because
    each call of a future's `result` costs as much as a small task.
    """

    futures: list[PrefectFuture[T]]
    results: list[T]


def fan_out(
    submit: Callable[[BinTask], PrefectFuture[T]],
    bin_tasks: Sequence[BinTask],
    *,
    width: int,
    finished: Callable[[T], None] = lambda result: None,
) -> FanOut[T]:
    """Submit a task for every bin, at most `width` at the same time, and wait for all of them.

    The number of workers of a task runner is fixed where the flow is defined; `width` belongs to the run. `finished` is
    called with each result as soon as its task ends. Raises the first failure at once, while other tasks still run: the
    caller has to stop them.
    """
    ended: SimpleQueue[tuple[int, PrefectFuture[T]]] = SimpleQueue()
    futures: list[PrefectFuture[T]] = []
    results: dict[int, T] = {}
    for number in range(len(bin_tasks) + width):
        if number >= width and number - width < len(bin_tasks):
            index, future = ended.get()
            results[index] = future.result()
            finished(results[index])
        if number < len(bin_tasks):
            future = submit(bin_tasks[number])
            future.add_done_callback(partial(_put, ended, number))
            futures.append(future)
    return FanOut(futures, [results[number] for number in range(len(bin_tasks))])


def _put(ended: SimpleQueue[tuple[int, PrefectFuture[T]]], number: int, future: PrefectFuture[T]) -> None:
    ended.put((number, future))
