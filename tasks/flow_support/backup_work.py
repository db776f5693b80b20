"""A backup by a flow: the names and ids that its tasks receive, and the lease that the flow holds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from prefect.logging import get_run_logger

from tasks.engine.backup_steps import FinishedRun, finisher
from tasks.engine.commit.runs import run_lease
from tasks.engine.options import BackupOptions
from tasks.engine.run_context import ClusterContext
from tasks.flow_support.bin_tasks import BinTask
from tasks.flow_support.flow_run_cache import stop_on_failure
from tasks.flow_support.open_flow import open_flow
from tasks.flow_support.progress_artifact import progress_artifact
from tasks.flow_support.wiring import cluster_access, now_ms
from tasks.reports.backup import finished_run_text
from tasks.repository.names import check_set_name, new_run_id


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


@contextmanager
def open_backup(
    backup_id: str, source: str, repository_name: str, options: BackupOptions, *, is_incremental: bool = False
) -> Iterator[BackupWork]:
    """A new run of the backup set. Its lease is held while the body plans, captures and commits. A run that died is
    finished before, within the limits of `options`. A missing repository is created. If the body raises, the run's
    stop event is set.

    Raises `ConfigError` for a wrong name, `LockedError` if another writer holds the lease, and what `open_flow` raises.
    """
    set_name, run = check_set_name(backup_id), new_run_id(now_ms())

    def log_wait(owner: str) -> None:
        get_run_logger().info("Another writer (%s) holds the set's lease; waiting to see whether it is alive.", owner)

    with (
        open_flow(repository_name, source, create=True) as flow,
        progress_artifact(flow.cache.counter, f"Backing up {backup_id}", flow.flow_run),
    ):
        context = flow.cache.run_context(flow.repository)

        def finish(earlier: str, begun_after: int | None) -> None:
            on_cluster = ClusterContext(
                repository=context.repository,
                stop=context.stop,
                progress=context.progress,
                cluster=cluster_access(flow.flow_run, source),
            )
            finisher(
                on_cluster,
                set_name,
                workers=options.max_concurrent_partitions,
                max_bytes_per_second=options.max_bytes_per_second,
                finished=_report_finished,
            )(earlier, begun_after)

        with (
            run_lease(context, set_name, run, waiting=log_wait, finish=finish),
            stop_on_failure(flow.cache.stop),
        ):
            yield BackupWork(flow.flow_run, source, flow.repository_name, set_name, run, is_incremental)


def _report_finished(run: FinishedRun) -> None:
    get_run_logger().info("%s", finished_run_text(run))
