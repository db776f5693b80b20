"""Finds the topics of a set whose last passed drill is older than the interval in which drills are due."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain

from tasks.engine.drilling.choice import NOT_IN_SAMPLE
from tasks.engine.evidence.build_report import HISTORY
from tasks.engine.evidence.report import DrillReport, Unknown
from tasks.engine.evidence.stored_reports import drills_with_report, load_report
from tasks.model.errors import DamagedError, UnsupportedError
from tasks.store.protocol import ObjectStore

MOST_READS = 100
"""So many of the newest reports are read at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OverdueDrills:
    """The topics of a set that are overdue, in order. `passed_ms` is the start of the oldest of their last passed
    drills in Unix milliseconds, None if a topic passed none of those that were read. `every_ms` is the interval."""

    set_name: str
    topics: tuple[str, ...]
    passed_ms: int | None
    every_ms: int


def overdue_drills(store: ObjectStore, set_name: str, *, now_ms: int) -> OverdueDrills | None:
    """The overdue topics of the set. None if there are none, or if no drill has stated an interval (`drill.every`).

    The newest report states the interval and the topics that the set has. A topic that none of the drills was asked to
    test is not overdue. A topic that was only left out by samples is overdue when the interval has passed since the
    oldest of the drills that left it out.

    Takes one listing. Reads the reports from the newest to the oldest until each topic has a passed drill, at most the
    last twelve. If a topic was only left out by samples, it reads on to the first report older than the interval, at
    most `MOST_READS`. A report that cannot be read counts as none. Raises the errors of the store.
    """
    drills = drills_with_report(store, set_name).get(set_name, [])
    reports = (report for drill in reversed(drills[-MOST_READS:]) if (report := _readable(store, set_name, drill)))
    newest = next(reports, None)
    if newest is None or isinstance(newest.identity.drill_every_ms, Unknown):
        return None
    every_ms = newest.identity.drill_every_ms
    before_ms = now_ms - every_ms
    seen = _Seen(dict.fromkeys(sorted(_topics(newest))))
    for number, report in enumerate(chain([newest], reports), start=1):
        seen.add(report)
        is_far_enough = report.when.started_ms < before_ms or not seen.only_left_out
        if not seen.waiting or (number >= HISTORY and is_far_enough):
            break
    late = {topic: at for topic, at in seen.passed_ms.items() if seen.is_overdue(topic, before_ms)}
    if not late:
        return None
    times = list(late.values())
    return OverdueDrills(
        set_name=set_name,
        topics=tuple(late),
        passed_ms=None if None in times else min(at for at in times if at is not None),
        every_ms=every_ms,
    )


@dataclass(slots=True)
class _Seen:
    """What the reports that were read say about the topics, in Unix milliseconds: the start of the last drill that each
    passed, the topics that failed, and the start of the oldest drill whose sample left a topic out."""

    passed_ms: dict[str, int | None]
    failed: set[str] = field(default_factory=set)
    left_out_ms: dict[str, int] = field(default_factory=dict)

    def add(self, report: DrillReport) -> None:
        """Add a report that is older than those before it."""
        waiting = self.waiting
        tested = {one.topic for one in report.tested.topics} & waiting
        if report.result.verdict == "failed":
            self.failed |= tested
        else:
            self.passed_ms |= dict.fromkeys(tested, report.when.started_ms)
        for left in report.tested.excluded:
            if left.topic in waiting and left.reason.startswith(NOT_IN_SAMPLE):
                self.left_out_ms[left.topic] = report.when.started_ms

    @property
    def waiting(self) -> set[str]:
        """The topics without a passed drill."""
        return {topic for topic, at in self.passed_ms.items() if at is None}

    @property
    def only_left_out(self) -> set[str]:
        """The topics that samples left out and no drill has tested."""
        return (self.waiting & self.left_out_ms.keys()) - self.failed

    def is_overdue(self, topic: str, before_ms: int) -> bool:
        """Whether the topic passed no drill at or after this time, and a drill was asked to test it."""
        passed_ms = self.passed_ms[topic]
        if passed_ms is not None:
            return passed_ms < before_ms
        return topic in self.failed or self.left_out_ms.get(topic, before_ms) < before_ms


def _readable(store: ObjectStore, set_name: str, drill: str) -> DrillReport | None:
    try:
        return load_report(store, set_name, drill).report
    except (DamagedError, UnsupportedError):
        return None


def _topics(report: DrillReport) -> set[str]:
    """The topics of the point, with those that the drill left out."""
    return {topic.topic for topic in report.tested.topics} | {left.topic for left in report.tested.excluded}
