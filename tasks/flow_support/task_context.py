"""What a task has at hand: the repository, the stop event that ends it, and whom it tells of its progress."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from tasks.engine.progress import Progress, silent
from tasks.flow_support.flow_run_cache import FlowRunCache, flow_run_cache
from tasks.flow_support.wiring import repository
from tasks.repository.leases import watched
from tasks.repository.repository import Repository


class TaskContext(NamedTuple):
    """`cache` is what this process keeps of the flow run."""

    repository: Repository
    cache: FlowRunCache
    stop: threading.Event
    progress: Progress


@contextmanager
def task_context(flow_run: str, repository_name: str, *, lease: str, run: str | None = None) -> Iterator[TaskContext]:
    """For a task whose flow holds the lease, for that run.

    In the flow's own process the flow itself sets `stop`. In another one nobody does, so the lease is watched: it ends
    with the flow. Progress is not told from there; the flow hears of it when the task has ended.
    """
    cache = flow_run_cache(flow_run)
    opened = repository(flow_run, repository_name)
    if cache.is_flow_process:
        yield TaskContext(opened, cache, cache.stop, cache.counter)
        return
    stop = threading.Event()
    with watched(opened.store, lease, run, stop):
        yield TaskContext(opened, cache, stop, silent)
