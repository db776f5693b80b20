"""A backup by a flow: the names and ids that its tasks receive, the tasks, figures and notes that follow from its plan,
and the lease that the flow holds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from prefect.logging import get_run_logger

from tasks.engine.backup_steps import FinishedRun, finisher
from tasks.engine.bins import MAX_BINS
from tasks.engine.commit.runs import run_lease
from tasks.engine.options import BackupOptions, TopicSelection
from tasks.engine.run_context import ClusterContext
from tasks.engine.source.snapshot_plan import SnapshotRequest
from tasks.flow_support.bin_tasks import BinTask, bin_tasks_of
from tasks.flow_support.flow_run_cache import stop_on_failure
from tasks.flow_support.open_flow import open_flow
from tasks.flow_support.progress_artifact import progress_artifact
from tasks.flow_support.task_context import task_context
from tasks.flow_support.wiring import cluster_access, now_ms
from tasks.reports.backup import finished_run_text, full_run_text, partitions_to_read
from tasks.repository.names import capture_lease_key, check_set_name, new_run_id
from tasks.repository.plans import Plan


@dataclass(frozen=True, slots=True)
class BackupWork:
    """The backup that a task works for: the flow run, the names of its blocks, the backup set and the run."""

    flow_run: str
    source: str
    repository: str
    set_name: str
    run: str
    is_incremental: bool = False


@dataclass(frozen=True, slots=True)
class PlannedBackup:
    """The work of a backup: a task for each bin, the number of partitions to read, and an estimate of the log bytes to
    read. `notes` are about the topic selection, and why an incremental backup reads everything."""

    bin_tasks: tuple[BinTask, ...]
    partitions: int
    log_bytes: int
    notes: tuple[str, ...] = ()


def planned_backup(work: BackupWork, plan: Plan) -> PlannedBackup:
    """The tasks, figures and notes of a plan. Pure."""
    bins = [[plan.partitions[index].source for index in bin_] for bin_ in plan.bins]
    is_full_run = work.is_incremental and plan.kind == "snapshot"
    return PlannedBackup(
        bin_tasks_of(bins),
        partitions_to_read(plan),
        sum(part.bytes for part in plan.partitions),
        (full_run_text(plan), *plan.notes) if is_full_run else tuple(plan.notes),
    )


@contextmanager
def open_backup(
    backup_id: str,
    source: str,
    repository_name: str,
    topics: TopicSelection,
    options: BackupOptions,
    *,
    is_incremental: bool = False,
) -> Iterator[BackupWork]:
    """A new run of the backup set. Its lease is held while the body plans, captures and commits. A run that died is
    finished before, with as many threads as `options` say. A missing repository is created after the backup could be
    planned. If the body raises, the run's stop event is set.

    Raises `ConfigError` for a wrong name, `LockedError` if another writer holds the lease, and what `open_flow` raises.
    """
    request = SnapshotRequest(
        set_name=check_set_name(backup_id), run=new_run_id(now_ms()), topics=topics, options=options, most_bins=MAX_BINS
    )
    set_name, run = request.set_name, request.run

    def log_wait(owner: str) -> None:
        get_run_logger().info("Another writer (%s) holds the set's lease; waiting to see whether it is alive.", owner)

    with (
        open_flow(repository_name, source, first_backup=request) as flow,
        progress_artifact(flow.cache.counter, f"Backing up {backup_id}", flow.flow_run),
    ):
        context = flow.cache.run_context(flow.repository).on(cluster_access(flow.flow_run, source))
        workers = options.max_concurrent_partitions
        finish = finisher(context, request, workers=workers, finished=report_finished_run)
        with (
            run_lease(context, set_name, run, waiting=log_wait, finish=finish),
            stop_on_failure(flow.cache.stop),
        ):
            yield BackupWork(flow.flow_run, source, flow.repository_name, set_name, run, is_incremental)


@contextmanager
def backup_context(work: BackupWork) -> Iterator[ClusterContext]:
    """The context of a task of the backup. Raises as `task_context`."""
    lease = capture_lease_key(work.set_name)
    with task_context(work.flow_run, work.repository, lease=lease, run=work.run) as context:
        yield context.run.on(cluster_access(work.flow_run, work.source))


def report_finished_run(run: FinishedRun) -> None:
    """Log what was adopted of a run that died."""
    get_run_logger().info("%s", finished_run_text(run))
