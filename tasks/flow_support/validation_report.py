"""Reports a validation by a flow: log lines, progress, artifacts, and the state in which the run ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from prefect.client.schemas.objects import State

from tasks.engine.validate import ValidationResult
from tasks.flow_support.artifacts import artifact_key, markdown, publish, table
from tasks.flow_support.flow_run_cache import flow_run_cache
from tasks.flow_support.start_report import report_start
from tasks.flow_support.states import completed, failed, partial
from tasks.flow_support.validation_work import CheckedBin, PlannedValidation, ValidationWork, bins, inspection
from tasks.model.counting import counted
from tasks.reports.validation import checked_rows, validation_headline, validation_summary


def report_validation_plan(work: ValidationWork, planned: PlannedValidation) -> PlannedValidation:
    """Log how much there is to check, and set the total of the progress. Returns `planned`."""
    objects = counted(planned.objects, "object")
    report_start(work.flow_run, planned.log_bytes, f"{work.point.name}: {objects} to check")
    return planned


def report_checked_bin(work: ValidationWork, checked: CheckedBin) -> None:
    """Set the progress of the bin to the size of its objects in the index, whichever process the task ran in."""
    counter = flow_run_cache(work.flow_run).counter
    counter.set_final(checked.number, records=checked.records, log_bytes=checked.log_bytes)


def report_validation(work: ValidationWork, checked: Sequence[CheckedBin], result: ValidationResult) -> State[Any]:
    """Publish the artifacts of a validation. Returns the run's final state: failed if the point is damaged, partial if
    archived objects could not be read, otherwise completed."""
    cache = flow_run_cache(work.flow_run)
    cache.counter.is_done = True
    key, name = artifact_key("validate", work.point.set_name), work.point.name
    seconds = {object_key: one.seconds for one in checked for object_key in bins(work)[one.number]}
    rows = checked_rows(result, inspection(work).contents, seconds)
    publish(
        work.flow_run,
        table(f"{key}-partitions", rows, f"The partitions of {name}"),
        markdown(key, validation_summary(result, work.level, cache.seconds), f"Validation of {name}"),
    )
    headline = validation_headline(result, work.level)
    if result.findings:
        return failed(headline)
    if not result.is_everything_read:
        return partial(headline, event="kafka-backup.validation.partial")
    return completed(headline)
