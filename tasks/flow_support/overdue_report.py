"""Reports drills that are overdue, at the end of the flows that work on a backup set."""

from __future__ import annotations

from prefect.logging import get_run_logger

from tasks.engine.evidence.overdue import overdue_drills
from tasks.flow_support.states import report_event
from tasks.flow_support.wiring import now_ms, repository
from tasks.model.errors import KafkaBackupError
from tasks.reports.evidence import overdue_text


def report_overdue_drills(flow_run: str, repository_name: str, set_name: str) -> None:
    """Emit `kafka-backup.drill.overdue` if a topic of the set is overdue. The run does not fail because of it. An error
    of the store is a warning in the log."""
    try:
        found = overdue_drills(repository(flow_run, repository_name).store, set_name, now_ms=now_ms())
    except KafkaBackupError as error:
        get_run_logger().warning("It is not known whether drills of %s are overdue: %s", set_name, error)
        return
    if found is not None:
        members = {
            "set": set_name,
            "topics": list(found.topics[:20]),
            "overdue_topics": len(found.topics),
            "last_passed_ms": found.passed_ms,
            "every_ms": found.every_ms,
        }
        report_event("kafka-backup.drill.overdue", overdue_text(found), members)
