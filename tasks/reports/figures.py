"""Sizes, times, offsets and tables as text, and the lines about a point: its first line, and its notes on gaps,
failures, truncated logs and ended topics. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tasks.model.counting import counted
from tasks.repository.points import format_time

if TYPE_CHECKING:
    from tasks.repository.entries import PartitionNote, PointEntry


def size_text(count: float) -> str:
    """Bytes in binary units: `1.4 GiB`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(count) < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def duration_text(seconds: float) -> str:
    """A duration: `0.4 s`, `12.0 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def table_text(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table of text: columns under their names. Columns of whole numbers are aligned to the right."""
    cells = [[f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row] for row in rows]
    widths = [max(len(line[column]) for line in [list(head), *cells]) for column in range(len(head))]
    numeric = [bool(rows) and all(isinstance(row[column], int) for row in rows) for column in range(len(head))]
    lines = [
        "  ".join(
            cell.rjust(width) if is_number else cell.ljust(width)
            for cell, width, is_number in zip(line, widths, numeric, strict=True)
        ).rstrip()
        for line in [list(head), *cells]
    ]
    return "\n".join(lines)


def table_cell(text: str) -> str:
    """The text with escapes for the characters that would end a cell of a markdown table: names can contain them."""
    return text.replace("|", "\\|").replace("\n", " ")


def point_line(point: PointEntry, read_records: int | None = None) -> str:
    """The first line about a point: `orders@3  2026-11-22T10:00:00.000Z  incremental, complete, 12 records new`.
    `read_records` were read by its run; with None the line does not say how many are new."""
    line = f"{point.set}@{point.seq}  {format_time(point.time_ms)}  {point.point_kind}, {point.status}"
    return line if read_records is None else f"{line}, {news_text(read_records)}"


def news_text(read_records: int) -> str:
    """`12 records new`, or `nothing new`."""
    return f"{counted(read_records, 'record')} new" if read_records else "nothing new"


def point_notes(point: PointEntry) -> Iterator[str]:
    """The notes of the point on single partitions: trimmed ranges, gaps, failures, truncated logs and ended topics."""
    for kind, notes in noted_partitions(point):
        for note in notes:
            yield note_text(kind, note)
    yield from ended_topics(point)
    yield from (f"warning: {text}" for text in point.warnings)


def noted_partitions(point: PointEntry) -> Iterator[tuple[str, Sequence[PartitionNote]]]:
    """(kind, notes) for each kind of note on single partitions."""
    yield from (
        ("trimmed", point.trimmed),
        ("gap", point.gaps),
        ("failure", point.failures),
        ("truncated", point.truncated),
    )


def ended_topics(point: PointEntry) -> Iterator[str]:
    """A line for each topic that an incremental run does not read any more."""
    for topic, topic_id, reason in sorted({(note.topic, note.topic_id, note.reason) for note in point.ended}):
        yield f"ended: {topic} ({topic_id}): {reason}; the point keeps its records"


def note_text(kind: str, note: PartitionNote) -> str:
    """A gap, a trimmed range or a failure in one line. Both offsets belong to the range."""
    place = f"{note.topic}-{note.partition}"
    if note.first is None or note.next is None:
        return f"{kind}: {place}: {note.reason}"
    return f"{kind}: {place}: offsets {note.first} to {note.next - 1}: {note.reason}"
