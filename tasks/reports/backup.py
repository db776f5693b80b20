"""The report of a backup by a flow: a table with a row per partition, a headline and a summary. Also for the command: a
point as a JSON document, the events about a point, and the lines about an adopted run, a new base and a failed cycle.
Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from tasks.engine.backup_steps import FinishedRun
from tasks.engine.capture.capture_result import CaptureResult
from tasks.engine.commit.completeness import MissingPositions, NewPoint, PointRange
from tasks.engine.commit.incremental_point import TOPIC_CREATED_AGAIN, TOPIC_DELETED
from tasks.model.counting import counted
from tasks.model.errors import KafkaBackupError
from tasks.model.labels import labels_text
from tasks.model.partition import Partition
from tasks.reports.figures import duration_text, note_text, noted_partitions, point_notes, size_text, table_cell
from tasks.reports.partitions import Row, listed, shortened
from tasks.reports.shrinkage import shrinkage_lines
from tasks.repository.entries import PartitionNote, PointEntry, Status
from tasks.repository.plans import Plan
from tasks.repository.points import format_time

_STATUS: Mapping[Status, str] = {"complete": "is complete", "gaps": "has gaps", "partial": "is partial"}


def partition_rows(taken: NewPoint, captured: Sequence[CaptureResult]) -> list[Row]:
    """A row for each partition of the point, and for each that should be in it. Rows with a note come first. The rows
    of an incremental run are those of partitions that it has read or that have a note.

    `records` and `bytes` are the figures of this run, `first` and `next` the offsets in the point. They do not belong
    together if a partition failed, because the point then keeps the offsets of an earlier run.
    """
    ranges = {one.source: one for bin_ in captured for one in bin_.ranges}
    held = {one.source: one for one in taken.ranges}
    notes = _notes(taken.point, held)
    shown = {*held, *ranges, *notes} if taken.point.point_kind == "snapshot" else {*ranges, *notes}
    sources = sorted(shown, key=lambda source: (source not in notes, source))
    rows: list[Row] = []
    for source in sources:
        one, place = ranges.get(source), held.get(source)
        rows.append(
            {
                "topic": source.topic,
                "partition": source.partition,
                "first": place.first if place else None,
                "next": place.next if place else None,
                "records": one.records if one else 0,
                "bytes": one.log_bytes if one else 0,
                "seconds": round(one.seconds, 2) if one else 0.0,
                "gaps and failures": "; ".join(notes.get(source, ())),
            }
        )
    return shortened(rows)


def finished_run_text(run: FinishedRun) -> str:
    """What was adopted of a run that died, in one line."""
    entry = run.point.entry
    return (
        f"{entry.set}@{entry.seq} is the point of run {entry.run}, whose process died. It contains "
        f"{counted(run.objects, 'object')} with {counted(run.records, 'record')} that this process had stored; the "
        "rest was read now."
    )


def failed_cycle_text(error: KafkaBackupError) -> str:
    """The report of a cycle of a continuous backup that failed, when the next cycle can succeed."""
    return f"this cycle failed and is tried again: {error}"


def point_document(point: PointEntry, groups: MissingPositions, read_records: int) -> dict[str, object]:
    """A new point for `--json`. `read_records` were read by its run."""
    return {
        "point": {**point.to_json(), "labels": point.labels},
        "groups": groups._asdict(),
        "records_read": read_records,
        "events": [{"event": event, "message": sentence} for event, sentence in notable_events(point)],
    }


def full_run_text(plan: Plan) -> str:
    """Why an incremental backup reads everything. Empty if it does not."""
    if plan.kind != "snapshot":
        return ""
    reason = "a new base is due" if plan.based_on is not None else "the set has no restore point yet"
    return f"{plan.set}: this run reads everything, because {reason}."


def partitions_to_read(plan: Plan) -> int:
    """The number of partitions of a plan with something to read, or of all partitions of a snapshot."""
    return sum(part.start < part.end or plan.kind == "snapshot" for part in plan.partitions)


def notable_events(point: PointEntry) -> Iterator[tuple[str, str]]:
    """(event, sentence) of everything in a point that somebody should know at once. One for each kind and topic."""
    name = f"{point.set}@{point.seq}"
    for topic, notes in _by_topic(point.gaps):
        text = f"{name}: {topic}: {_lost_text(notes)} are not in the backup: {notes[0].reason}."
        yield "kafka-backup.gap.found", text
    for topic, notes in _by_topic(point.truncated):
        text = f"{name}: {topic}: the cluster lost {_lost_text(notes)} of the earlier points and has other records now."
        yield "kafka-backup.log.truncated", text
    for topic, notes in _by_topic(point.stalled):
        yield "kafka-backup.transaction.stalled", f"{name}: {topic}: {_lost_text(notes)}: {notes[0].reason}."
    for topic, notes in _by_topic(point.ended):
        event = _ENDINGS.get(notes[0].reason)
        if event is not None:
            yield event, f"{name}: {notes[0].reason}: {topic} ({notes[0].topic_id}). The point keeps its records."


_ENDINGS = {
    TOPIC_CREATED_AGAIN: "kafka-backup.topic.recreated",
    TOPIC_DELETED: "kafka-backup.topic.deleted",
}


def _by_topic(notes: Sequence[PartitionNote]) -> Iterator[tuple[str, Sequence[PartitionNote]]]:
    found: dict[tuple[str, str], list[PartitionNote]] = defaultdict(list)
    for note in notes:
        found[note.topic, note.topic_id].append(note)
    return ((topic, own) for (topic, _), own in sorted(found.items()))


def _lost_text(notes: Sequence[PartitionNote]) -> str:
    count = sum((note.next or 0) - (note.first or 0) for note in notes)
    first = notes[0]
    return f"{counted(count, 'offset')} (first: partition {first.partition}, {first.first} to {(first.next or 0) - 1})"


def backup_headline(taken: NewPoint) -> str:
    """The point and what it contains, in one line."""
    point, totals = taken.point, taken.point.totals
    notes = len([*point.gaps, *point.failures, *taken.groups.failures])
    missing = f", {counted(notes, 'gap or failure', 'gaps and failures')}" if notes else ""
    contents = f"{counted(totals.partitions, 'partition')}, {counted(totals.records, 'record')}"
    news = ""
    if point.point_kind != "snapshot":
        news = f", {counted(taken.read_records, 'record')} new" if taken.has_news else ", nothing new"
    shrunk = f"; {point.shrunk.counts.text(point.set)}" if point.shrunk else ""
    return f"{point.set}@{point.seq} {_STATUS[point.status]}: {contents}{news}{missing}{shrunk}"


def backup_summary(taken: NewPoint, seconds: float, recipe: str) -> str:
    """The point in markdown, with its notes. `seconds` is the duration of the run; `recipe` shows how to restore the
    point."""
    point, totals = taken.point, taken.point.totals
    notes = [*point_notes(point), *taken.groups.notes()]
    return "\n".join(
        (
            f"## {point.set}@{point.seq} {_STATUS[point.status]}",
            "",
            "| | |",
            "| --- | --- |",
            f"| taken | {format_time(point.time_ms)}, in {duration_text(seconds)} |",
            f"| cluster | {point.cluster_label or point.cluster_id} |",
            f"| topics | {totals.topics:,} |",
            f"| partitions | {totals.partitions:,} |",
            f"| records | {totals.records:,} |",
            f"| log | {size_text(totals.log_bytes)}, stored in {size_text(totals.stored_bytes)} |",
            f"| objects | {totals.objects:,} |",
            *([f"| labels | {table_cell(labels_text(point.labels))} |"] if point.labels else []),
            "",
            *listed("Gaps, failures and other notes", notes),
            *listed("Less than before", list(shrinkage_lines(point))),
            "### Restore it",
            "",
            recipe,
        )
    )


def _notes(point: PointEntry, held: Mapping[Partition, PointRange]) -> dict[Partition, list[str]]:
    """The notes on each partition: failures, gaps and trimmed ranges as `kafka-backup backup` prints them, without the
    partition's name, and a note if its row is kept from an earlier point."""
    notes: dict[Partition, list[str]] = defaultdict(list)
    for kind, ones in noted_partitions(point):
        for one in ones:
            source = Partition(one.topic, one.topic_id, one.partition)
            notes[source].append(note_text(kind, one).replace(f" {source}:", ""))
    for source, place in held.items():
        if place.is_kept:
            notes[source].append("the point keeps what an earlier run has read")
    return notes
