"""Reports a continuous backup by a flow: a log line and the events of each point, and the final state."""

from __future__ import annotations

from typing import Any

from prefect.client.schemas.objects import State
from prefect.logging import get_run_logger

from tasks.engine.commit.completeness import NewPoint
from tasks.engine.continuous import can_pass
from tasks.flow_support.backup_work import BackupWork
from tasks.flow_support.continuous_work import Cycles
from tasks.flow_support.states import completed, report_event
from tasks.model.errors import KafkaBackupError
from tasks.reports.backup import failed_cycle_text, notable_events
from tasks.reports.figures import point_line


def report_cycle(work: BackupWork, taken: NewPoint | BaseException) -> None:
    """Log the point of a cycle and emit its events. If the cycle failed and the next one can succeed, log the reason;
    raises every other error of a cycle."""
    if isinstance(taken, KafkaBackupError) and can_pass(taken):
        get_run_logger().warning("%s: %s", work.set_name, failed_cycle_text(taken))
    elif isinstance(taken, BaseException):
        raise taken
    else:
        line = point_line(taken.point, taken.read_records)
        get_run_logger().info("%s", line)
        for event, sentence in notable_events(taken.point):
            report_event(event, sentence)
        if taken.verdict != "complete":
            report_event("kafka-backup.point.partial", line)


def report_end(cycles: Cycles) -> State[Any]:
    """The final state of a run whose time is over: completed, with the newest point."""
    set_name = cycles.request.set_name
    newest = cycles.context.repository.state(set_name).newest_point
    point = "The set has no point yet" if newest is None else f"The newest point is {set_name}@{newest}"
    return completed(f"The time of this run is over. {point}. The next run goes on there.")
