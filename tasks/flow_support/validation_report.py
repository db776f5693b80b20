"""What a validation by a flow reports: log lines, progress, artifacts, and the state that it ends in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from prefect.client.schemas.objects import State

from tasks.engine.validate import ValidationResult
from tasks.flow_support.artifacts import artifact_key, markdown, publish, table
from tasks.flow_support.begin_report import report_start
from tasks.flow_support.flow_run_cache import flow_run_cache
from tasks.flow_support.states import completed, failed
from tasks.flow_support.validation_work import CheckedBin, PlannedValidation, ValidationWork, bins, inspection
from tasks.reports.validation import checked_rows, validation_headline, validation_summary


def report_validation_plan(work: ValidationWork, planned: PlannedValidation) -> PlannedValidation:
    """Say how much there is to check."""
    report_start(work.flow_run, planned.log_bytes, f"{work.set_name}@{work.seq}: {planned.objects:,} objects to check")
    return planned


def report_checked_bin(work: ValidationWork, bin_task: CheckedBin) -> None:
    """Note what a task has checked, whichever process it ran in."""
    flow_run_cache(work.flow_run).counter.set_final(
        bin_task.number, records=bin_task.records, log_bytes=bin_task.log_bytes
    )


def report_validation(work: ValidationWork, checked: Sequence[CheckedBin], result: ValidationResult) -> State[Any]:
    """The artifacts of a validation, and the state that gives the verdict."""
    flow_run_cache(work.flow_run).counter.is_done = True
    key, name = artifact_key("validate", work.set_name), f"{work.set_name}@{work.seq}"
    seconds = {key: one.seconds for one in checked for key in bins(work)[one.number]}
    rows = checked_rows(result, inspection(work).contents, seconds)
    summary = validation_summary(result, work.level, flow_run_cache(work.flow_run).seconds)
    publish(
        work.flow_run,
        table(f"{key}-partitions", rows, f"The partitions of {name}"),
        markdown(key, summary, f"Validation of {name}"),
    )
    headline = validation_headline(result, work.level)
    return failed(headline) if result.findings else completed(headline)
