"""The life of a run: take the set's lease, finish or void the earlier run if it died, begin the new run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event

from tasks.engine.run_context import RunContext
from tasks.model.errors import LockedError, RunClosedError
from tasks.repository.entries import AnyEntry, PointEntry, VoidEntry
from tasks.repository.leases import Lease, acquire, kept
from tasks.repository.names import capture_lease_key
from tasks.repository.repository import Repository
from tasks.repository.set_log import SetLog
from tasks.repository.set_state import SetState

TAKEOVER_WAIT_S = 2.0
"""The pause before a continuous backup asks again for a lease that another writer renews."""


@contextmanager
def run_lease(
    context: RunContext,
    set_name: str,
    run: str,
    *,
    waiting: Callable[[str], None] = lambda owner: None,
    finish: Callable[[str, int | None], None] | None = None,
) -> Iterator[None]:
    """Hold the set's lease for this run while the body plans, captures and commits. If the earlier run died, it is
    finished first: `finish` is called with the run and its `begun_after`. If it is still open then, or without
    `finish`, it is voided.

    `waiting` is called with the owner of the lease if this run has to wait to see whether the owner is alive. Raises
    `LockedError` if another writer holds the lease, or takes it while the body runs; in the second case `context.stop`
    is set. Raises `InterruptedRunError` if `context.stop` is set during the wait.
    """
    repository, key = context.repository, capture_lease_key(set_name)
    lease = acquire(repository.store, key, stop=context.stop, clock=context.clock, waiting=waiting)
    with kept(lease, context.stop):
        begin_run(lease, run, close_earlier_run(repository, set_name, lease, finish))
        yield


@contextmanager
def lease_of_cycles(
    context: RunContext,
    set_name: str,
    *,
    ending: Event,
    waiting: Callable[[str], None] = lambda owner: None,
) -> Iterator[Lease]:
    """Hold the set's lease while the body runs one cycle after another. If another writer holds it, wait until that
    writer ends. `waiting` is called once with its owner.

    Raises `InterruptedRunError` if `ending` is set during the wait, and `LockedError` if another writer takes the lease
    while the body runs; then `context.stop` is set.
    """
    key, reported = capture_lease_key(set_name), set[str]()

    def report_once(owner: str) -> None:
        if owner not in reported:
            reported.add(owner)
            waiting(owner)

    while True:
        try:
            lease = acquire(context.repository.store, key, stop=ending, clock=context.clock, waiting=report_once)
            break
        except LockedError:
            ending.wait(TAKEOVER_WAIT_S)
    with kept(lease, context.stop):
        yield lease


def close_earlier_run(
    repository: Repository, set_name: str, lease: Lease, finish: Callable[[str, int | None], None] | None
) -> SetState:
    """Finish the run in the lease if its writer died, as `run_lease` describes, or void it. Returns the state of the
    set after that."""
    log = repository.log(set_name)
    state = log.state()
    earlier = earlier_open_run(log, lease, state)
    if earlier is None:
        return state
    begun_after = lease.record.begun_after
    if finish is not None:
        finish(earlier, begun_after)
    void_run(repository, set_name, earlier, "its writer ended without a point", begun_after=begun_after)
    return log.state()


def earlier_open_run(log: SetLog, lease: Lease, state: SetState) -> str | None:
    """The run in the lease if it is open in this state of the set: its writer died. None if it is closed."""
    run = lease.record.run
    if run is None or log.closing_of(run, state, begun_after=lease.record.begun_after) is not None:
        return None
    return run


def begin_run(lease: Lease, run: str, state: SetState) -> None:
    """Write the run into the lease, so that the next owner finds it if this writer dies. `state` is a state of the set
    that was read before, for example by this writer under the lease.

    Call it before the run is planned, and after the earlier run was voided or finished, so that a crash between the two
    steps loses nothing.
    """
    lease.enter_run(run, begun_after=state.seq)


def void_run(repository: Repository, set_name: str, run: str, reason: str, *, begun_after: int | None = None) -> None:
    """Make sure that the run can never commit. If the log has its point or its void, nothing is changed. For
    `begun_after` see `SetLog.closing_of`."""
    log = repository.log(set_name)

    def build(state: SetState) -> AnyEntry:
        check_open(log, state, run, begun_after=begun_after)
        return VoidEntry(**repository.next_change(set_name, state), run=run, reason=reason)

    try:
        log.append(build)
    except RunClosedError:
        return


def check_open(log: SetLog, state: SetState, run: str, *, begun_after: int | None) -> None:
    """Raises `RunClosedError` if the log has a point or a void of the run, up to the end of `state`."""
    seq = log.closing_of(run, state, begun_after=begun_after)
    if seq is None:
        return
    found = log.read_entry(seq)
    if found is not None and isinstance(found[0], PointEntry):
        raise RunClosedError(f"The run {run} has a point already: {log.set_name}@{seq}.", point_seq=seq)
    raise RunClosedError(f"The run {run} was voided by entry {seq} of the log of {log.set_name}.", point_seq=None)
