"""A run under its set's lease, from before it plans until it has its point or is voided."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from tasks.engine.capture.capture_result import CapturedBin
from tasks.engine.commit.commit import commit_snapshot, void_run
from tasks.model.errors import PreconditionError
from tasks.repository.entries import PointEntry
from tasks.repository.leases import Lease, acquire, kept
from tasks.repository.names import capture_lease_key
from tasks.repository.plans import Plan
from tasks.repository.repository import Repository


@contextmanager
def run_lease(
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
