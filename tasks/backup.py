"""The tasks of a backup. Each takes names and numbers, takes one step of the engine, and returns a small value."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from prefect.logging import get_run_logger
from prefect.runtime import flow_run

from tasks.engine.bins import MAX_BINS
from tasks.engine.capture.capture_ranges import capture_bin
from tasks.engine.capture.capture_result import CapturedBin
from tasks.engine.commit.completeness import NewPoint, describe_new_point
from tasks.engine.commit.runs import commit_or_void, run_lease
from tasks.engine.options import BackupOptions, TopicSelection
from tasks.engine.source.snapshot_plan import SnapshotRequest, plan_snapshot
from tasks.flow_support.bin_tasks import BinTask, bin_tasks_of
from tasks.flow_support.flow_run_cache import flow_process, stop_on_failure
from tasks.flow_support.progress_artifact import progress_artifact
from tasks.flow_support.retries import is_last_attempt, repeatable_task
from tasks.flow_support.states import with_state_name
from tasks.flow_support.task_context import TaskContext, task_context
from tasks.flow_support.wiring import connection, now_ms, places, repository, repository_reference
from tasks.model.errors import BrokerUnavailableError
from tasks.repository.names import capture_lease_key, check_set_name, new_run_id
from tasks.repository.plans import Plan, read_plan


@dataclass(frozen=True, slots=True)
class BackupWork:
    """Which backup a task works for: the flow run, the names of its blocks, the set and the run."""

    flow_run: str
    source: str
    repository: str
    set_name: str
    run: str


@dataclass(frozen=True, slots=True)
class PlannedBackup:
    """What a backup will read: a part for each task, and for people how much there is."""

    bin_tasks: tuple[BinTask, ...]
    partitions: int
    log_bytes: int


@contextmanager
def open_backup(backup_id: str, source: str, repository_name: str) -> Iterator[BackupWork]:
    """A new run of the set, whose lease is held while the body plans, captures and commits. Raises `LockedError`."""
    set_name, run = check_set_name(backup_id), new_run_id(now_ms())
    work = BackupWork(str(flow_run.id), source, repository_reference(repository_name), set_name, run)

    def waiting(owner: str) -> None:
        get_run_logger().info("Another writer (%s) has the set's lease; waiting to see whether it is alive.", owner)

    with flow_process(work.flow_run) as cache:
        places(work.flow_run, source, work.repository)  # so that nothing has to ask the server for blocks again
        connection(work.flow_run, source)
        opened = repository(work.flow_run, work.repository, create=True)
        with (
            progress_artifact(cache.counter, f"Backing up {backup_id}", work.flow_run),
            run_lease(opened, set_name, run, stop=cache.stop, waiting=waiting),
            stop_on_failure(cache.stop),
        ):
            yield work


@repeatable_task("plan")
def plan_backup(work: BackupWork, topics: TopicSelection, options: BackupOptions) -> PlannedBackup:
    """Decide what to read, and write it down. A plan of this run that is there already is kept."""
    request = SnapshotRequest(
        set_name=work.set_name,
        run=work.run,
        connection=connection(work.flow_run, work.source),
        topics=topics,
        options=options,
        most_bins=MAX_BINS,
    )
    with _task_context(work) as at:
        plan = plan_snapshot(at.repository, request, stop=at.stop)
    bin_tasks = bin_tasks_of([[plan.partitions[index].source for index in bin_] for bin_ in plan.bins])
    return PlannedBackup(bin_tasks, len(plan.partitions), sum(bin_task.bytes for bin_task in plan.partitions))


@repeatable_task("capture", run_name="{bin_task.label}")
def capture_part(work: BackupWork, bin_task: BinTask) -> CapturedBin:
    """Copy the partitions of one part into the repository. What an attempt leaves behind is named by nobody."""
    with _task_context(work) as at:
        plan = _plan(work, at)
        at.cache.counter.restart(*(plan.partitions[index].source for index in plan.bins[bin_task.number]))
        cluster = connection(work.flow_run, work.source)
        captured = capture_bin(at.repository, plan, bin_task.number, cluster, stop=at.stop, progress=at.progress)
    return _given_or_retried(captured)


@repeatable_task("commit")
def commit_backup(work: BackupWork, captured: Sequence[CapturedBin]) -> NewPoint:
    """Make what was captured count: the point, or nothing."""
    with _task_context(work) as at:
        plan = _plan(work, at)
        point = commit_or_void(at.repository, plan, captured)
        return describe_new_point(at.repository, plan, point, captured)


def _task_context(work: BackupWork) -> AbstractContextManager[TaskContext]:
    return task_context(work.flow_run, work.repository, lease=capture_lease_key(work.set_name), run=work.run)


def _plan(work: BackupWork, at: TaskContext) -> Plan:
    return at.cache.cached("plan", lambda: read_plan(at.repository.store, work.set_name, work.run))


def _given_or_retried(captured: CapturedBin) -> CapturedBin:
    """A partition whose broker did not come back in time gets the task's retries before the point does without it."""
    passing = [failure for failure in captured.failures if failure.is_passing]
    if passing and not is_last_attempt():
        raise BrokerUnavailableError(passing[0].reason)
    return with_state_name("Incomplete", captured.failures[0].reason, captured) if captured.failures else captured
