"""Progress: how the engine reports the records and bytes that are done."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

from tasks.model.partition import Partition


class Progress(Protocol):
    """Receives the progress of a run. It is called often, from several worker threads, so it has to be fast and must
    not raise."""

    def __call__(self, partition: Partition, *, records: int, log_bytes: int) -> None:
        """Report that `records` and `log_bytes` more of `partition` are done."""
        ...


def silent(partition: Partition, *, records: int, log_bytes: int) -> None:
    """A `Progress` that reports nothing."""


def noting_first(progress: Progress, note: Callable[[], None]) -> Progress:
    """The same progress, which calls `note` once, before the first report."""
    is_first = threading.Lock()

    def report(partition: Partition, *, records: int, log_bytes: int) -> None:
        if is_first.acquire(blocking=False):
            note()
        progress(partition, records=records, log_bytes=log_bytes)

    return report
