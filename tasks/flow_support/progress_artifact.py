"""What a flow run has done so far: counted by its workers, shown by an artifact that a side thread keeps up to date."""

from __future__ import annotations

import threading
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass, field
from uuid import UUID

from prefect.client.schemas.actions import ArtifactCreate, ArtifactUpdate
from prefect.logging import get_logger

from tasks.flow_support.artifacts import single_try_client
from tasks.model.partition import Partition
from tasks.reports.figures import size_text

INTERVAL_S = 2.0
"""Between two updates; each is a request to the server."""

_log = get_logger("kafka_backup.progress")


@dataclass
class ProgressCounter:
    """Records and log bytes done, per partition or whatever else a task works on. Safe to use from several threads; it
    is the engine's `Progress`."""

    total_bytes: int = 0
    is_done: bool = False
    _done: dict[Hashable, tuple[int, int]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, partition: Partition, *, records: int, log_bytes: int) -> None:
        self.add(partition, records=records, log_bytes=log_bytes)

    def add(self, what: Hashable, *, records: int, log_bytes: int) -> None:
        """So much more of it is done."""
        with self._lock:
            before = self._done.get(what, (0, 0))
            self._done[what] = (before[0] + records, before[1] + log_bytes)

    def set_final(self, what: Hashable, *, records: int, log_bytes: int) -> None:
        """What a finished task says of it, whichever process it ran in and however often it began."""
        with self._lock:
            self._done[what] = (records, log_bytes)

    def restart(self, *whats: Hashable) -> None:
        """An attempt at them begins: what an earlier one counted is void."""
        with self._lock:
            for what in whats:
                self._done.pop(what, None)

    def figures(self) -> tuple[int, int]:
        """(records, log bytes) done in all."""
        with self._lock:
            return sum(one[0] for one in self._done.values()), sum(one[1] for one in self._done.values())

    def percent(self) -> float:
        """At most 99.9 before all is done: the total is what the brokers keep, which is an estimate."""
        if self.is_done:
            return 100.0
        _, log_bytes = self.figures()
        return min(99.9, round(100 * log_bytes / self.total_bytes, 1)) if self.total_bytes else 0.0

    def text(self) -> str:
        """One line for people."""
        records, log_bytes = self.figures()
        return f"{size_text(log_bytes)} of about {size_text(self.total_bytes)}, {records:,} records"


@contextmanager
def progress_artifact(counter: ProgressCounter, what: str, flow_run: str) -> Iterator[None]:
    """Keep one progress artifact of the flow run up to date while the body runs.

    A server that does not answer delays and fails nothing: the next turn tries again.
    """
    artifact = _ProgressArtifact(counter, what, UUID(flow_run))
    done = threading.Event()
    thread = threading.Thread(
        target=copy_context().run, args=(artifact.keep, done), name="progress-artifact", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(INTERVAL_S)  # a request may hang; the artifact is not worth waiting for it


@dataclass
class _ProgressArtifact:
    counter: ProgressCounter
    what: str
    flow_run: UUID
    _id: UUID | None = None

    def keep(self, done: threading.Event) -> None:
        """Write it now, every interval, and once more at the end."""
        self._try_to_write()
        while not done.wait(INTERVAL_S):
            self._try_to_write()
        self._try_to_write()

    def _try_to_write(self) -> None:
        try:
            self._write()
        except Exception as error:  # whatever the client raises: nobody's backup fails for a progress bar
            _log.debug("The progress artifact was not written: %r", error)

    def _write(self) -> None:
        percent, description = self.counter.percent(), f"{self.what}: {self.counter.text()}"
        with single_try_client() as client:
            if self._id is None:
                created = client.create_artifact(
                    ArtifactCreate(type="progress", description=description, data=percent, flow_run_id=self.flow_run)
                )
                self._id = created.id
            else:
                client.update_artifact(self._id, ArtifactUpdate(data=percent, description=description))
