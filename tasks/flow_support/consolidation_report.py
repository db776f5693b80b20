"""Reports a consolidation by a flow: log lines, progress, and the state in which the run ends."""

from __future__ import annotations

from typing import Any

from prefect.client.schemas.objects import State
from prefect.logging import get_run_logger

from tasks.engine.capture.capture_result import CaptureResult
from tasks.engine.consolidate import Consolidation
from tasks.flow_support.consolidation_work import ConsolidationWork, PlannedConsolidation
from tasks.flow_support.flow_run_cache import flow_run_cache
from tasks.flow_support.start_report import report_start
from tasks.flow_support.states import completed
from tasks.model.counting import counted
from tasks.reports.consolidation import consolidation_text, nothing_to_join_text


def report_joins(work: ConsolidationWork, planned: PlannedConsolidation) -> None:
    """Log how much there is to copy, and set the total of the progress."""
    groups = counted(len(planned.bin_tasks), "group")
    report_start(work.flow_run, planned.log_bytes, f"{work.set_name}@{work.seq}: {groups} of small objects to join")


def report_joined(work: ConsolidationWork, copied: CaptureResult) -> None:
    """Set the progress of the copied partitions, whichever process the task ran in."""
    counter = flow_run_cache(work.flow_run).counter
    for one in copied.ranges:
        counter.set_final((copied.writer, one.source, one.first), records=one.records, log_bytes=one.log_bytes)


def report_consolidation(work: ConsolidationWork, done: Consolidation | None) -> State[Any]:
    """The final state of the run. Partitions that could not be copied are logged."""
    flow_run_cache(work.flow_run).counter.is_done = True
    if done is None:
        return completed(nothing_to_join_text(work.set_name))
    for failure in done.left_out:
        get_run_logger().warning("%s was left out: %s", failure.source, failure.reason)
    return completed(consolidation_text(done))
