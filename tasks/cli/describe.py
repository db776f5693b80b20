"""`kafka-backup describe`"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.cli.exit_codes import OK
from tasks.cli.options import chosen_point
from tasks.cli.session import Session
from tasks.reports.figures import point_notes, size_text, table_text

if TYPE_CHECKING:
    from tasks.repository.entries import PointEntry
    from tasks.repository.partition_table import Row
    from tasks.repository.repository import Repository
    from tasks.repository.state_objects import GroupsState, TopicsState


def run_describe(current: Session, repository: Repository, backup_id: str | None) -> int:
    """One point with its partitions, gaps and groups. Returns the exit code."""
    point = chosen_point(current, repository, backup_id)
    entry, rows, topics, groups = point.entry, list(point.rows.values()), point.topics, point.groups
    _show_point(current, entry, rows, topics, groups)
    current.print_json(
        {
            "point": entry.to_json(),
            "partitions": [row.to_json() for row in rows],
            "topics": topics.to_json(),
            "groups": groups.to_json() if groups else None,
        }
    )
    return OK


def _show_point(
    current: Session, point: PointEntry, rows: list[Row], topics: TopicsState, groups: GroupsState | None
) -> None:
    from tasks.repository.points import format_time

    label = f" ({point.cluster_label})" if point.cluster_label else ""
    totals = point.totals
    current.print(
        f"{point.set}@{point.seq}  {format_time(point.time_ms)}  {point.point_kind}, {point.status}\n"
        f"cluster {point.cluster_id}{label}, run {point.run}, {point.tool}\n"
        f"{totals.records:,} records, {size_text(totals.log_bytes)} of log in {size_text(totals.stored_bytes)}, "
        f"{totals.objects} objects\n"
    )
    partitions = [
        (row.topic, row.partition, row.first, row.next, _state_of(row))
        for row in sorted(rows, key=lambda row: row.source)
    ]
    current.print(table_text(("TOPIC", "PARTITION", "FIRST", "NEXT", "STATE"), partitions))
    for text in point_notes(point):
        current.print(text)
    _show_states(current, point, topics, groups)


def _state_of(row: Row) -> str:
    if row.failure:
        return f"behind: {row.failure}"
    return "live" if row.is_live else "ended"


def _show_states(current: Session, point: PointEntry, topics: TopicsState, groups: GroupsState | None) -> None:
    own = {topic.topic: len(topic.topic_settings()) for topic in topics.topics}
    settings = ", ".join(f"{name} {count}" for name, count in own.items() if count) or "none"
    current.print(f"\nsettings of their own: {settings}")
    current.print(f"ACLs: {topics.acls_absent or len(topics.acls)}")
    if groups is None:
        current.print(f"groups: {point.groups_failure or 'not asked for'}")
        return
    counts = [f"{group.group} ({len(group.positions)} positions)" for group in groups.groups]
    current.print(f"groups: {', '.join(counts) or 'none'}")
    for group in groups.groups:
        if group.failure:
            current.print(f"group {group.group}: {group.failure}")
    for name in groups.not_covered:
        current.print(f"not covered: {name}")
