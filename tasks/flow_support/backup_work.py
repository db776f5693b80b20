"""A backup by a flow: which one its tasks work for, and the lease that is held while they do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from prefect.logging import get_run_logger
from prefect.runtime import flow_run

from tasks.engine.commit.runs import run_lease
from tasks.flow_support.bin_tasks import BinTask
from tasks.flow_support.flow_run_cache import flow_process, stop_on_failure
from tasks.flow_support.progress_artifact import progress_artifact
from tasks.flow_support.wiring import cluster_access, now_ms, places, repository, repository_reference
from tasks.repository.names import check_set_name, new_run_id


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
    """What a backup will read: one bin for each task; and for people, how much there is."""

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
        places(work.flow_run, source, work.repository)  # so that no task has to load blocks from the server again
        cluster_access(work.flow_run, source)
        opened = repository(work.flow_run, work.repository, create=True)
        with (
            progress_artifact(cache.counter, f"Backing up {backup_id}", work.flow_run),
            run_lease(cache.run_context(opened), set_name, run, waiting=waiting),
            stop_on_failure(cache.stop),
        ):
            yield work
