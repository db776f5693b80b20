"""The report of a validation by a flow: a table with a row per partition, a headline and a summary. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from tasks.engine.archived import archived_text, thaw_command
from tasks.engine.validate import ValidationResult
from tasks.engine.validation.contents import PointContents
from tasks.engine.validation.objects import Level
from tasks.model.counting import counted
from tasks.reports.figures import duration_text, size_text
from tasks.reports.partitions import Row, listed, shortened
from tasks.repository.points import format_time


def checked_rows(result: ValidationResult, contents: PointContents, seconds_of: Mapping[str, float]) -> list[Row]:
    """A row for each partition of the point, damaged ones first. `seconds_of` are the durations of the tasks in
    seconds, by the keys of the objects that they checked. `seconds` of a partition is the sum over its tasks, also if a
    task checked several partitions."""
    findings: dict[tuple[str | None, int | None], list[str]] = defaultdict(list)
    for finding in result.findings:
        findings[finding.topic, finding.partition].append(str(finding))
    rows: list[Row] = []
    for source, row in sorted(contents.rows.items()):
        lines = contents.counting[source]
        tasks = {seconds_of[line.object] for line in lines if line.object and line.object in seconds_of}
        rows.append(
            {
                "topic": source.topic,
                "partition": source.partition,
                "first": row.first,
                "next": row.next,
                "records": sum(line.records for line in lines),
                "bytes": sum(line.log_bytes for line in lines),
                "seconds": round(sum(tasks), 2),
                "findings": "; ".join(findings.get((source.topic, source.partition), ())),
            }
        )
    return shortened(sorted(rows, key=lambda row: not row["findings"]))


def verdict_text(result: ValidationResult) -> str:
    """The verdict in a few words. It is not "no damage found" if something was not read."""
    if result.findings:
        return counted(len(result.findings), "finding")
    return "no damage found" if result.is_everything_read else "no damage found in what was read"


def archived_note(result: ValidationResult) -> str | None:
    """The sentence about archived objects. None if all objects can be read at once."""
    archived = result.archived
    if archived.objects == 0:
        return None
    point = f"{result.point.set}@{result.point.seq}"
    what = f"{archived_text(archived)} with {size_text(archived.bytes)} are archived"
    if result.is_everything_read:
        return f"note: {what}. They exist, and cannot be read before {thaw_command(point)} brought them back."
    return f"not read: {what}. Bring them back with {thaw_command(point)}, and validate again."


def validation_headline(result: ValidationResult, level: Level) -> str:
    """The verdict and the figures behind it, in one line."""
    name = f"{result.point.set}@{result.point.seq}"
    if result.findings:
        return f"{name} is DAMAGED, {counted(len(result.findings), 'finding')}; the first: {result.findings[0]}"
    read = f" and {counted(result.checked_records, 'record')} read" if level == "full" else ""
    if not result.is_everything_read:
        return f"{name}: not everything was read; {archived_note(result)}"
    return f"{name}: no damage found; {counted(result.checked_objects, 'object')} checked{read} ({level})"


def dropped_text(result: ValidationResult) -> str:
    """The sentence about data that the point does not contain any more."""
    return (
        f"Not in the point any more, because it is older than maximum_age: data of {result.dropped_objects:,} objects."
    )


def validation_summary(result: ValidationResult, level: Level, seconds: float) -> str:
    """The verdict in markdown, with the number of findings and the first of them (`MOST_NOTES`). `seconds` is the
    duration."""
    point = result.point
    verdict, note = verdict_text(result), archived_note(result)
    unpinned = (
        "The program has no write permission for the repository, so the point was not pinned during the validation."
    )
    return "\n".join(
        (
            f"## {point.set}@{point.seq}: {verdict}",
            "",
            "| | |",
            "| --- | --- |",
            f"| level | {level} |",
            f"| point of | {format_time(point.time_ms)}, {point.status} |",
            f"| objects checked | {result.checked_objects:,} |",
            f"| records read | {result.checked_records:,} |" if level == "full" else "| records read | none |",
            f"| bytes read | {size_text(result.checked_bytes)} |",
            f"| took | {duration_text(seconds)} |",
            "",
            *(() if result.is_pinned else (unpinned, "")),
            *(() if note is None else (note, "")),
            *((dropped_text(result), "") if result.dropped_objects else ()),
            *listed("Damage", [str(finding) for finding in result.findings]),
        )
    )
