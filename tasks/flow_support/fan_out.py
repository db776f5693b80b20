"""Runs the parts of a flow run's work side by side, a few at a time, on whatever runner the flow has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Any, TypeVar

from prefect.futures import PrefectFuture
from prefect.task_runners import ThreadPoolTaskRunner

from tasks.flow_support.bin_tasks import BinTask

T = TypeVar("T")

THREADS: Any = ThreadPoolTaskRunner(max_workers=64)
"""The runner of the flows, unless `with_options` gives them another. It has as many threads as the widest run may want,
and starts none before it is needed. (Any: mypy does not see that it is a runner of futures.)"""


def fan_out(
    submit: Callable[[BinTask], PrefectFuture[T]],
    bin_tasks: Sequence[BinTask],
    *,
    width: int,
    finished: Callable[[T], None] = lambda result: None,
) -> list[PrefectFuture[T]]:
    """Submit every part, never more than `width` unfinished ones, and wait for all. Returns the futures in order.

    A runner's own number of workers is fixed where the flow is defined; the width is this run's. `finished` is told
    each result as it comes. The first failure is raised at once: whoever called ends the others by their stop event.
    """
    ended: SimpleQueue[PrefectFuture[T]] = SimpleQueue()
    futures: list[PrefectFuture[T]] = []
    for number in range(len(bin_tasks) + width):
        if number >= width and number - width < len(bin_tasks):
            finished(ended.get().result())
        if number < len(bin_tasks):
            future = submit(bin_tasks[number])
            future.add_done_callback(ended.put)
            futures.append(future)
    return futures
