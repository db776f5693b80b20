"""Bins worked on side by side by the threads of one process."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future, as_completed
from typing import TypeVar

T = TypeVar("T")

BINS_PER_WORKER = 4
"""The command shows no tasks, so a few bins per worker balance the load and pack small partitions together."""


def results_or_first_error(futures: Sequence[Future[T]], stop: threading.Event) -> list[T]:
    """The results in order. On the first error `stop` is set, so that the other workers end, and it is raised."""
    try:
        for future in as_completed(futures):
            future.result()
    except BaseException:
        stop.set()
        raise
    return [future.result() for future in futures]
