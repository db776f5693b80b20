"""Reports a check by a flow: log lines, artifacts, and the state in which it ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from prefect.client.schemas.objects import State
from prefect.logging import get_run_logger

from tasks.engine.checks.items import CheckItem
from tasks.engine.checks.jobs import BackupJob, CheckJob
from tasks.flow_support.artifacts import artifact_key, markdown, publish, table
from tasks.flow_support.check_work import CheckWork
from tasks.flow_support.states import completed, failed, partial
from tasks.reports.check import check_headline, check_rows, check_summary, open_questions, status_text


def report_check(work: CheckWork, items: Sequence[CheckItem]) -> State[Any]:
    """Publish the artifacts of a check. Returns the state that says whether the job can run."""
    log = get_run_logger()
    for item in items:
        if item.status != "ok":
            log.warning("%s: %s: %s: %s %s", status_text(item), item.subject, item.name, item.found, item.advice)
    title, headline = _title(work.job), check_headline(items)
    key = artifact_key("check", work.cluster, work.repository)
    publish(
        work.flow_run,
        table(f"{key}-items", check_rows(items), f"What a {title} needs, on {work.cluster} and {work.repository}"),
        markdown(key, check_summary(items, title), f"Check of {work.cluster} and {work.repository}"),
    )
    if any(item.stops_the_job for item in items):
        return failed(headline)
    return partial(headline, event="kafka-backup.check.incomplete") if open_questions(items) else completed(headline)


def _title(job: CheckJob) -> str:
    if isinstance(job, BackupJob):
        return f"backup to {job.set_name}"
    return f"restore of {job.reference.set_name}"
