"""The life of a run: take the set's lease, void an earlier run that died, begin the new run, void it if it fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tasks.engine.run_context import RunContext
from tasks.model.errors import RunClosedError
from tasks.repository.entries import AnyEntry, VoidEntry
from tasks.repository.leases import Lease, acquire, kept
from tasks.repository.names import capture_lease_key
from tasks.repository.repository import Repository
from tasks.repository.set_state import SetState


@contextmanager
def run_lease(
    context: RunContext,
    set_name: str,
    run: str,
    *,
    waiting: Callable[[str], None] = lambda owner: None,
) -> Iterator[None]:
    """Hold the set's lease while the body plans, captures and commits. Before the body, void an earlier run that died.

    `waiting` is called with the owner of the lease if this run has to wait to see whether the owner is alive. Raises
    `LockedError` if another writer holds the lease, or takes it while the body runs; then `context.stop` is set.
    """
    repository, stop = context.repository, context.stop
    key = capture_lease_key(set_name)
    lease = acquire(repository.store, key, stop=stop, clock=context.clock, waiting=waiting)
    with kept(lease, stop):
        earlier = earlier_open_run(repository, lease, set_name)
        if earlier is not None:
            void_run(repository, set_name, earlier, "its writer ended without a point")
        begin_run(lease, run)
        yield


def earlier_open_run(repository: Repository, lease: Lease, set_name: str) -> str | None:
    """The run that the lease names, if it is still open: its writer died. None if there is no such run."""
    run = lease.record.run
    return run if run is not None and repository.log(set_name).state().is_open(run) else None


def begin_run(lease: Lease, run: str) -> None:
    """Write the run into the lease, so that the next owner of the lease finds the run if this writer dies.

    Call it before the run plans, and after the earlier run was voided or finished. A crash in between loses nothing.
    """
    lease.renew(run=run)


def void_run(repository: Repository, set_name: str, run: str, reason: str) -> None:
    """Append a void, so that the run can never commit. Does nothing if the run already has its point or its void."""

    def build(state: SetState) -> AnyEntry:
        check_open(state, run)
        return VoidEntry(
            **repository.next_entry(set_name, state), newest_point=state.newest_point, run=run, reason=reason
        )

    try:
        repository.log(set_name).append(build)
    except RunClosedError:
        return


def check_open(state: SetState, run: str) -> None:
    """Raises `RunClosedError` if the log contains a point or a void of the run."""
    if not state.is_open(run):
        point_seq = state.closed_runs[run]
        closed_by = "was voided" if point_seq is None else f"is already point {point_seq}"
        raise RunClosedError(f"The run {run} {closed_by}.", point_seq=point_seq)
