"""What a flow run says of itself: a line or two in the log, its progress, its artifacts, and the state it ends in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from prefect.client.schemas.objects import State
from prefect.logging import get_run_logger

from tasks.backup import BackupWork, PlannedBackup
from tasks.engine.capture.capture_result import CapturedBin
from tasks.engine.commit.completeness import NewPoint
from tasks.engine.replay.verify import Mismatch
from tasks.engine.restore import RestoreResult
from tasks.engine.restore_steps import FinishedRestore
from tasks.engine.validate import ValidationResult
from tasks.flow_support.artifacts import artifact_key, markdown, publish, table
from tasks.flow_support.flow_run_cache import flow_run_cache
from tasks.flow_support.states import completed, failed, partial
from tasks.flow_support.wiring import places
from tasks.reports.backup import backup_headline, backup_summary, partition_rows
from tasks.reports.figures import size_text
from tasks.reports.recipe import restore_recipe
from tasks.reports.restore import (
    preview_headline,
    preview_rows,
    preview_summary,
    restore_headline,
    restore_summary,
    restored_rows,
)
from tasks.reports.validation import checked_rows, validation_headline, validation_summary
from tasks.restore import PlannedRestore, ReplayedPart, RestoreWork, targets_of
from tasks.validate import CheckedPart, PlannedValidation, ValidationWork, bins, inspection


def report_backup_plan(work: BackupWork, planned: PlannedBackup) -> PlannedBackup:
    """Say how much there is to read."""
    _begin(work.flow_run, planned.log_bytes, f"{work.set_name}: {planned.partitions:,} partitions to read")
    return planned


def report_captured_bin(work: BackupWork, captured: CapturedBin) -> None:
    """Note what a task has read, whichever process it ran in."""
    for one in captured.ranges:
        flow_run_cache(work.flow_run).counter.set_final(one.source, records=one.records, log_bytes=one.log_bytes)


def report_backup(work: BackupWork, captured: Sequence[CapturedBin], taken: NewPoint) -> State[Any]:
    """The artifacts of a point that stands, and the state that says what it is."""
    flow_run_cache(work.flow_run).counter.is_done = True
    key, name = artifact_key("backup", taken.point.set), f"{taken.point.set}@{taken.point.seq}"
    topics = sorted({one.source.topic for one in taken.ranges})
    recipe = restore_recipe(name, topics, places(work.flow_run, work.source, work.repository))
    summary = backup_summary(taken, flow_run_cache(work.flow_run).seconds, recipe)
    publish(
        work.flow_run,
        table(f"{key}-partitions", partition_rows(taken, captured), f"The partitions of {name}"),
        markdown(key, summary, f"The restore point {name}"),
    )
    headline = backup_headline(taken)
    if taken.verdict == "complete":
        return completed(headline)
    return partial(headline, event="kafka-backup.point.partial")


def report_validation_plan(work: ValidationWork, planned: PlannedValidation) -> PlannedValidation:
    """Say how much there is to check."""
    _begin(work.flow_run, planned.log_bytes, f"{work.set_name}@{work.seq}: {planned.objects:,} objects to check")
    return planned


def report_checked_bin(work: ValidationWork, bin_task: CheckedPart) -> None:
    """Note what a task has checked, whichever process it ran in."""
    flow_run_cache(work.flow_run).counter.set_final(
        bin_task.number, records=bin_task.records, log_bytes=bin_task.log_bytes
    )


def report_validation(work: ValidationWork, checked: Sequence[CheckedPart], result: ValidationResult) -> State[Any]:
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


def report_preview(work: RestoreWork, planned: PlannedRestore) -> State[Any]:
    """The artifacts of a restore that was only planned, and the state that says whether it would be refused."""
    key, name = artifact_key("validate-restore", work.set_name), f"{work.set_name}@{work.seq}"
    publish(
        work.flow_run,
        table(
            f"{key}-partitions", preview_rows(planned.plan, planned.findings), f"What a restore of {name} would write"
        ),
        markdown(key, preview_summary(planned.plan, planned.findings), f"Preview of a restore of {name}"),
    )
    headline = preview_headline(planned.plan, planned.findings)
    return failed(headline) if planned.is_refused else completed(headline)


def report_restore_plan(work: RestoreWork, planned: PlannedRestore) -> None:
    """Say how much there is to write."""
    copies = planned.plan.partitions
    _begin(
        work.flow_run,
        sum(copy.log_bytes for copy in copies),
        f"{work.set_name}@{work.seq}, restore {work.restore}: {len(copies):,} partitions to write",
    )


def report_replayed_bin(work: RestoreWork, planned: PlannedRestore, replayed: ReplayedPart) -> None:
    """Note what a task has written, whichever process it ran in."""
    for index in planned.plan.bins[replayed.number]:
        copy = planned.plan.partitions[index]
        flow_run_cache(work.flow_run).counter.set_final(copy.source, records=copy.records, log_bytes=copy.log_bytes)


def report_restore(
    work: RestoreWork,
    planned: PlannedRestore,
    replayed: Sequence[ReplayedPart],
    mismatches: Sequence[Mismatch],
    finished: FinishedRestore,
) -> State[Any]:
    """The artifacts of a restore, and the state that gives the verdict."""
    flow_run_cache(work.flow_run).counter.is_done = True
    result = RestoreResult(
        plan=planned.plan,
        findings=planned.findings,
        mismatches=mismatches,
        positions=finished.positions,
        positions_written=bool(planned.plan.options["reset_consumer_offsets"]),
        deferred=finished.deferred,
    )
    key, name = artifact_key("restore", work.set_name), f"{work.set_name}@{work.seq}"
    rows = restored_rows(result, targets_of(work), {one.number: one.seconds for one in replayed})
    where = places(work.flow_run, work.target, work.repository)
    publish(
        work.flow_run,
        table(f"{key}-partitions", rows, f"The partitions restored from {name}"),
        markdown(key, restore_summary(result, flow_run_cache(work.flow_run).seconds, where), f"Restore of {name}"),
    )
    headline = restore_headline(result)
    if result.mismatches:
        return failed(headline)
    return partial(headline, event="kafka-backup.restore.partial") if result.is_partial else completed(headline)


def _begin(flow_run: str, log_bytes: int, sentence: str) -> None:
    flow_run_cache(flow_run).counter.total_bytes = log_bytes
    get_run_logger().info("%s, about %s.", sentence, size_text(log_bytes))
