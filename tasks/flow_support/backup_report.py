"""Reports a backup by a flow: log lines, progress, artifacts, the events about a point, and the state in which the run
ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from prefect.client.schemas.objects import State
from prefect.logging import get_run_logger

from tasks.engine.capture.capture_result import CaptureResult
from tasks.engine.commit.completeness import NewPoint
from tasks.flow_support.artifacts import artifact_key, markdown, publish, table
from tasks.flow_support.backup_work import BackupWork, PlannedBackup
from tasks.flow_support.flow_run_cache import flow_run_cache
from tasks.flow_support.overdue_report import report_overdue_drills
from tasks.flow_support.start_report import report_start
from tasks.flow_support.states import completed, partial, report_event
from tasks.flow_support.wiring import places
from tasks.model.counting import counted
from tasks.reports.backup import backup_headline, backup_summary, notable_events, partition_rows
from tasks.reports.recipe import restore_recipe


def report_backup_plan(work: BackupWork, planned: PlannedBackup) -> PlannedBackup:
    """Log how much there is to read and the notes on the plan, and set the total of the progress. Returns
    `planned`."""
    for note in planned.notes:
        get_run_logger().info("note: %s", note)
    partitions = counted(planned.partitions, "partition")
    report_start(work.flow_run, planned.log_bytes, f"{work.set_name}: {partitions} to read")
    return planned


def report_captured_bin(work: BackupWork, captured: CaptureResult) -> None:
    """Set the progress of the bin's partitions to the result of its finished task, whichever process it ran in."""
    for one in captured.ranges:
        flow_run_cache(work.flow_run).counter.set_final(one.source, records=one.records, log_bytes=one.log_bytes)


def report_backup(work: BackupWork, captured: Sequence[CaptureResult], taken: NewPoint) -> State[Any]:
    """Publish the artifacts of the new point. Returns the final state: completed, or `Partial` if something is missing.

    Emits `kafka-backup.point.shrunk` if the point contains less than the point before it and retention does not explain
    that, and `kafka-backup.drill.overdue` if no drill of a topic passed in time. The state does not change, because the
    point contains everything that was configured.
    """
    cache = flow_run_cache(work.flow_run)
    cache.counter.is_done = True
    key, name = artifact_key("backup", taken.point.set), f"{taken.point.set}@{taken.point.seq}"
    topics = sorted({one.source.topic for one in taken.ranges})
    recipe = restore_recipe(name, topics, places(work.flow_run, work.source, work.repository))
    publish(
        work.flow_run,
        table(f"{key}-partitions", partition_rows(taken, captured), f"The partitions of {name}"),
        markdown(key, backup_summary(taken, cache.seconds, recipe), f"The restore point {name}"),
    )
    for event, sentence in notable_events(taken.point):
        report_event(event, sentence)
    report_overdue_drills(work.flow_run, work.repository, taken.point.set)
    headline = backup_headline(taken)
    shrunk = taken.point.shrunk
    if shrunk is not None and shrunk.counts.is_notable:
        report_event("kafka-backup.point.shrunk", f"{name}: {shrunk.counts.text(taken.point.set)}")
    if taken.verdict == "complete":
        return completed(headline)
    return partial(headline, event="kafka-backup.point.partial")
