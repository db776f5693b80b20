"""What a process keeps of a flow run while it works for it: the stop event, the progress, and what it has opened.

Tasks get names and numbers, not objects. In the flow's own process they find here what the flow has opened before it
fanned out, so that a Prefect server which is down for a minute hurts nobody; in another process the first task opens
it for all.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar, cast

from tasks.engine.run_context import RunContext
from tasks.flow_support.progress_artifact import ProgressCounter
from tasks.repository.repository import Repository

T = TypeVar("T")

MOST_GUESTS = 4
"""Flow runs of other processes of which something is kept; a long-lived worker process serves many."""


@dataclass
class FlowRunCache:
    """One flow run in this process. `is_flow_process`: the flow itself runs here."""

    is_flow_process: bool
    stop: threading.Event = field(default_factory=threading.Event)
    counter: ProgressCounter = field(default_factory=ProgressCounter)
    began: float = field(default_factory=time.monotonic)
    _kept: dict[Hashable, object] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def seconds(self) -> float:
        """Since this process first heard of it."""
        return time.monotonic() - self.began

    def run_context(self, repository: Repository) -> RunContext:
        """For steps that this process takes by itself: they end with the flow and count its progress."""
        return RunContext(repository=repository, stop=self.stop, progress=self.counter)

    def cached(self, what: Hashable, make: Callable[[], T]) -> T:
        """What `make` gave when it was first asked for."""
        with self._lock:
            if what not in self._kept:
                self._kept[what] = make()
            return cast(T, self._kept[what])


_runs: OrderedDict[str, FlowRunCache] = OrderedDict()
_lock = threading.Lock()


@contextmanager
def flow_process(flow_run: str) -> Iterator[FlowRunCache]:
    """Keep a flow run of this process while the body runs."""
    run = FlowRunCache(is_flow_process=True)
    with _lock:
        _runs[flow_run] = run
    try:
        yield run
    finally:
        with _lock:
            _runs.pop(flow_run, None)


@contextmanager
def stop_on_failure(stop: threading.Event) -> Iterator[None]:
    """Set `stop` when the body ends otherwise than well, be it by Prefect's signal of a cancellation."""
    try:
        yield
    except BaseException:
        stop.set()
        raise


def flow_run_cache(flow_run: str) -> FlowRunCache:
    """The flow run, known here or new; of those that are not at home the oldest is forgotten."""
    with _lock:
        if flow_run not in _runs:
            _runs[flow_run] = FlowRunCache(is_flow_process=False)
            guests = [key for key, run in _runs.items() if not run.is_flow_process]
            for key in guests[:-MOST_GUESTS]:
                del _runs[key]
        return _runs[flow_run]
