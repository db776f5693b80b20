"""A snapshot in one process: lease, void what died, plan, capture the bins side by side, commit."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tasks.engine.capture.capture_ranges import capture_bin
from tasks.engine.capture.capture_result import CapturedBin
from tasks.engine.commit.runs import commit_or_void, run_lease
from tasks.engine.progress import Progress, silent
from tasks.engine.source.snapshot_plan import SnapshotRequest, plan_snapshot
from tasks.engine.workers import results_or_first_error
from tasks.repository.entries import PointEntry
from tasks.repository.plans import Plan
from tasks.repository.repository import Repository


def snapshot(
    repository: Repository,
    request: SnapshotRequest,
    *,
    workers: int,
    stop: threading.Event,
    planned: Callable[[Plan], None] = lambda plan: None,
    waiting: Callable[[str], None] = lambda owner: None,
    progress: Progress = silent,
) -> tuple[PointEntry, list[CapturedBin]]:
    """Make one point of the set. Raises `LockedError` when another writer is at it, `InterruptedRunError` on `stop`;
    then, as after any other error, there is no point of this run, and the next run voids what is left of it."""
    with run_lease(repository, request.set_name, request.run, stop=stop, waiting=waiting):
        plan = plan_snapshot(repository, request, stop=stop)
        planned(plan)
        captured = capture_bins(repository, plan, request, workers=workers, stop=stop, progress=progress)
        return commit_or_void(repository, plan, captured), captured


def capture_bins(
    repository: Repository,
    plan: Plan,
    request: SnapshotRequest,
    *,
    workers: int,
    stop: threading.Event,
    progress: Progress,
) -> list[CapturedBin]:
    """All bins of the plan by `workers` threads."""
    with ThreadPoolExecutor(max_workers=workers, thread_name_prefix="capture") as pool:
        futures = [
            pool.submit(capture_bin, repository, plan, number, request.connection, stop=stop, progress=progress)
            for number in range(len(plan.bins))
        ]
        return results_or_first_error(futures, stop)
