"""Finds the topics of a set whose last passed drill is older than the interval in which drills are due."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.engine.evidence.build_report import HISTORY
from tasks.engine.evidence.report import DrillReport, Unknown
from tasks.engine.evidence.stored_reports import drills_with_report, load_report
from tasks.model.errors import DamagedError, UnsupportedError
from tasks.store.protocol import ObjectStore


@dataclass(frozen=True, slots=True, kw_only=True)
class OverdueDrills:
    """The topics of a set that are overdue, in order. `passed_ms` is the start of the oldest of their last passed
    drills in Unix milliseconds, None if a topic passed none of the last twelve. `every_ms` is the interval."""

    set_name: str
    topics: tuple[str, ...]
    passed_ms: int | None
    every_ms: int


def overdue_drills(store: ObjectStore, set_name: str, *, now_ms: int) -> OverdueDrills | None:
    """The overdue topics of the set. None if there are none, or if no drill has stated an interval (`drill.every`).

    The newest report states the interval and the topics that the set has. A topic that none of the last twelve drills
    tested is not overdue, because no drill was asked to test it. Takes one listing and at most twelve reads. A report
    that cannot be read counts as none. Raises the errors of the store.
    """
    drills = drills_with_report(store, set_name).get(set_name, [])
    reports = [report for drill in reversed(drills[-HISTORY:]) if (report := _readable(store, set_name, drill))]
    if not reports or isinstance(reports[0].identity.drill_every_ms, Unknown):
        return None
    every_ms, now_topics = reports[0].identity.drill_every_ms, _topics(reports[0])
    tested = {topic.topic for report in reports for topic in report.tested.topics} & now_topics
    passed = {topic: _last_passed_ms(reports, topic) for topic in sorted(tested)}
    late = {topic: at for topic, at in passed.items() if at is None or at + every_ms < now_ms}
    if not late:
        return None
    times = list(late.values())
    return OverdueDrills(
        set_name=set_name,
        topics=tuple(late),
        passed_ms=None if None in times else min(at for at in times if at is not None),
        every_ms=every_ms,
    )


def _readable(store: ObjectStore, set_name: str, drill: str) -> DrillReport | None:
    try:
        return load_report(store, set_name, drill).report
    except (DamagedError, UnsupportedError):
        return None


def _topics(report: DrillReport) -> set[str]:
    """The topics of the point, with those that the drill left out."""
    return {topic.topic for topic in report.tested.topics} | {left.topic for left in report.tested.excluded}


def _last_passed_ms(reports: list[DrillReport], topic: str) -> int | None:
    """The start of the newest drill that tested the topic and passed."""
    for report in reports:
        if report.result.verdict != "failed" and any(one.topic == topic for one in report.tested.topics):
            return report.when.started_ms
    return None
