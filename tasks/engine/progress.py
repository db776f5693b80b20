"""Progress: what the engine tells whoever watches."""

from __future__ import annotations

from typing import Protocol

from tasks.model.partition import Partition


class Progress(Protocol):
    """Called from worker threads, often; must be quick and must not raise."""

    def __call__(self, partition: Partition, *, records: int, log_bytes: int) -> None:
        """`records` and `log_bytes` more of `partition` are done."""
        ...


def silent(partition: Partition, *, records: int, log_bytes: int) -> None:
    """A progress that tells nobody."""
