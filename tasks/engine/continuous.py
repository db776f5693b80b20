"""A continuous backup: one process holds the set's lease and makes one point after another.

Each cycle is an incremental run: it compares the cluster with the newest point, and reads and commits what is new. If
nothing is new, there is a point only every `HEARTBEAT_MS`: its time shows that the backup still runs. A cycle whose
process died is finished by the next process, as every run is. The command runs all cycles in one process; a flow runs
each of them as a task.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from tasks.engine.backup_steps import FinishedRun, capture_bins, commit_run, finisher
from tasks.engine.bins import BIN_BYTES
from tasks.engine.capture.capture_result import CaptureResult
from tasks.engine.commit.runs import begin_run, close_earlier_run, lease_of_cycles
from tasks.engine.freed_memory import give_back_freed_memory
from tasks.engine.run_context import ClusterContext
from tasks.engine.source.incremental_plan import draft_of_news, is_base_due, read_news
from tasks.engine.source.snapshot_plan import SnapshotRequest, plan_snapshot
from tasks.model.errors import (
    InterruptedRunError,
    KafkaBackupError,
    NothingCapturedError,
    PreconditionError,
    RunClosedError,
)
from tasks.repository.leases import Lease
from tasks.repository.names import new_run_id
from tasks.repository.plans import Plan, write_plan
from tasks.repository.restore_point import RestorePoint

HEARTBEAT_MS = 15 * 60_000
"""At this age of the newest point, a cycle makes a point although nothing is new."""

STOP_GRACE_S = 6.0
"""When the backup is ended, the open cycle has this many seconds to commit what it has read. Then it is interrupted,
and the next process finishes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cycle:
    """A cycle that has a point: its plan, its point, and what it captured."""

    plan: Plan
    point: RestorePoint
    captured: list[CaptureResult]

    @property
    def records(self) -> int:
        """The number of records that it read."""
        return sum(one.records for bin_ in self.captured for one in bin_.ranges)


def _ignore(_value: object) -> None:
    """Report nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleReports:
    """The functions that a continuous backup calls. `waiting`: another writer holds the lease. `planned`: a cycle has a
    plan. `committed`: it has its point. `finished`: the cycle of a dead process has its point. `failed`: a cycle
    failed, and the next one tries again."""

    waiting: Callable[[str], None] = _ignore
    planned: Callable[[Plan], None] = _ignore
    committed: Callable[[Cycle], None] = _ignore
    finished: Callable[[FinishedRun], None] = _ignore
    failed: Callable[[KafkaBackupError], None] = _ignore


def back_up_continuously(
    context: ClusterContext,
    request: SnapshotRequest,
    *,
    cycle_ms: int,
    ending: threading.Event,
    workers: int,
    reports: CycleReports,
) -> None:
    """Make points of the set, one every `cycle_ms` that has news, until `ending` is set. The set's run ids are made
    here; that of the request is not used.

    After `ending` the open cycle commits what it has read. A base that is being read is left open instead, and the next
    run goes on with it. For an end in bounded time see `stopped_after_grace`. A cycle that fails and can succeed later
    is tried again. Raises `LockedError` if another writer takes the lease, and every other error.
    """
    try:
        with lease_of_cycles(context, request.set_name, ending=ending, waiting=reports.waiting) as lease:
            while not ending.is_set():
                began = context.clock()
                _try_cycle(context, lease, request, ending=ending, workers=workers, reports=reports)
                ending.wait(max(0.0, cycle_ms / 1000 - (context.clock() - began)))
    except InterruptedRunError:
        if not ending.is_set():
            raise


def plan_cycle(
    context: ClusterContext,
    lease: Lease,
    request: SnapshotRequest,
    *,
    workers: int,
    finished: Callable[[FinishedRun], None],
) -> Plan | None:
    """Finish or void the run in the lease if it is open. Then store the plan of the next cycle and return it. None if
    nothing is new and no heartbeat is due.

    The plan is of a snapshot if the set has no point, or if a new base is due. Raises as `plan_snapshot`.
    """
    give_back_freed_memory()
    repository, set_name = context.repository, request.set_name
    finish = finisher(context, request, workers=workers, finished=finished)
    state = close_earlier_run(repository, set_name, lease, finish)
    request = replace(request, run=new_run_id(repository.now_ms()))
    if is_base_due(state, request.options.full_every, repository.now_ms()):
        begin_run(lease, request.run, state)
        return plan_snapshot(context, request)
    assert state.newest_point is not None
    newest = repository.log(set_name).point(state.newest_point)
    news = read_news(context, request, newest)
    if news.is_empty and repository.now_ms() - newest.entry.time_ms < HEARTBEAT_MS:
        return None
    begin_run(lease, request.run, state)
    total_bytes = sum(part.bytes for part in news.planned)
    request = replace(request, most_bins=most_bins_of_cycle(total_bytes, request.most_bins, workers))
    return write_plan(repository.store, draft_of_news(context, request, news, kind="continuous"))


def most_bins_of_cycle(total_bytes: int, most_bins: int, workers: int) -> int:
    """The largest number of bins of a cycle: one for each worker, or for each `BIN_BYTES` if that is more. Every bin
    makes an object in every cycle, however little there is to read, so more bins would make many small objects. Fewer
    bins would make larger objects, and each worker has one in memory. Pure."""
    return min(most_bins, max(workers, -(-total_bytes // BIN_BYTES)))


def run_cycle(context: ClusterContext, plan: Plan, *, ending: threading.Event, workers: int) -> Cycle:
    """Capture the ranges of the plan and commit the point. May be called again. If `ending` is set, the point ends
    where the capture ended; a snapshot raises `InterruptedRunError` instead. Raises as `back_up_locally`."""
    captured = capture_bins(context, plan, workers=workers, ending=ending)
    if plan.kind == "snapshot" and any(result.is_cut_short for result in captured):
        raise InterruptedRunError(f"The run {plan.run} was ended early. The next run of the set goes on with it.")
    return Cycle(plan=plan, point=commit_run(context.repository, plan, captured), captured=captured)


@contextmanager
def stopped_after_grace(ending: threading.Event, stop: threading.Event) -> Iterator[None]:
    """Set `stop` if the body is still running `STOP_GRACE_S` after `ending` was set."""
    done = threading.Event()

    def watch() -> None:
        ending.wait()
        if not done.wait(STOP_GRACE_S):
            stop.set()

    threading.Thread(target=watch, name="end-of-cycles", daemon=True).start()
    try:
        yield
    finally:
        done.set()


def _try_cycle(
    context: ClusterContext,
    lease: Lease,
    request: SnapshotRequest,
    *,
    ending: threading.Event,
    workers: int,
    reports: CycleReports,
) -> None:
    try:
        plan = plan_cycle(context, lease, request, workers=workers, finished=reports.finished)
        if plan is not None:
            reports.planned(plan)
            reports.committed(run_cycle(context, plan, ending=ending, workers=workers))
    except KafkaBackupError as error:
        if not can_pass(error):
            raise
        reports.failed(error)


def can_pass(error: KafkaBackupError) -> bool:
    """Whether the next cycle can succeed although this one failed."""
    return error.retryable or isinstance(error, (NothingCapturedError, PreconditionError, RunClosedError))
