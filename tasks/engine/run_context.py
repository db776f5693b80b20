"""The run context: the values that every step of a run needs, such as the repository, the cluster and the stop
event."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from tasks.broker.ports import ClusterAccess, ClusterAdmin, LogReader, LogWriter, RecordReader
from tasks.engine.progress import Progress, silent
from tasks.repository.repository import Repository


@dataclass(frozen=True, slots=True, kw_only=True)
class RunContext:
    """The context of a run without a cluster, for example of a validation. Each process of a run has its own.

    The steps of the engine and the Kafka ports get `stop` from here, and raise `InterruptedRunError` soon after it is
    set. The repository's store does not: it has the event with which it was opened, and that event ends only its
    retries. `clock` returns seconds and never goes back; waits are measured with it. The times in documents come from
    `repository.now_ms`.
    """

    repository: Repository
    stop: threading.Event = field(default_factory=threading.Event)
    progress: Progress = silent
    clock: Callable[[], float] = time.monotonic

    def on(self, cluster: ClusterAccess) -> ClusterContext:
        """The context of a run that also works on this cluster."""
        return ClusterContext(
            repository=self.repository, stop=self.stop, progress=self.progress, clock=self.clock, cluster=cluster
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterContext(RunContext):
    """The context of a run with a cluster: the source of a backup or the target of a restore."""

    cluster: ClusterAccess

    def reader(self) -> AbstractContextManager[LogReader]:
        """Open a reader of the cluster's logs for one thread. Its calls end on `stop`."""
        return self.cluster.reader(self.stop)

    def record_reader(self) -> AbstractContextManager[RecordReader]:
        """Open a second reader of the cluster's records for one thread. Its calls end on `stop`."""
        return self.cluster.record_reader(self.stop)

    def writer(self) -> AbstractContextManager[LogWriter]:
        """Open a writer to the cluster's logs for one thread. Its calls end on `stop`."""
        return self.cluster.writer(self.stop)

    def admin(self) -> AbstractContextManager[ClusterAdmin]:
        """Open an administrative client of the cluster. Its calls end on `stop`."""
        return self.cluster.admin(self.stop)
