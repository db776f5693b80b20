"""A continuous backup by a flow: the lease that the flow holds, and the cycles that it hands to tasks."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from prefect.logging import get_run_logger

from tasks.engine.bins import BINS_PER_WORKER
from tasks.engine.commit.runs import lease_of_cycles
from tasks.engine.continuous import STOP_GRACE_S, can_pass, plan_cycle, stopped_after_grace
from tasks.engine.options import BackupOptions, TopicSelection, duration_ms
from tasks.engine.run_context import ClusterContext
from tasks.engine.source.snapshot_plan import SnapshotRequest
from tasks.flow_support.backup_work import BackupWork, report_finished_run
from tasks.flow_support.flow_run_cache import FlowRunCache, flow_run_cache, stop_on_failure
from tasks.flow_support.open_flow import open_flow
from tasks.flow_support.wiring import cluster_access
from tasks.model.errors import KafkaBackupError
from tasks.reports.backup import failed_cycle_text, full_run_text
from tasks.repository.leases import Lease
from tasks.repository.names import check_set_name
from tasks.repository.plans import Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Cycles:
    """The cycles of one flow run. Iterate over them once: each has a stored plan, and the caller commits it before it
    takes the next. They end when `ending` is set or the time of the run is over (`until`, a time of
    `time.monotonic`)."""

    template: BackupWork
    context: ClusterContext
    lease: Lease
    request: SnapshotRequest
    ending: threading.Event
    cycle_s: float
    until: float

    def __iter__(self) -> Iterator[BackupWork]:
        while not self.ending.is_set() and time.monotonic() < self.until:
            began = time.monotonic()
            plan = self._plan()
            if plan is not None:
                yield replace(self.template, run=plan.run)
            due = min(began + self.cycle_s, self.until)
            self.ending.wait(max(0.0, due - time.monotonic()))

    def _plan(self) -> Plan | None:
        """The plan of the next cycle. None if it has no news, or could not be made for a reason that can pass."""
        workers = self.request.options.max_concurrent_partitions
        try:
            plan = plan_cycle(self.context, self.lease, self.request, workers=workers, finished=report_finished_run)
        except KafkaBackupError as error:
            if not can_pass(error):
                raise
            get_run_logger().warning("%s: %s", self.request.set_name, failed_cycle_text(error))
            return None
        if plan is not None and plan.kind == "snapshot":
            get_run_logger().info("%s", full_run_text(plan))
        return plan


@contextmanager
def open_continuous(
    backup_id: str,
    source: str,
    repository_name: str,
    topics: TopicSelection,
    options: BackupOptions,
    *,
    cycle_s: float,
    run_for: str | None,
) -> Iterator[Cycles]:
    """Hold the lease of the set while the body runs cycles. Waits for another writer of the set. A missing repository
    is created. If the body raises, also because the flow run is cancelled, the open cycle commits what it has read.

    Raises `ConfigError` for a wrong name, `LockedError` if another writer takes the lease later, and what `open_flow`
    raises.
    """
    set_name = check_set_name(backup_id)
    until = float("inf") if run_for is None else time.monotonic() + duration_ms(run_for) / 1000
    request = _request(set_name, topics, options)
    with open_flow(repository_name, source, first_backup=request) as flow, stop_on_failure(flow.cache.stop):
        ending = _ending(flow.cache)
        context = flow.cache.run_context(flow.repository).on(cluster_access(flow.flow_run, source))
        with (
            lease_of_cycles(context, set_name, ending=ending, waiting=_report_wait) as lease,
            stopped_after_grace(ending, context.stop),
            _committed_cycle(flow.cache),
        ):
            yield Cycles(
                template=BackupWork(flow.flow_run, source, flow.repository_name, set_name, run="", is_incremental=True),
                context=context,
                lease=lease,
                request=request,
                ending=ending,
                cycle_s=cycle_s,
                until=until,
            )


@contextmanager
def open_cycle(work: BackupWork) -> Iterator[threading.Event]:
    """For the task of a cycle: the event that ends it early. In the flow's process the flow waits for the body."""
    cache = flow_run_cache(work.flow_run)
    with _lock(cache):
        yield _ending(cache)


@contextmanager
def _committed_cycle(cache: FlowRunCache) -> Iterator[None]:
    """At the end of the body, however it ends, let the cycle that runs in this process commit what it has read."""
    try:
        yield
    finally:
        _ending(cache).set()
        if _lock(cache).acquire(timeout=2 * STOP_GRACE_S):
            _lock(cache).release()


def _ending(cache: FlowRunCache) -> threading.Event:
    return cache.cached("ending of cycles", threading.Event)


def _lock(cache: FlowRunCache) -> threading.Lock:
    return cache.cached("open cycle", threading.Lock)


def _request(set_name: str, topics: TopicSelection, options: BackupOptions) -> SnapshotRequest:
    """`plan_cycle` gives each cycle its run."""
    most_bins = options.max_concurrent_partitions * BINS_PER_WORKER
    return SnapshotRequest(set_name=set_name, run="", topics=topics, options=options, most_bins=most_bins)


def _report_wait(owner: str) -> None:
    get_run_logger().info("Another writer (%s) has the set's lease. This run takes over when it ends.", owner)
