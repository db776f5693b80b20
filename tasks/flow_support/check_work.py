"""A check by a flow: the names and the job that its tasks receive, and what each process opens for them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from prefect.runtime import flow_run

from tasks.config.check_context import check_context
from tasks.engine.bins import BINS_PER_WORKER
from tasks.engine.check import CheckContext
from tasks.engine.checks.jobs import BackupJob, CheckJob, RestoreJob
from tasks.engine.options import BackupOptions, RestoreOptions, TopicSelection
from tasks.engine.target.restore_plan import RestoreRequest
from tasks.flow_support.block_loading import blocks_loaded_once
from tasks.flow_support.flow_run_cache import flow_process, flow_run_cache, stop_on_failure
from tasks.flow_support.wiring import cluster_section, now_ms, repository_reference, storage_section
from tasks.repository.names import check_set_name, new_run_id
from tasks.repository.points import PointReference

JobKind = Literal["backup", "restore"]


@dataclass(frozen=True, slots=True)
class CheckWork:
    """The check that a task works for: the flow run, the names of its blocks, and the job whose needs are checked."""

    flow_run: str
    cluster: str
    repository: str
    job: CheckJob


@contextmanager
def open_check(
    kind: JobKind,
    backup_id: str,
    cluster: str,
    repository_name: str,
    topics: TopicSelection,
    backup_options: BackupOptions,
    restore_options: RestoreOptions,
) -> Iterator[CheckWork]:
    """A check. Neither the repository nor the cluster is opened here, because a failure to open them is a row.

    Raises `ConfigError` for a wrong name, and for a block that does not exist or is not valid.
    """
    job: CheckJob
    if kind == "backup":
        job = BackupJob(set_name=check_set_name(backup_id), topics=topics, options=backup_options)
    else:
        request = RestoreRequest(
            restore=new_run_id(now_ms()),
            topics=topics,
            options=restore_options,
            most_bins=restore_options.max_concurrent_partitions * BINS_PER_WORKER,
        )
        job = RestoreJob(reference=PointReference.parse(backup_id), request=request)
    run = str(flow_run.id)
    with flow_process(run) as cache, stop_on_failure(cache.stop):
        with blocks_loaded_once():
            work = CheckWork(run, cluster, repository_reference(repository_name), job)
            context_of(work)
        yield work


def context_of(work: CheckWork) -> CheckContext:
    """What the steps of the check open. Each process loads the blocks once."""
    cache = flow_run_cache(work.flow_run)

    def loaded() -> CheckContext:
        return check_context(
            cluster_section(work.cluster), storage_section(work.repository), now_ms=now_ms, stop=cache.stop
        )

    return cache.cached("check", loaded)
