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

from tasks.flow_support.progress_artifact import Ledger

T = TypeVar("T")

MOST_GUESTS = 4
"""Flow runs of other processes of which something is kept; a long-lived worker process serves many."""


@dataclass
class LiveRun:
    """One flow run in this process. `is_home`: the flow itself runs here."""

    is_home: bool
    stop: threading.Event = field(default_factory=threading.Event)
    ledger: Ledger = field(default_factory=Ledger)
    began: float = field(default_factory=time.monotonic)
    _kept: dict[Hashable, object] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def seconds(self) -> float:
        """Since this process first heard of it."""
        return time.monotonic() - self.began

    def once(self, what: Hashable, make: Callable[[], T]) -> T:
        """What `make` gave when it was first asked for."""
        with self._lock:
            if what not in self._kept:
                self._kept[what] = make()
            return cast(T, self._kept[what])


_runs: OrderedDict[str, LiveRun] = OrderedDict()
_lock = threading.Lock()


@contextmanager
def at_home(flow_run: str) -> Iterator[LiveRun]:
    """Keep a flow run of this process while the body runs."""
    run = LiveRun(is_home=True)
    with _lock:
        _runs[flow_run] = run
    try:
        yield run
    finally:
        with _lock:
            _runs.pop(flow_run, None)


@contextmanager
def ending(stop: threading.Event) -> Iterator[None]:
    """Set `stop` when the body ends otherwise than well, be it by Prefect's signal of a cancellation."""
    try:
        yield
    except BaseException:
        stop.set()
        raise


def live_run(flow_run: str) -> LiveRun:
    """The flow run, known here or new; of those that are not at home the oldest is forgotten."""
    with _lock:
        if flow_run not in _runs:
            _runs[flow_run] = LiveRun(is_home=False)
            guests = [key for key, run in _runs.items() if not run.is_home]
            for key in guests[:-MOST_GUESTS]:
                del _runs[key]
        return _runs[flow_run]
