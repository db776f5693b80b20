"""Findings about the rules of a restore about records: what they leave out, whether the point has what they ask for,
and timestamps that make no sense."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from tasks.engine.options import RestoreOptions
from tasks.engine.record_filter.conditions import frame_extent
from tasks.engine.record_filter.filters import rule_labels
from tasks.engine.record_filter.odd_times import odd_kinds
from tasks.engine.target.findings import Finding
from tasks.engine.target.record_selection import mark_name
from tasks.engine.target.restore_plan import RestoreSource
from tasks.model.counting import counted
from tasks.model.quoting import quoted
from tasks.repository.marks import MarkedOffsets
from tasks.repository.points import format_time
from tasks.repository.repository import Repository
from tasks.repository.restores import PartitionCopy, RestorePlan

_SUBJECT = "records"
_LONG_DECODING_BYTES = 64 << 20
"""From this many log bytes on a finding names what has to be decoded."""


def selection_findings(
    repository: Repository, source: RestoreSource, plan: RestorePlan, options: RestoreOptions
) -> Iterator[Finding]:
    """All findings about the rules. Without rules only those about timestamps."""
    yield from _odd_times(source, plan)
    if not options.has_record_rules:
        return
    if source.mark is not None:
        yield from _mark_findings(repository, source, source.mark, options)
    yield from _short_partitions(source, options)
    if all(copy.selection is None for copy in plan.partitions):
        return  # archived data could not be counted
    yield from _empty_findings(source, plan)
    yield from _window_findings(source, options)
    yield from _rule_findings(plan, options)
    yield from _decoding(repository, source, plan, options)


def _mark_findings(
    repository: Repository, source: RestoreSource, mark: MarkedOffsets, options: RestoreOptions
) -> Iterator[Finding]:
    name, marked = quoted(mark_name(options)), {part.source: part for part in mark.partitions}
    ids = {topic.state.topic_id for topic in source.chosen}
    rows = {row.source: row for topic in source.chosen for row in topic.rows}
    chosen = options.source_partitions
    short = [
        part
        for part in mark.partitions
        if part.topic_id in ids
        and (chosen is None or part.partition in chosen)
        and (rows[part.source].next < part.end if part.source in rows else part.first < part.end)
    ]
    for part in short:
        has = f"only up to offset {rows[part.source].next}" if part.source in rows else "nothing"
        yield Finding(
            "error",
            str(part.source),
            f"the mark {name} is at offset {part.end}, and {source.point.name} contains {has} of the partition. "
            f"{_later_point(repository, source)}",
        )
    for partition in sorted(set(rows) - set(marked)):
        message = f"it did not exist when the mark {name} was set. Nothing of it is restored."
        yield Finding("warning", str(partition), message)


def _later_point(repository: Repository, source: RestoreSource) -> str:
    later = sorted(seq for seq in repository.state(source.point.set_name).points if seq > source.point.seq)
    if later:
        return f"Restore from a later point, for example {source.point.set_name}@{later[-1]}."
    return "Make another backup with `kafka-backup backup`, and restore from its point."


def _short_partitions(source: RestoreSource, options: RestoreOptions) -> Iterator[Finding]:
    for row in (row for topic in source.chosen for row in topic.rows):
        until = options.until_offset.get(row.topic, {}).get(row.partition)
        if until is not None and until > row.next:
            message = f"until_offset is {until}, and the point contains the partition only up to offset {row.next}."
            yield Finding("warning", str(row.source), message)


def _empty_findings(source: RestoreSource, plan: RestorePlan) -> Iterator[Finding]:
    """An error if the rules keep nothing at all, otherwise a warning for each topic of which they keep nothing."""
    kept, left_out = Counter[str](), Counter[str]()
    for copy in plan.partitions:
        kept[copy.topic] += copy.records
        left_out[copy.topic] += sum(copy.selection.left_out.values()) if copy.selection else 0
    if left_out.total() and not kept.total():
        yield Finding("error", _SUBJECT, f"the rules leave out every record. {_times_text(source)} Correct the rules.")
        return
    for topic in sorted(left_out):
        if left_out[topic] and not kept[topic]:
            message = f"the rules leave out all of its {counted(left_out[topic], 'record')}."
            yield Finding("warning", topic, message)


def _window_findings(source: RestoreSource, options: RestoreOptions) -> Iterator[Finding]:
    oldest, captured = _times(source)[0], _captured(source)
    start, end = options.time_window_start, options.time_window_end
    if start is not None and oldest is not None and start < oldest:
        message = f"the time window begins at {_time_text(start)}, before the oldest time that the index of the point "
        yield Finding("note", _SUBJECT, f"{message}shows, {_time_text(oldest)}.")
    if end is not None and captured is not None and end > captured:
        message = f"the time window ends at {_time_text(end)}, and the point has data until {format_time(captured)}."
        yield Finding("note", _SUBJECT, message)


def _rule_findings(plan: RestorePlan, options: RestoreOptions) -> Iterator[Finding]:
    """How many records each rule leaves out or selects."""
    left_out, selected = rule_counts(plan)
    for label, records in sorted(left_out.items()):
        yield Finding("note", _SUBJECT, f"{left_out_by(label, options)} {counted(records, 'record')} out.")
    for label in rule_labels(options.select, "select"):
        if selected[label]:
            yield Finding("note", _SUBJECT, f"the rule {quoted(label)} selects {counted(selected[label], 'record')}.")
        else:
            message = f"the rule {quoted(label)} selects no record, or only those that another rule selects."
            yield Finding("warning", _SUBJECT, message)
    for label in rule_labels(options.exclude, "exclude"):
        if not left_out[label]:
            yield Finding("warning", _SUBJECT, f"the rule {quoted(label)} leaves no record out.")


def rule_counts(plan: RestorePlan) -> tuple[Counter[str], Counter[str]]:
    """(records that are left out, records that are selected) by the label of the rule, of all partitions."""
    left_out, selected = Counter[str](), Counter[str]()
    for copy in plan.partitions:
        if copy.selection is not None:
            left_out.update(copy.selection.left_out)
            selected.update(copy.selection.selected)
    return left_out, selected


def left_out_by(label: str, options: RestoreOptions) -> str:
    """The rule with this label, with its verb."""
    named = rule_labels(options.exclude, "exclude")
    return f"the rule {quoted(label)} leaves" if label in named else f"{label} leaves"


def _decoding(
    repository: Repository, source: RestoreSource, plan: RestorePlan, options: RestoreOptions
) -> Iterator[Finding]:
    decoded = sum(copy.selection.decoded_log_bytes for copy in plan.partitions if copy.selection)
    if decoded < _LONG_DECODING_BYTES:
        return
    message = f"{decoded:,} log bytes have to be decoded, because the index does not show which of their records are "
    message += "restored."
    has_times = all(
        frame.min_ts is not None for lines in source.lines.values() for line in lines for frame in line.frames
    )
    has_window = options.time_window_start is not None or options.time_window_end is not None
    if has_window and not has_times:
        message += " Backups with index_timestamps: true have less to decode."
    yield Finding("note", _SUBJECT, f"{message}{_nearer_point(repository, source, options.time_window_end)}")


def _nearer_point(repository: Repository, source: RestoreSource, end_ms: int | None) -> str:
    """The first point after the window's end, if it is older than this one, and the latest one before it."""
    if end_ms is None:
        return ""
    log, name = repository.log(source.point.set_name), source.point.set_name
    points = repository.state(name).points
    later = [seq for seq, point in sorted(points.items()) if point.time_ms > end_ms and seq < source.point.seq]
    after = next((seq for seq in later if log.point(seq).entry.planned_ms > end_ms), None)
    if after is None:
        return ""
    before = [seq for seq, point in points.items() if point.time_ms <= end_ms]
    text = f" {name}@{after} is the first point after the end of the window, and has less to decode"
    if before:
        text += f"; {name}@{max(before)} is the latest one before it, and does not have the records from then to the "
        text += "end of the window"
    return f"{text}."


def _odd_times(source: RestoreSource, plan: RestorePlan) -> Iterator[Finding]:
    """A warning for each topic with timestamps that make no sense."""
    for topic in source.chosen:
        copies = [copy for copy in plan.partitions if copy.topic_id == topic.state.topic_id]
        counts, is_exact = Counter[str](), True
        for copy in copies:
            if copy.selection is not None:
                counts.update(copy.selection.odd_times)
                is_exact &= copy.selection.has_exact_odd_times
            else:
                counts.update(_shown_kinds(source, copy))
                is_exact = False
        if counts:
            kinds = ", ".join(f"{counted(number, 'record')} with {kind}" for kind, number in sorted(counts.items()))
            least = "" if is_exact else "at least "
            message = f"{least}{kinds}. A time window judges them by this number."
            yield Finding("warning", topic.state.topic, message)


def _shown_kinds(source: RestoreSource, copy: PartitionCopy) -> Mapping[str, int]:
    kinds = {
        kind
        for line in source.lines[copy.source]
        for frame in line.frames
        if frame.restorable
        for kind in odd_kinds(frame_extent(line, frame), line.newest_ms)
    }
    return dict.fromkeys(kinds, 1)


def _times(source: RestoreSource) -> tuple[int | None, int | None]:
    """(oldest, newest) time that the index shows."""
    frames = [frame for lines in source.lines.values() for line in lines for frame in line.frames if frame.restorable]
    lowest = [time_ms for one in frames if (time_ms := one.oldest_ts if one.min_ts is None else one.min_ts) is not None]
    highest = [one.max_ts for one in frames if one.max_ts is not None]
    return min(lowest, default=None), max(highest, default=None)


def _captured(source: RestoreSource) -> int | None:
    return max((line.newest_ms for lines in source.lines.values() for line in lines), default=None)


def _times_text(source: RestoreSource) -> str:
    oldest, newest = _times(source)
    if oldest is None or newest is None:
        return "The point has no records of these topics."
    return f"The point has records from {_time_text(oldest)} to {_time_text(newest)}."


def _time_text(time_ms: int) -> str:
    """A time for people. A number that is no time of a calendar stays a number."""
    try:
        return format_time(time_ms)
    except (ValueError, OverflowError, OSError):
        return f"{time_ms} ms"


def time_text(copies: Sequence[PartitionCopy]) -> str | None:
    """The oldest and the newest restored time, None if there are none or the restore has no rules."""
    found = [copy.selection for copy in copies if copy.selection is not None and copy.selection.newest_ms is not None]
    if not found:
        return None
    oldest = min(one.oldest_ms for one in found if one.oldest_ms is not None)
    newest = max(one.newest_ms for one in found if one.newest_ms is not None)
    about = "" if all(one.has_exact_times for one in found) else ", as far as the index shows them"
    return f"{_time_text(oldest)} to {_time_text(newest)}{about}"
