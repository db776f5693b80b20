"""The flow that checks, before a backup or a restore, whether it can run, and the texts of its form in Prefect's UI."""

from __future__ import annotations

from typing import Annotated, Any

from prefect import flow
from prefect.client.schemas.objects import State

from flows.parameters import (
    ALL_TOPICS,
    DEFAULT_BACKUP_OPTIONS,
    DEFAULT_RESTORE_OPTIONS,
    BackupOptionsParam,
    PointParam,
    RepositoryName,
    RestoreOptionsParam,
    TopicsParam,
    form_field,
)
from tasks.check import check_cluster, check_job, check_store
from tasks.flow_support.check_report import report_check
from tasks.flow_support.check_work import JobKind, open_check
from tasks.flow_support.fan_out import THREADS
from tasks.flow_support.run_names import run_name

CheckedCluster = Annotated[
    str, form_field("Cluster", "Name of the KafkaCluster block of the cluster to back up, or to restore into.")
]
CheckedJob = Annotated[
    JobKind,
    form_field("Job", "The job whose needs are checked: a backup of the cluster, or a restore into it."),
]


@flow(name="check", flow_run_name=run_name, task_runner=THREADS, persist_result=False)
def check(
    backup_id: PointParam,
    cluster: CheckedCluster,
    repository: RepositoryName,
    job: CheckedJob = "backup",
    topics: TopicsParam = ALL_TOPICS,
    backup_options: BackupOptionsParam = DEFAULT_BACKUP_OPTIONS,
    restore_options: RestoreOptionsParam = DEFAULT_RESTORE_OPTIONS,
) -> State[Any]:
    """Check that the cluster and the repository are as a backup or a restore needs them. The objects that the check
    writes to the store are deleted again.

    If something is missing, the run ends as `Failed`; if something could not be checked, as `Partial`. Its artifacts
    have a row for each item, with what to do.
    """
    with open_check(job, backup_id, cluster, repository, topics, backup_options, restore_options) as work:
        on_cluster = check_cluster.submit(work)
        on_store = check_store.submit(work)
        of_job = check_job.submit(work, on_cluster, on_store, return_state=False)
        return report_check(work, [*on_cluster.result(), *on_store.result(), *of_job.result()])
