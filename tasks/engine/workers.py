"""Runs work in several threads of one process. After the first error no further work begins."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TypeVar

T = TypeVar("T")
WorkT = TypeVar("WorkT")


def run_all(work: Callable[[WorkT], T], items: Iterable[WorkT], workers: int, stop: threading.Event) -> list[T]:
    """Call `work` on every item, in at most `workers` threads. Returns the results in the order of the items.

    After the first error no further work begins, and `stop` is set so that the running work ends early. The error is
    raised when all threads have ended.
    """
    with ThreadPoolExecutor(max_workers=workers, thread_name_prefix="worker") as pool:
        futures = [pool.submit(work, item) for item in items]
        try:
            for future in as_completed(futures):
                future.result()
        except BaseException:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        return [future.result() for future in futures]
