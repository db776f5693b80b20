"""Counts the progress of a flow run, and shows it by an artifact that a thread keeps up to date."""

from __future__ import annotations

import threading
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass, field
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import ArtifactCreate, ArtifactUpdate
from prefect.logging import get_logger

from tasks.flow_support.artifacts import single_try_client
from tasks.model.counting import counted
from tasks.model.partition import Partition
from tasks.reports.figures import size_text

INTERVAL_S = 2.0
"""Seconds between two updates. Each update is a request to the server."""

_log = get_logger("kafka_backup.progress")


@dataclass
class ProgressCounter:
    """The records and log bytes that are done, per partition or per bin. It is the engine's `Progress`. Safe to use
    from several threads."""

    total_bytes: int = 0
    is_done: bool = False
    _done: dict[Hashable, tuple[int, int]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, partition: Partition, *, records: int, log_bytes: int) -> None:
        self.add(partition, records=records, log_bytes=log_bytes)

    def add(self, item: Hashable, *, records: int, log_bytes: int) -> None:
        """Add to the figures of a partition or bin."""
        with self._lock:
            before = self._done.get(item, (0, 0))
            self._done[item] = (before[0] + records, before[1] + log_bytes)

    def set_final(self, item: Hashable, *, records: int, log_bytes: int) -> None:
        """Replace the figures of a partition or bin by those of its finished task. May be called again.

        It is needed because a task in another process has counted nothing here, and a task that was retried has counted
        twice.
        """
        with self._lock:
            self._done[item] = (records, log_bytes)

    def restart(self, *items: Hashable) -> None:
        """Forget the figures of earlier attempts at these partitions or bins."""
        with self._lock:
            for item in items:
                self._done.pop(item, None)

    def figures(self) -> tuple[int, int]:
        """(records, log bytes) of all partitions and bins together."""
        with self._lock:
            return sum(one[0] for one in self._done.values()), sum(one[1] for one in self._done.values())

    def percent(self) -> float:
        """The part of the log bytes that is done, in percent. 0.0 while the total is not known. At most 99.9 until
        `is_done`, because the total of a backup is an estimate: the size of the partitions on the brokers, or the
        number of offsets if the brokers report no sizes."""
        if self.is_done:
            return 100.0
        _, log_bytes = self.figures()
        return min(99.9, round(100 * log_bytes / self.total_bytes, 1)) if self.total_bytes else 0.0

    def text(self) -> str:
        """The figures in one line."""
        records, log_bytes = self.figures()
        return f"{size_text(log_bytes)} of about {size_text(self.total_bytes)}, {counted(records, 'record')}"


@contextmanager
def progress_artifact(counter: ProgressCounter, title: str, flow_run: str) -> Iterator[None]:
    """Keep one progress artifact of the flow run up to date while the body runs.

    It never delays or fails the body. If the server does not answer, the next update tries again.
    """
    artifact = _ProgressArtifact(counter, title, UUID(flow_run))
    done = threading.Event()
    thread = threading.Thread(
        target=copy_context().run, args=(artifact.keep, done), name="progress-artifact", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(INTERVAL_S)  # a request can hang, and the run does not wait for it


@dataclass
class _ProgressArtifact:
    counter: ProgressCounter
    title: str
    flow_run: UUID
    _id: UUID | None = None

    def keep(self, done: threading.Event) -> None:
        """Write the artifact now, after every interval, and once more at the end. One client is used for all of
        this."""
        with single_try_client() as client:
            self._try_to_write(client)
            while not done.wait(INTERVAL_S):
                self._try_to_write(client)
            self._try_to_write(client)

    def _try_to_write(self, client: SyncPrefectClient) -> None:
        try:
            self._write(client)
        except Exception as error:  # the client can raise any error, and no run fails because of its progress bar
            _log.debug("The progress artifact was not written: %r", error)

    def _write(self, client: SyncPrefectClient) -> None:
        percent, description = self.counter.percent(), f"{self.title}: {self.counter.text()}"
        if self._id is None:
            created = client.create_artifact(
                ArtifactCreate(type="progress", description=description, data=percent, flow_run_id=self.flow_run)
            )
            self._id = created.id
        else:
            client.update_artifact(self._id, ArtifactUpdate(data=percent, description=description))
