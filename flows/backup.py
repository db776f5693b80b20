"""The flows that make restore points: by a snapshot, or by an incremental run. A run ends as `Skipped` if another
writer holds the set's lease."""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from flows.parameters import (
    ALL_TOPICS,
    DEFAULT_BACKUP_OPTIONS,
    BackupOptionsParam,
    BackupSetName,
    RepositoryName,
    SourceCluster,
    TopicsParam,
)
from tasks.backup import capture_bin, commit_backup, plan_backup
from tasks.engine.options import BackupOptions, TopicSelection
from tasks.flow_support.backup_report import report_backup, report_backup_plan, report_captured_bin
from tasks.flow_support.backup_work import open_backup
from tasks.flow_support.fan_out import THREADS, fan_out
from tasks.flow_support.run_names import run_name
from tasks.flow_support.states import skipped
from tasks.model.errors import LockedError


@flow(
    name="snapshot-backup",
    flow_run_name=run_name,
    task_runner=THREADS,
    persist_result=False,
)
def snapshot_backup(
    backup_id: BackupSetName,
    source: SourceCluster,
    repository: RepositoryName,
    topics: TopicsParam = ALL_TOPICS,
    options: BackupOptionsParam = DEFAULT_BACKUP_OPTIONS,
) -> State[Any]:
    """Make one restore point of a cluster's topics with their settings, and, if configured, of the positions of
    consumer groups.

    The flow plans, reads every partition up to the end that it had at plan time, several at the same time, and commits.
    The restore point exists when the commit has ended, and not before. If another run holds the backup set, this run
    ends as `Skipped`. If something is missing in the point, it ends as `Partial`.
    """
    return _back_up(backup_id, source, repository, topics, options, is_incremental=False)


@flow(
    name="incremental-backup",
    flow_run_name=run_name,
    task_runner=THREADS,
    persist_result=False,
)
def incremental_backup(
    backup_id: BackupSetName,
    source: SourceCluster,
    repository: RepositoryName,
    topics: TopicsParam = ALL_TOPICS,
    options: BackupOptionsParam = DEFAULT_BACKUP_OPTIONS,
) -> State[Any]:
    """Make one restore point of everything that the newest one contains, and of everything that is new since then.

    The flow plans, reads the partitions that have something new, one task for each, and commits. The first run of a set
    reads everything, and so does a run for which a new base is due. A run that died is finished first. If another run
    holds the backup set, this one ends as `Skipped`. If something is missing in the point, it ends as `Partial`.
    """
    return _back_up(backup_id, source, repository, topics, options, is_incremental=True)


def _back_up(
    backup_id: str,
    source: str,
    repository: str,
    topics: TopicSelection,
    options: BackupOptions,
    *,
    is_incremental: bool,
) -> State[Any]:
    try:
        with open_backup(backup_id, source, repository, topics, options, is_incremental=is_incremental) as work:
            planning = plan_backup.submit(work, topics, options)
            planned = report_backup_plan(work, planning.result())
            captured = fan_out(
                lambda bin_task: capture_bin.submit(work, bin_task, return_state=False, wait_for=[planning]),
                planned.bin_tasks,
                width=options.max_concurrent_partitions,
                finished=lambda bin_: report_captured_bin(work, bin_),
            )
            after = () if captured.futures else (planning,)
            taken = commit_backup.submit(work, captured.futures, return_state=False, wait_for=after)
            return report_backup(work, captured.results, taken.result())
    except LockedError as error:
        return skipped(f"{backup_id}: {error}")
