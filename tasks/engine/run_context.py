"""What every step of a run needs besides its own arguments: the repository, the cluster, the stop event, progress."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from tasks.broker.ports import ClusterAccess, ClusterAdmin, LogReader, LogWriter
from tasks.engine.progress import Progress, silent
from tasks.repository.repository import Repository


@dataclass(frozen=True, slots=True, kw_only=True)
class RunContext:
    """One process's view of a run that reads a repository only, e.g. a validation.

    Every blocking call gets `stop` from here and ends with `InterruptedRunError` soon after it is set. `clock` measures
    waits in seconds; the clock that stamps documents is `repository.now_ms`.
    """

    repository: Repository
    stop: threading.Event = field(default_factory=threading.Event)
    progress: Progress = silent
    clock: Callable[[], float] = time.monotonic


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterContext(RunContext):
    """One process's view of a run that also works on a cluster: the source of a backup, the target of a restore."""

    cluster: ClusterAccess

    def reader(self) -> AbstractContextManager[LogReader]:
        """A reader of the cluster's logs, for one thread, that ends on `stop`."""
        return self.cluster.reader(self.stop)

    def writer(self) -> AbstractContextManager[LogWriter]:
        """A writer to the cluster's logs, for one thread, that ends on `stop`."""
        return self.cluster.writer(self.stop)

    def admin(self) -> AbstractContextManager[ClusterAdmin]:
        """An administrative client of the cluster that ends on `stop`."""
        return self.cluster.admin(self.stop)
