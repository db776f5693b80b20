"""Keeps the values that one process needs for a flow run: the stop event, the progress, and everything that was opened.

Tasks receive names and numbers, not objects. In the flow's own process they find here what the flow has opened before
the fan-out, so a Prefect server that is down for a minute does not stop them. In another process the first task opens
it for all tasks of that process.
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

MAX_FOREIGN_RUNS = 4
"""A worker process of a task runner executes tasks of many flow runs. It keeps the values of at most this many."""


@dataclass
class FlowRunCache:
    """The values of one flow run in this process. `is_flow_process`: the flow itself runs here, not only some of its
    tasks. `began` is a time of `time.monotonic`."""

    is_flow_process: bool
    stop: threading.Event = field(default_factory=threading.Event)
    counter: ProgressCounter = field(default_factory=ProgressCounter)
    began: float = field(default_factory=time.monotonic)
    _values: dict[Hashable, object] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def seconds(self) -> float:
        """Seconds since this process began to work for the flow run."""
        return time.monotonic() - self.began

    def run_context(self, repository: Repository) -> RunContext:
        """The context for the engine's steps in this process. They end when `stop` is set, and their progress is
        counted in `counter`."""
        return RunContext(repository=repository, stop=self.stop, progress=self.counter)

    def cached(self, key: Hashable, make: Callable[[], T]) -> T:
        """The value that `make` returned at the first call with this key. Other threads wait until it has returned. If
        `make` raises an error, nothing is kept."""
        with self._lock:
            if key not in self._values:
                self._values[key] = make()
            return cast(T, self._values[key])


_runs: OrderedDict[str, FlowRunCache] = OrderedDict()
_lock = threading.Lock()


@contextmanager
def flow_process(flow_run: str) -> Iterator[FlowRunCache]:
    """Keep the values of a flow run whose flow runs in this process, while the body runs."""
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
    """Set `stop` if the body raises an exception of any kind, because Prefect cancels a flow by an exception too."""
    try:
        yield
    except BaseException:
        stop.set()
        raise


def flow_run_cache(flow_run: str) -> FlowRunCache:
    """The values of a flow run. They are created if this process has none.

    If their flow runs in another process, only the newest `MAX_FOREIGN_RUNS` are kept.
    """
    with _lock:
        if flow_run not in _runs:
            _runs[flow_run] = FlowRunCache(is_flow_process=False)
            foreign = [key for key, run in _runs.items() if not run.is_flow_process]
            for key in foreign[:-MAX_FOREIGN_RUNS]:
                del _runs[key]
        return _runs[flow_run]
