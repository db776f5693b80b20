"""The context of a task: the engine's run context, and this process's cache of the flow run. Watches the lease of the
flow if the task runs in another process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from tasks.engine.run_context import RunContext
from tasks.flow_support.flow_run_cache import FlowRunCache, flow_run_cache
from tasks.flow_support.wiring import repository
from tasks.repository.leases import watched


class TaskContext(NamedTuple):
    """`cache` has the values that this process keeps for the flow run. `run` is the context for the engine's steps."""

    cache: FlowRunCache
    run: RunContext


@contextmanager
def task_context(flow_run: str, repository_name: str, *, lease: str, run: str | None = None) -> Iterator[TaskContext]:
    """The context of a task whose flow holds the lease `lease` for `run`.

    In the flow's own process the flow sets `stop` when it ends early. In another process nothing sets it, so the lease
    is watched instead, which ends with the flow. Such a task does not count its progress; the flow counts it when the
    task has ended. Raises `InterruptedRunError` if the lease has ended already.
    """
    cache = flow_run_cache(flow_run)
    opened = repository(flow_run, repository_name)
    if cache.is_flow_process:
        yield TaskContext(cache, cache.run_context(opened))
        return
    stop = threading.Event()
    with watched(opened.store, lease, run, stop):
        yield TaskContext(cache, RunContext(repository=opened, stop=stop))
