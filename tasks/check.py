"""The tasks of a check. Each runs one step of the engine and returns its rows. None changes a topic, a group or an
object of the repository."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.engine import check as steps
from tasks.engine.checks.items import CheckItem
from tasks.flow_support.check_work import CheckWork, context_of
from tasks.flow_support.retries import repeatable_task


@repeatable_task("check cluster")
def check_cluster(work: CheckWork) -> list[CheckItem]:
    """Addresses, requests, authentication and limits of the cluster."""
    return steps.check_cluster(context_of(work), work.job)


@repeatable_task("check store")
def check_store(work: CheckWork) -> list[CheckItem]:
    """Rights, conditions, clock and space of the store, the repository and the point."""
    return steps.check_store(context_of(work), work.job)


@repeatable_task("check permissions and topics")
def check_job(work: CheckWork, cluster: Sequence[CheckItem], store: Sequence[CheckItem]) -> list[CheckItem]:
    """The ACLs and topics of the job, after the rows about the cluster and the store."""
    return steps.check_job(context_of(work), work.job, [*cluster, *store])
