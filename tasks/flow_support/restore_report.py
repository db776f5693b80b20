"""Reports a restore by a flow, or its preview: log lines, progress, artifacts, and the state in which the run ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from prefect.client.schemas.objects import State

from tasks.engine.replay.verify import Mismatch
from tasks.engine.restore import RestoreResult
from tasks.engine.restore_steps import FinishedRestore
from tasks.flow_support.artifacts import artifact_key, markdown, publish, table
from tasks.flow_support.flow_run_cache import flow_run_cache
from tasks.flow_support.restore_work import PlannedRestore, ReplayedBin, RestoreWork, targets_of
from tasks.flow_support.start_report import report_start
from tasks.flow_support.states import completed, failed, partial
from tasks.flow_support.wiring import places
from tasks.model.counting import counted
from tasks.reports.restore import (
    preview_headline,
    preview_rows,
    preview_summary,
    restore_headline,
    restore_summary,
    restored_rows,
)


def report_preview(work: RestoreWork, planned: PlannedRestore) -> State[Any]:
    """Publish the plan and the findings of a restore that was only planned. Returns the run's final state: failed if
    the restore is refused, otherwise completed."""
    key, name = artifact_key("validate-restore", work.set_name), f"{work.set_name}@{work.seq}"
    rows = preview_rows(planned.plan, planned.findings)
    publish(
        work.flow_run,
        table(f"{key}-partitions", rows, f"The partitions that a restore of {name} would write"),
        markdown(
            key,
            preview_summary(planned.plan, planned.findings, planned.positions_of),
            f"Preview of a restore of {name}",
        ),
    )
    headline = preview_headline(planned.plan, planned.findings)
    return failed(headline) if planned.is_refused else completed(headline)


def report_restore_plan(work: RestoreWork, planned: PlannedRestore) -> None:
    """Log how much there is to write, and set the total of the progress."""
    copies = planned.plan.partitions
    report_start(
        work.flow_run,
        sum(copy.log_bytes for copy in copies),
        f"{work.set_name}@{work.seq}, restore {work.restore}: {counted(len(copies), 'partition')} to write",
    )


def report_replayed_bin(work: RestoreWork, planned: PlannedRestore, replayed: ReplayedBin) -> None:
    """Set the progress of the bin's partitions to their whole size, whichever process the task ran in."""
    for index in planned.plan.bins[replayed.number]:
        copy = planned.plan.partitions[index]
        flow_run_cache(work.flow_run).counter.set_final(copy.source, records=copy.records, log_bytes=copy.log_bytes)


def report_restore(
    work: RestoreWork,
    planned: PlannedRestore,
    replayed: Sequence[ReplayedBin],
    mismatches: Sequence[Mismatch],
    finished: FinishedRestore,
) -> State[Any]:
    """Publish the artifacts of a restore. Returns the run's final state: failed after mismatches, `Partial` if data or
    positions are missing (`RestoreResult.is_partial`), otherwise completed."""
    cache = flow_run_cache(work.flow_run)
    cache.counter.is_done = True
    result = RestoreResult(
        plan=planned.plan,
        findings=planned.findings,
        mismatches=mismatches,
        positions=finished.positions,
        positions_written=bool(planned.plan.options["reset_consumer_offsets"]),
        deferred=finished.deferred,
        left_out=finished.left_out,
        access=finished.access,
    )
    key, name = artifact_key("restore", work.set_name), f"{work.set_name}@{work.seq}"
    rows = restored_rows(result, targets_of(work), {one.number: one.seconds for one in replayed})
    summary = restore_summary(result, cache.seconds, places(work.flow_run, work.target, work.repository))
    publish(
        work.flow_run,
        table(f"{key}-partitions", rows, f"The partitions restored from {name}"),
        markdown(key, summary, f"Restore of {name}"),
    )
    headline = restore_headline(result)
    if result.mismatches:
        return failed(headline)
    return partial(headline, event="kafka-backup.restore.partial") if result.is_partial else completed(headline)
