"""The report of a drill as text: the headline, a table with a row for each partition, and what failed. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from tasks.engine.drilling.drill_result import ChosenData, CleanUp, DrillResult
from tasks.engine.evidence.store_evidence import StoredEvidence
from tasks.model.counting import counted
from tasks.reports.figures import duration_text, size_text, table_cell, table_text
from tasks.reports.partitions import Row, listed, shortened
from tasks.repository.points import format_time

_HEAD = ("PARTITION", "SCRATCH TOPIC", "EXPECTED", "FOUND", "COMPARED", "RESULT")


def chosen_text(data: ChosenData) -> str:
    """What a drill restores, in one line."""
    left_out = f", {len(data.excluded):,} left out" if data.excluded else ""
    return (
        f"{data.set_name}@{data.point} of {format_time(data.point_ms)} ({data.choice}): "
        f"{counted(len(data.topics), 'topic')}{left_out}, {counted(data.partitions, 'partition')}, "
        f"{counted(data.records, 'record')}, {size_text(data.log_bytes)} of log"
    )


def drill_headline(result: DrillResult) -> str:
    """The verdict in one line."""
    compared = sum(one.compared_records for one in result.partitions)
    rto = "unknown" if result.objectives.rto_s is None else duration_text(result.objectives.rto_s)
    rpo = "unknown" if result.objectives.rpo_s is None else duration_text(result.objectives.rpo_s)
    verdict = "passed" if result.verdict == "passed" else f"FAILED, {counted(len(result.failures), 'problem')}"
    return (
        f"drill {result.drill} of {result.data.set_name}@{result.data.point}: {verdict}; "
        f"{counted(compared, 'record')} compared; RTO {rto}, RPO {rpo}"
    )


def drill_lines(result: DrillResult) -> Iterator[str]:
    """The headline, the table of partitions, groups, checks, clean-up, and the problems."""
    yield drill_headline(result)
    rows = [
        (
            str(one.source),
            one.target.topic,
            one.expected_records,
            one.found_records,
            one.compared_records,
            "differs" if one.problem else "equal",
        )
        for one in result.partitions
    ]
    if rows:
        yield table_text(_HEAD, rows)
    yield (
        f"settings: {sum(one.compared for one in result.settings):,} compared; "
        f"groups: {sum(one.positions for one in result.groups):,} positions of {len(result.groups):,} groups compared; "
        f"checks: {len(result.checks):,}"
    )
    if result.clean_up is not None:
        yield f"clean-up: {result.clean_up.summary}"
    yield from left_lines(result.earlier)
    for failure in result.failures:
        yield f"problem: {failure}"


def left_lines(cleaned: Mapping[str, CleanUp]) -> Iterator[str]:
    """What was removed of earlier drills, and what stays of them."""
    for drill, one in cleaned.items():
        if one.has_removed:
            yield f"earlier drill {drill}: {one.summary}"
        yield from (f"earlier drill {drill}: {sentence}" for sentence in (*one.problems, *one.kept))


def partition_rows(result: DrillResult) -> list[Row]:
    """A row for each partition, those that differ first, as many as a browser can show."""
    rows: list[Row] = [
        {
            "topic": one.source.topic,
            "partition": one.source.partition,
            "scratch topic": one.target.topic,
            "expected": one.expected_records,
            "found": one.found_records,
            "compared": one.compared_records,
            "level": one.level,
            "seconds": round(one.seconds, 2),
            "digest": one.found_digest or "",
            "findings": one.problem or "",
        }
        for one in result.partitions
    ]
    return shortened(sorted(rows, key=lambda row: not row["findings"]))


def drill_summary(result: DrillResult) -> str:
    """The verdict in markdown, with what was drilled, the objectives, and the first failures."""
    objectives = result.objectives
    return "\n".join(
        (
            f"## {table_cell(drill_headline(result))}",
            "",
            "| | |",
            "| --- | --- |",
            f"| point | {table_cell(chosen_text(result.data))} |",
            f"| RTO | {_objective(objectives.rto_s, objectives.rto_target_s)} |",
            f"| RPO | {_objective(objectives.rpo_s, objectives.rpo_target_s)} |",
            f"| settings compared | {sum(one.compared for one in result.settings):,} |",
            f"| group positions compared | {sum(one.positions for one in result.groups):,} |",
            f"| owner's checks | {len(result.checks):,} |",
            f"| removed topics | {len(result.clean_up.topics) if result.clean_up else 0:,} |",
            "",
            *listed("Problems", list(result.failures)),
        )
    )


def _objective(achieved_s: float | None, target_s: float | None) -> str:
    achieved = "unknown" if achieved_s is None else duration_text(achieved_s)
    return f"{achieved} (target: {'none' if target_s is None else duration_text(target_s)})"


def drill_document(result: DrillResult) -> dict[str, Any]:
    """The result as JSON members. Times are Unix milliseconds, durations are seconds."""
    document = asdict(result)
    del document["objects"]  # they can be many, and the report has them
    return {**document, "verdict": result.verdict, "failures": list(result.failures)}


def evidence_line(stored: StoredEvidence) -> str:
    """Where the report of the drill is, and whether it is signed."""
    signed = "signed" if stored.is_signed else "unsigned: no signing key is configured"
    return f"report: {stored.keys[0]} ({signed}), SHA-256 {stored.sha256}"


def evidence_document(stored: StoredEvidence) -> dict[str, Any]:
    """The stored report as JSON members."""
    return {"keys": list(stored.keys), "sha256": stored.sha256, "is_signed": stored.is_signed}
