"""The register: for each topic of a set its last drill, the result, and when the next one is due."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tasks.engine.evidence.build_report import HISTORY
from tasks.engine.evidence.report import DrillReport, Number, Unknown
from tasks.engine.evidence.stored_reports import drills_with_report, load_report, no_report_error
from tasks.store.protocol import ObjectStore


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterRow:
    """One topic of a set. `drill` and the members after it are those of the last drill that restored the topic. Unknown
    if none of the last twelve drills did."""

    set_name: str
    topic: str
    drill: str | Unknown
    started_ms: Number
    verdict: str | Unknown
    rto_ms: Number
    rpo_ms: Number
    next_due_ms: Number


def read_register(store: ObjectStore, set_name: str | None = None) -> list[RegisterRow]:
    """A row for each topic of the points that were drilled, in the order of sets and topics. The newest report
    of a set says how often a drill is due.

    Takes one listing, and for each set reads reports from the newest back until each topic has a row, at most twelve.
    Raises `NotFoundError` if the named set has no report, and what `load_report` raises.
    """
    found = drills_with_report(store, set_name)
    if set_name is not None and set_name not in found:
        raise no_report_error(set_name)
    return [row for name in sorted(found) for row in _rows(store, name, found[name])]


def _rows(store: ObjectStore, set_name: str, drills: list[str]) -> Iterator[RegisterRow]:
    last: dict[str, DrillReport] = {}
    topics: set[str] = set()
    interval: Number = Unknown(unknown="no interval of drills is configured")
    for number, drill in enumerate(reversed(drills[-HISTORY:])):
        report = load_report(store, set_name, drill).report
        if number == 0:
            topics = {topic.topic for topic in report.tested.topics} | {left.topic for left in report.tested.excluded}
            interval = report.identity.drill_every_ms
        for one in report.tested.topics:
            last.setdefault(one.topic, report)
        if topics <= last.keys():
            break
    for topic in sorted(topics):
        yield _row(set_name, topic, last[topic], interval) if topic in last else _never(set_name, topic)


def _row(set_name: str, topic: str, report: DrillReport, interval: Number) -> RegisterRow:
    started = report.when.started_ms
    return RegisterRow(
        set_name=set_name,
        topic=topic,
        drill=report.identity.report_id,
        started_ms=started,
        verdict=report.result.verdict,
        rto_ms=report.objectives.rto.achieved_ms,
        rpo_ms=report.objectives.rpo.achieved_ms,
        next_due_ms=interval if isinstance(interval, Unknown) else started + interval,
    )


def _never(set_name: str, topic: str) -> RegisterRow:
    reason = Unknown(unknown=f"none of the last {HISTORY} drills tested the topic")
    return RegisterRow(
        set_name=set_name,
        topic=topic,
        drill=reason,
        started_ms=reason,
        verdict=reason,
        rto_ms=reason,
        rpo_ms=reason,
        next_due_ms=reason,
    )
