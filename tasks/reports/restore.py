"""The report of a restore by a flow, or of its preview: a row per partition, a headline and a summary. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from tasks.engine.positions.translate import LeftOutPosition, PlannedPosition, TranslatedPosition
from tasks.engine.restore import RestoreResult
from tasks.engine.target.access import AccessResult
from tasks.engine.target.estimate import Estimate
from tasks.engine.target.findings import Finding, has_errors
from tasks.engine.target.selection_findings import rule_counts, time_text
from tasks.model.counting import counted
from tasks.model.quoting import quoted
from tasks.reports.figures import duration_text, size_text, table_cell
from tasks.reports.partitions import MOST_NOTES, Row, listed, shortened
from tasks.reports.recipe import Places, restore_file
from tasks.repository.restores import PartitionCopy, RestorePlan, Targets


def preview_rows(plan: RestorePlan, findings: Sequence[Finding]) -> list[Row]:
    """A row for each partition that a restore would write. Rows with a finding about their target come first."""
    rows: list[Row] = [
        {
            "from": f"{copy.topic}-{copy.partition}",
            "topic": copy.target_topic,
            "partition": copy.target_partition,
            "records": copy.records,
            **({} if copy.selection is None else {"left out": left_out_records(copy)}),
            "bytes": copy.log_bytes,
            "findings": "; ".join(str(finding) for finding in findings if _concerns(finding, copy)),
        }
        for copy in plan.partitions
    ]
    return shortened(sorted(rows, key=lambda row: not row["findings"]))


def restored_rows(result: RestoreResult, targets: Targets, seconds_of: Mapping[int, float]) -> list[Row]:
    """A row for each target partition, mismatches first. `first` and `next` are the target's offsets. `seconds_of` are
    the durations of the tasks in seconds, by the numbers of their bins."""
    plan, mismatches = result.plan, {one.target: one.message for one in reversed(result.mismatches)}
    bin_of = {index: number for number, bin_ in enumerate(plan.bins) for index in bin_}
    rows: list[Row] = [
        {
            "from": f"{copy.topic}-{copy.partition}",
            "topic": target.topic,
            "partition": target.partition,
            "first": target.base,
            "next": target.base + copy.records,
            "records": copy.records,
            **({} if copy.selection is None else {"left out": left_out_records(copy)}),
            "bytes": copy.log_bytes,
            "seconds": round(seconds_of[bin_of[index]], 2),
            "mismatch": mismatches.get(target.target, ""),
        }
        for index, (copy, target) in enumerate(zip(plan.partitions, targets.partitions, strict=True))
    ]
    return shortened(sorted(rows, key=lambda row: not row["mismatch"]))


def preview_headline(plan: RestorePlan, findings: Sequence[Finding]) -> str:
    """Whether the restore would be refused, in one line."""
    what = f"{plan.set}@{plan.point} into {counted(len(plan.topics), 'topic')}, "
    what += counted(len(plan.partitions), "partition")
    errors = [finding for finding in findings if finding.level == "error"]
    if errors:
        reasons = counted(len(errors), "reason")
        return f"{what}: REFUSED, {reasons}; the first: {errors[0].subject}: {errors[0].message}"
    warnings = sum(1 for finding in findings if finding.level == "warning")
    return f"{what}: it would not be refused" + (f"; {counted(warnings, 'warning')}" if warnings else "")


def preview_verdict(findings: Sequence[Finding]) -> str:
    """One sentence: whether a finding prevents the restore, and how many findings there are."""
    numbers = Counter(finding.level for finding in findings)
    counts = ", ".join(counted(numbers[level], level) for level in ("error", "warning", "note") if numbers[level])
    if not counts:
        return "There are no findings: nothing prevents the restore."
    return f"The restore would be refused: {counts}." if has_errors(findings) else f"Nothing prevents it: {counts}."


def preview_lines(plan: RestorePlan, positions_of: Mapping[str, int]) -> list[str]:
    """The lines of `selection_lines`, a line about the topics that would be created, one about those that exist, and
    one about group positions.
    `positions_of` are the numbers of positions by group."""
    new = [f"{topic.target} ({counted(topic.partitions, 'partition')})" for topic in plan.topics if not topic.exists]
    existing = [
        f"{topic.target} (purged: its records are deleted)" if topic.is_purged else topic.target
        for topic in plan.topics
        if topic.exists
    ]
    return [
        *selection_lines(plan),
        f"topics to create: {_named(new)}",
        f"topics that exist: {_named(existing)}",
        f"group positions {_use_of_positions(plan)}: "
        + _named([f"{quoted(group)} ({counted(count, 'position')})" for group, count in sorted(positions_of.items())]),
    ]


def estimate_text(estimate: Estimate) -> str:
    """How long the replay will take, and where the estimate comes from, in one line."""
    what = f"to write: {counted(estimate.records, 'record')}, {size_text(estimate.log_bytes)} of log"
    if estimate.seconds is None:
        return f"{what}; no earlier restore to this cluster shows how long it takes"
    basis = f"measured at {counted(estimate.measured, 'earlier restore')}" if estimate.measured else "by the rate limit"
    return f"{what}; about {duration_text(estimate.seconds)}, {basis}"


def selection_lines(plan: RestorePlan) -> list[str]:
    """What the rules of a restore about records keep and leave out, in two lines. Empty without such rules."""
    if all(copy.selection is None for copy in plan.partitions):
        return []
    left_out, _ = rule_counts(plan)
    named = [f"{counted(records, 'record')} by {quoted(label)}" for label, records in sorted(left_out.items())]
    return [
        f"times of the restored records: {time_text(plan.partitions) or 'none'}",
        f"left out: {_named(named)}",
    ]


def left_out_records(copy: PartitionCopy) -> int:
    """The number of records of a partition that the rules leave out."""
    return sum(copy.selection.left_out.values()) if copy.selection else 0


def positions_by_group(positions: Iterable[PlannedPosition]) -> dict[str, int]:
    """The number of positions of each group."""
    return dict(Counter(position.group for position in positions))


def preview_summary(plan: RestorePlan, findings: Sequence[Finding], positions_of: Mapping[str, int]) -> str:
    """The plan and its findings in markdown. `positions_of`: see `preview_lines`."""
    verdict = "would be refused" if has_errors(findings) else "would not be refused"
    return "\n".join(
        (
            f"## Restore of {plan.set}@{plan.point}: {verdict}",
            "",
            *_figures(plan),
            "",
            *(f"- {table_cell(line)}" for line in preview_lines(plan, positions_of)),
            "",
            *listed("Findings", [str(finding) for finding in findings]),
            preview_verdict(findings),
            "",
            "Nothing was changed.",
        )
    )


def restore_headline(result: RestoreResult) -> str:
    """The verdict and the figures behind it, in one line."""
    plan = result.plan
    name = f"restore {plan.restore} of {plan.set}@{plan.point}"
    if result.mismatches:
        first = result.mismatches[0]
        count = counted(len(result.mismatches), "MISMATCH", "MISMATCHES")
        return f"{name}: {count}; the first: {first.target}: {first.message}"
    failed = [one for one in result.positions if one.failure]
    unwritten = (
        f"; {counted(len(failed), 'position')} not written or not confirmed; first: {_position(failed[0])}"
        if failed
        else ""
    )
    refused = result.access.failures
    unwritten += f"; {counted(len(refused), 'ACL or quota', 'ACLs or quotas')} not written" if refused else ""
    to_finalize = f"; to finalize: {', '.join(result.deferred)}" if result.deferred else ""
    partitions = counted(len(plan.partitions), "partition")
    records = counted(sum(copy.records for copy in plan.partitions), "record")
    return f"{name}: verified, {partitions}, {records}{unwritten}{to_finalize}"


def restore_summary(result: RestoreResult, seconds: float, places: Places) -> str:
    """The result of a restore in markdown, with the settings that still have to be finalized. `seconds` is its
    duration."""
    plan = result.plan
    verdict = counted(len(result.mismatches), "mismatch", "mismatches") if result.mismatches else "verified"
    notes = [str(finding) for finding in result.findings]
    return "\n".join(
        (
            f"## Restore of {plan.set}@{plan.point}: {verdict}",
            "",
            *_figures(plan),
            f"| took | {duration_text(seconds)} |",
            "",
            *_as_list(selection_lines(plan)),
            *listed("Mismatches", [f"{one.target}: {one.message}" for one in result.mismatches]),
            *listed("Findings of the preflight", notes),
            *_positions(result.positions, are_written=result.positions_written),
            *listed("Positions left out", [left_out_text(one) for one in result.left_out]),
            *listed("ACLs and client quotas", access_lines(result.access)),
            *_to_finalize(result, places),
        )
    )


def access_lines(access: AccessResult) -> list[str]:
    """A line for each ACL and quota that was written, or that could not be written."""
    return [
        *(f"ACL added: {text}" for text in access.acls_added),
        *(f"quota set: {text}" for text in access.quotas_set),
        *(f"not written: {text}" for text in access.failures),
    ]


def left_out_text(position: LeftOutPosition) -> str:
    """A position that has no place in the restored topics, and the reason."""
    place = f"{position.topic}-{position.partition}"
    return f"{quoted(position.group)}: {place} at {position.offset}: {position.reason}"


def _named(names: Sequence[str]) -> str:
    """The names in one line: at most `MOST_NOTES`, and the number of the others."""
    more = [f"and {len(names) - MOST_NOTES:,} more"] if len(names) > MOST_NOTES else []
    return ", ".join([*names[:MOST_NOTES], *more]) or "none"


def _use_of_positions(plan: RestorePlan) -> str:
    if plan.options.get("consumer_group_strategy") == "skip":
        return "(left out by consumer_group_strategy: skip)"
    return (
        "to write" if plan.options.get("reset_consumer_offsets") else "to translate, reset_consumer_offsets writes them"
    )


def _concerns(finding: Finding, copy: PartitionCopy) -> bool:
    return finding.subject in (copy.target_topic, f"{copy.target_topic}-{copy.target_partition}")


def _as_list(lines: Sequence[str]) -> list[str]:
    """The lines as a list in markdown, with an empty line after it. Empty without lines."""
    return [*(f"- {table_cell(line)}" for line in lines), ""] if lines else []


def _figures(plan: RestorePlan) -> tuple[str, ...]:
    return (
        "| | |",
        "| --- | --- |",
        f"| restore | {plan.restore} |",
        f"| target cluster | {plan.cluster_id} |",
        f"| topics | {', '.join(topic.target for topic in plan.topics[:MOST_NOTES])} |",
        f"| partitions | {len(plan.partitions):,} |",
        f"| records | {sum(copy.records for copy in plan.partitions):,} |",
        f"| log | {size_text(sum(copy.log_bytes for copy in plan.partitions))} |",
    )


def _positions(positions: Sequence[TranslatedPosition], *, are_written: bool) -> list[str]:
    if not positions:
        return []
    done = "written" if are_written else "translated, not written"
    lines = [
        f"| {table_cell(quoted(one.group))} | {one.source_topic}-{one.source_partition} | {one.source_offset} "
        f"| {one.target_topic}-{one.target_partition} | {one.target_offset} "
        f"| {table_cell(_position_state(one, done))} |"
        for one in sorted(positions, key=lambda one: (not one.failure, not one.note))
    ]
    more = [f"| and {len(lines) - MOST_NOTES:,} more | | | | | |"] if len(lines) > MOST_NOTES else []
    head = ["| group | from | offset | to | offset | |", "| --- | --- | --- | --- | --- | --- |"]
    return ["### Group positions", "", *head, *lines[:MOST_NOTES], *more, ""]


def _position_state(position: TranslatedPosition, done: str) -> str:
    state = position.failure or done
    return f"{state}; {position.note}" if position.note else state


def _position(position: TranslatedPosition) -> str:
    return f"{quoted(position.group)}: {position.failure}"


def _to_finalize(result: RestoreResult, places: Places) -> list[str]:
    if not result.deferred:
        return []
    plan = result.plan
    return [
        "### To finalize",
        "",
        f"{', '.join(result.deferred)} keep a longer retention: their own settings would delete restored records. "
        f"To apply them: `kafka-backup finalize {plan.restore} --config restore.yaml` with",
        "",
        *restore_file(f"{plan.set}@{plan.point}", places, {}),
    ]
