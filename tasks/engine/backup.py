"""A snapshot in one process: lease, void what died, plan, capture the bins side by side, commit."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from typing import TypeVar

from tasks.engine.capture import capture_bin
from tasks.engine.captured import CapturedBin
from tasks.engine.commit import commit_snapshot, void_run
from tasks.engine.plan import SnapshotRequest, plan_snapshot
from tasks.engine.progress import Progress, silent
from tasks.model.errors import PreconditionError
from tasks.repository.entries import PointEntry
from tasks.repository.leases import Lease, acquire, kept
from tasks.repository.names import capture_lease_key
from tasks.repository.plans import Plan
from tasks.repository.repository import Repository

T = TypeVar("T")

BINS_PER_WORKER = 4
"""The command shows no tasks, so a few bins per worker balance the load and pack small partitions together."""


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
    with held_run(repository, request.set_name, request.run, stop=stop, waiting=waiting):
        plan = plan_snapshot(repository, request, stop=stop)
        planned(plan)
        captured = capture_bins(repository, plan, request, workers=workers, stop=stop, progress=progress)
        return commit_or_void(repository, plan, captured), captured


@contextmanager
def held_run(
    repository: Repository,
    set_name: str,
    run: str,
    *,
    stop: threading.Event,
    waiting: Callable[[str], None] = lambda owner: None,
) -> Iterator[None]:
    """The set's lease for this run while the body plans, captures and commits; a run that died before it is voided.

    Raises `LockedError` when another writer has the lease, and when it takes it from the body, which `stop` then ends.
    """
    lease = acquire(repository.store, capture_lease_key(set_name), stop=stop, waiting=waiting)
    with kept(lease, stop):
        open_run(repository, lease, set_name, run)
        yield


def commit_or_void(repository: Repository, plan: Plan, captured: Sequence[CapturedBin]) -> PointEntry:
    """The point of the run; a run whose set has moved on can never have one, and is voided."""
    try:
        return commit_snapshot(repository, plan, captured)
    except PreconditionError as error:
        void_run(repository, plan.set, plan.run, str(error))
        raise


def open_run(repository: Repository, lease: Lease, set_name: str, run: str) -> None:
    """Void the run that the lease still names, if it died open, then enter this one. Call it before planning."""
    earlier = lease.record.run
    if earlier is not None and repository.log(set_name).state().is_open(earlier):
        void_run(repository, set_name, earlier, "its writer ended without a point")
    lease.renew(run=run)


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


def results_or_first_error(futures: Sequence[Future[T]], stop: threading.Event) -> list[T]:
    """The results in order. On the first error `stop` is set, so that the other workers end, and it is raised."""
    try:
        for future in as_completed(futures):
            future.result()
    except BaseException:
        stop.set()
        raise
    return [future.result() for future in futures]
