"""`kafka-backup list` and `kafka-backup describe`"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from tasks.cli.backup import note_text
from tasks.cli.exit_codes import OK
from tasks.cli.figures import size_text, table_text
from tasks.cli.session import Session
from tasks.model.errors import ConfigError

if TYPE_CHECKING:
    from tasks.repository.entries import PointEntry
    from tasks.repository.partition_table import Row
    from tasks.repository.repository import Repository
    from tasks.repository.set_state import PointSummary
    from tasks.repository.state_objects import GroupsState, TopicsState

_HEAD = ("POINT", "TIME", "KIND", "STATUS", "TOPICS", "PARTITIONS", "RECORDS", "LOG", "STORED")


def run_list(current: Session, repository: Repository, *, restores: bool) -> int:
    """Sets and their points, or restores. Returns the exit code."""
    if restores:
        return _list_restores(current, repository)
    states = {name: repository.state(name) for name in repository.set_names()}
    rows = [_row(name, point) for name, state in states.items() for point in state.points.values()]
    current.show(table_text(_HEAD, rows) if rows else f"No restore point at {repository.store.location}.")
    current.give(
        {
            "repository_id": repository.root.repository_id,
            "sets": {
                name: {"points": [point.to_json() for point in state.points.values()]} for name, state in states.items()
            },
        }
    )
    return OK


def run_describe(current: Session, repository: Repository, backup_id: str | None) -> int:
    """One point with its partitions, gaps and groups. Returns the exit code."""
    from tasks.repository.points import read_rows
    from tasks.repository.state_objects import GroupsState, TopicsState, read_state

    point = chosen_point(current, repository, backup_id)
    rows = read_rows(repository.store, point)
    topics = read_state(repository.store, point.topics, TopicsState)
    groups = read_state(repository.store, point.groups, GroupsState) if point.groups else None
    _show_point(current, point, list(rows.values()), topics, groups)
    current.give(
        {
            "point": point.to_json(),
            "partitions": [row.to_json() for row in rows.values()],
            "topics": topics.to_json(),
            "groups": groups.to_json() if groups else None,
        }
    )
    return OK


def chosen_point(current: Session, repository: Repository, backup_id: str | None) -> PointEntry:
    """The point that was asked for; says which one a bare set's name came to."""
    from tasks.repository.points import PointReference, format_time

    if backup_id is None:
        raise ConfigError("Name what is meant: --backup-id SET, SET@NUMBER or SET@TIME.")
    reference = PointReference.parse(backup_id)
    point = repository.point(reference)
    if reference.seq is None:
        current.say(f"{backup_id} is {point.set}@{point.seq} of {format_time(point.time_ms)}, {point.status}.")
    return point


def _row(name: str, point: PointSummary) -> tuple[object, ...]:
    from tasks.repository.points import format_time

    totals = point.totals
    return (
        f"{name}@{point.seq}",
        format_time(point.time_ms),
        point.point_kind,
        point.status,
        totals.topics,
        totals.partitions,
        totals.records,
        size_text(totals.log_bytes),
        size_text(totals.stored_bytes),
    )


def _show_point(
    current: Session, point: PointEntry, rows: list[Row], topics: TopicsState, groups: GroupsState | None
) -> None:
    from tasks.repository.points import format_time

    label = f" ({point.cluster_label})" if point.cluster_label else ""
    totals = point.totals
    current.show(
        f"{point.set}@{point.seq}  {format_time(point.time_ms)}  {point.point_kind}, {point.status}\n"
        f"cluster {point.cluster_id}{label}, run {point.run}, {point.tool}\n"
        f"{totals.records:,} records, {size_text(totals.log_bytes)} of log in {size_text(totals.stored_bytes)}, "
        f"{totals.objects} objects\n"
    )
    partitions = [
        (row.topic, row.partition, row.first, row.next, _state_of(row))
        for row in sorted(rows, key=lambda row: row.source)
    ]
    current.show(table_text(("TOPIC", "PARTITION", "FIRST", "NEXT", "STATE"), partitions))
    for kind, notes in (("trimmed", point.trimmed), ("gap", point.gaps), ("failure", point.failures)):
        for note in notes:
            current.show(note_text(kind, note))
    _show_states(current, point, topics, groups)


def _state_of(row: Row) -> str:
    if row.failure:
        return f"behind: {row.failure}"
    return "live" if row.is_live else "ended"


def _show_states(current: Session, point: PointEntry, topics: TopicsState, groups: GroupsState | None) -> None:
    own = {topic.topic: len(topic.topic_settings()) for topic in topics.topics}
    settings = ", ".join(f"{name} {count}" for name, count in own.items() if count) or "none"
    current.show(f"\nsettings of their own: {settings}")
    current.show(f"ACLs: {topics.acls_absent or len(topics.acls)}")
    if groups is None:
        current.show(f"groups: {point.groups_failure or 'not asked for'}")
        return
    counts: dict[str, int] = defaultdict(int)
    for group in groups.groups:
        counts[group.group] = len(group.positions)
        if group.failure:
            current.show(f"group {group.group}: {group.failure}")
    current.show(f"groups: {', '.join(f'{name} ({count} positions)' for name, count in counts.items()) or 'none'}")
    for name in groups.not_covered:
        current.show(f"not covered: {name}")


def _list_restores(current: Session, repository: Repository) -> int:
    from tasks.repository.points import format_time
    from tasks.repository.restores import StepDone, read_part, read_restore_plan, restore_ids

    found = []
    for restore in restore_ids(repository.store):
        plan = read_restore_plan(repository.store, restore)
        steps = [
            step
            for step in ("replayed", "verified", "groups", "finalized")
            if read_part(repository.store, restore, step, StepDone) is not None
        ]
        waiting = [] if "finalized" in steps else [topic.target for topic in plan.topics if topic.deferred]
        found.append((plan, steps[-1] if steps else "planned", waiting))
    rows = [
        (
            plan.restore,
            format_time(plan.created_ms),
            f"{plan.set}@{plan.point}",
            len(plan.partitions),
            state,
            ", ".join(waiting) or "nothing",
        )
        for plan, state, waiting in found
    ]
    head = ("RESTORE", "TIME", "POINT", "PARTITIONS", "DONE", "TO FINALIZE")
    current.show(table_text(head, rows) if rows else "No restores.")
    current.give(
        {
            "restores": [
                {
                    "restore": plan.restore,
                    "time_ms": plan.created_ms,
                    "point": f"{plan.set}@{plan.point}",
                    "done": state,
                    "to_finalize": waiting,
                }
                for plan, state, waiting in found
            ]
        }
    )
    return OK
