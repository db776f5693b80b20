"""What a task has at hand: the repository, the stop event that ends it, and whom it tells of its progress."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from tasks.engine.progress import Progress, silent
from tasks.flow_support.flow_run_cache import LiveRun, live_run
from tasks.flow_support.wiring import repository
from tasks.repository.leases import watched
from tasks.repository.repository import Repository


class AtWork(NamedTuple):
    """`live` is what this process keeps of the flow run."""

    repository: Repository
    live: LiveRun
    stop: threading.Event
    progress: Progress


@contextmanager
def at_work(flow_run: str, repository_name: str, *, lease: str, run: str | None = None) -> Iterator[AtWork]:
    """For a task whose flow holds the lease, for that run.

    In the flow's own process the flow itself sets `stop`. In another one nobody does, so the lease is watched: it ends
    with the flow. Progress is not told from there; the flow hears of it when the task has ended.
    """
    live = live_run(flow_run)
    opened = repository(flow_run, repository_name)
    if live.is_home:
        yield AtWork(opened, live, live.stop, live.ledger)
        return
    stop = threading.Event()
    with watched(opened.store, lease, run, stop):
        yield AtWork(opened, live, stop, silent)
