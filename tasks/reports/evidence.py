"""The register of drills as a table, and the report of a drill as text and as markdown. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tasks.engine.evidence.overdue import OverdueDrills
from tasks.engine.evidence.register import RegisterRow
from tasks.engine.evidence.report import DrillReport, Number, Objective, Text, Unknown
from tasks.model.counting import counted
from tasks.model.quoting import quoted, some_of
from tasks.reports.figures import duration_text, size_text, table_cell, table_text
from tasks.repository.points import format_time

_REGISTER_HEAD = ("SET", "TOPIC", "LAST DRILL", "RESULT", "RTO", "RPO", "NEXT DUE", "DRILL")


def register_text(rows: Sequence[RegisterRow]) -> str:
    """The register as a table. A reason why a member is unknown is only in its JSON."""
    return table_text(
        _REGISTER_HEAD,
        [
            (
                row.set_name,
                quoted(row.topic),
                _time(row.started_ms),
                _text(row.verdict),
                _duration(row.rto_ms),
                _duration(row.rpo_ms),
                _time(row.next_due_ms),
                _text(row.drill),
            )
            for row in rows
        ],
    )


def overdue_text(found: OverdueDrills) -> str:
    """The topics that are overdue, in one sentence."""
    last = (
        "not each of them passed one of the last drills"
        if found.passed_ms is None
        else f"the oldest passed drill is of {format_time(found.passed_ms)}"
    )
    return (
        f"restore drills of {found.set_name} are overdue for {counted(len(found.topics), 'topic')} "
        f"({some_of(found.topics)}): {last}, and one is due every {duration_text(found.every_ms / 1000)}"
    )


def register_json(rows: Sequence[RegisterRow]) -> list[dict[str, object]]:
    """The register as JSON: a member that is unknown is `{"unknown": "<reason>"}`."""
    return [
        {
            "set": row.set_name,
            "topic": row.topic,
            "drill": _json(row.drill),
            "started_ms": _json(row.started_ms),
            "verdict": _json(row.verdict),
            "rto_ms": _json(row.rto_ms),
            "rpo_ms": _json(row.rpo_ms),
            "next_due_ms": _json(row.next_due_ms),
        }
        for row in rows
    ]


def report_text(report: DrillReport, sha256: str) -> str:
    """The report of a drill in some lines: the verdict, what was tested, the objectives and the findings."""
    facts = [*_facts(report), *_findings(report), ("proof", _proof(report, sha256))]
    return "\n".join([_headline(report), *(f"{name:<11} {value}" for name, value in facts)])


def report_markdown(report: DrillReport, sha256: str) -> str:
    """The same in markdown, for an artifact."""
    facts = [*_facts(report), ("proof", _proof(report, sha256))]
    table = ["| | |", "| --- | --- |", *(f"| {name} | {table_cell(value)} |" for name, value in facts)]
    findings = [f"- {name} {table_cell(text)}" for name, text in _findings(report)]
    return "\n\n".join(["\n".join(part) for part in ([f"## {_headline(report)}"], findings, table) if part])


def _headline(report: DrillReport) -> str:
    tested, verdict = report.tested, report.result.verdict.upper()
    return f"drill {report.identity.report_id} of {tested.set}@{tested.point}: {verdict}"


def _facts(report: DrillReport) -> Iterator[tuple[str, str]]:
    """(name, text) of what a reader wants to know first."""
    tested, objectives, partitions = report.tested, report.objectives, report.integrity.partitions
    names = some_of([one.topic for one in tested.topics])
    compared = sum(one.compared_records for one in partitions)
    yield "started", format_time(report.when.started_ms)
    yield "point", f"{format_time(tested.point_ms)}, chosen: {tested.choice}"
    yield "topics", f"{names}; {counted(len(tested.excluded), 'topic')} left out"
    yield "data", f"{counted(tested.records, 'record')}, {size_text(tested.log_bytes)}"
    yield "compared", f"{counted(compared, 'record')} in {counted(len(partitions), 'partition')}"
    yield "RTO", _objective(objectives.rto)
    yield "RPO", _objective(objectives.rpo)


def _findings(report: DrillReport) -> Iterator[tuple[str, str]]:
    for finding in report.result.findings:
        yield f"{finding.severity}:", finding.text


def _proof(report: DrillReport, sha256: str) -> str:
    key_id = report.proof.key_id
    signed = key_id.unknown if isinstance(key_id, Unknown) else f"signed with the key {key_id}"
    return f"SHA-256 {sha256}; {signed}"


def _objective(objective: Objective) -> str:
    achieved, target = objective.achieved_ms, objective.target_ms
    text = f"unknown: {achieved.unknown}" if isinstance(achieved, Unknown) else _duration(achieved)
    return text if isinstance(target, Unknown) else f"{text} (target {_duration(target)}: {_text(objective.verdict)})"


def _time(value: Number) -> str:
    return "unknown" if isinstance(value, Unknown) else format_time(value)


def _duration(value: Number) -> str:
    return "unknown" if isinstance(value, Unknown) else duration_text(value / 1000)


def _text(value: Text) -> str:
    return "unknown" if isinstance(value, Unknown) else value


def _json(value: Text | Number) -> object:
    return value.to_json() if isinstance(value, Unknown) else value
