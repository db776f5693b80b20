"""The command `kafka-backup describe`: prints one point with its topics, partitions, gaps and groups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from tasks.cli.exit_codes import OK
from tasks.cli.inputs import find_point, freeze_json, open_repository, print_freeze
from tasks.cli.session import Session
from tasks.engine.archived import ArchivedObjects, archived_of_point, archived_text, thaw_command
from tasks.engine.retention.fate import Fate, fate_of
from tasks.engine.space import Space, space_of_point
from tasks.model.counting import counted
from tasks.model.errors import DamagedError, NotFoundError
from tasks.model.labels import labels_text
from tasks.model.quoting import quoted
from tasks.reports.audit import fate_document, fate_lines
from tasks.reports.figures import point_line, point_notes, size_text, table_text
from tasks.reports.shrinkage import shrinkage_lines
from tasks.reports.space import space_lines
from tasks.repository.entries import PointEntry
from tasks.repository.partition_table import Row
from tasks.repository.points import PointReference, format_time
from tasks.repository.repository import Repository
from tasks.repository.restore_point import RestorePoint
from tasks.repository.state_objects import ClientsState, GroupsState, TopicsState


def run_describe(session: Session, config: Path | None, storage: str | None, backup_id: str | None) -> int:
    """Print one point with its partitions, gaps and groups, and if it has expired, when and why. Returns the exit code.
    Raises `NotFoundError` for a point that was removed, with when and why it went."""
    repository, set_of_file = open_repository(session, config, storage)
    named = backup_id or set_of_file
    fate = _fate(repository, named)
    if fate is None:
        point = find_point(session, repository, named)
    else:
        set_name = fate.expired.set
        session.print("\n".join(fate_lines(set_name, fate)))
        point = repository.log(set_name).point(fate.seq)
    entry, rows, topics, groups = point.entry, list(point.rows.values()), point.topics, point.groups
    summary = repository.state(point.set_name).summary(point.seq)
    labels = entry.labels if summary is None else summary.labels
    _print_point(session, entry, rows, labels)
    _print_topics(session, topics)
    _print_groups(session, entry, groups)
    _print_clients(session, point.clients)
    archived = _print_archived(session, point)
    space = _print_space(session, repository, point)
    freeze = repository.freeze(entry.set)
    print_freeze(session, freeze)
    session.print_json(
        {
            "frozen": freeze_json(freeze),
            "expired": fate_document(fate) if fate else None,
            "point": {**entry.to_json(), "labels": labels},
            "partitions": [row.to_json() for row in rows],
            "topics": topics.to_json(),
            "groups": groups.to_json() if groups else None,
            "clients": point.clients.to_json() if point.clients else None,
            "archived": archived.to_json() if archived else None,
            "space": asdict(space) if space else None,
        }
    )
    return OK


def _fate(repository: Repository, backup_id: str | None) -> Fate | None:
    """What became of the point if it has expired. None for another one. Raises `NotFoundError` if it was removed."""
    reference = PointReference.parse(backup_id) if backup_id else None
    if reference is None or reference.seq is None:
        return None
    name = reference.set_name
    fate = fate_of(repository.log(name), repository.state(name), reference.seq)
    if fate is not None and fate.removed is not None:
        raise NotFoundError(" ".join(fate_lines(name, fate)))
    return fate


def _print_space(session: Session, repository: Repository, point: RestorePoint) -> Space | None:
    """Print what the point takes in the store. Returns None if that is not known, because an index object is
    damaged."""
    try:
        space = space_of_point(repository, point.set_name, point.seq)
    except DamagedError as error:
        session.warn(f"The space of {point.name} is not known: {error}")
        return None
    for text in space_lines(space, point.drops):
        session.print(text)
    return space


def _print_point(session: Session, point: PointEntry, rows: list[Row], labels: Mapping[str, str]) -> None:
    label = f" ({point.cluster_label})" if point.cluster_label else ""
    totals = point.totals
    session.print(
        f"{point_line(point)}\n"
        f"cluster {point.cluster_id}{label}, run {point.run}, {point.tool}\n"
        f"{counted(totals.records, 'record')}, {size_text(totals.log_bytes)} of log in "
        f"{size_text(totals.stored_bytes)}, {counted(totals.objects, 'object')}\n"
        + (f"labels: {labels_text(labels)}\n" if labels else "")
    )
    partitions = [
        (row.topic, row.partition, row.first, row.next, _state_of(row))
        for row in sorted(rows, key=lambda row: row.source)
    ]
    session.print(table_text(("TOPIC", "PARTITION", "FIRST", "NEXT", "STATE"), partitions))
    for text in (*point_notes(point), *shrinkage_lines(point)):
        session.print(text)


def _print_archived(session: Session, point: RestorePoint) -> ArchivedObjects | None:
    """Print which objects of the point are archived. Returns None if that is not known, because an index object is
    damaged."""
    try:
        archived = archived_of_point(point)
    except DamagedError as error:
        session.warn(f"The archived objects of {point.name} are not known: {error}")
        return None
    if archived.objects:
        session.print(
            f"archived: {archived_text(archived)} with {size_text(archived.bytes)} cannot be read before "
            f"{thaw_command(point.name)} brought them back"
        )
    if archived.readable:
        until = f" until {format_time(archived.readable_until_ms)}" if archived.readable_until_ms is not None else ""
        session.print(f"archived: {counted(archived.readable, 'object')} can be read{until}")
    return archived


def _state_of(row: Row) -> str:
    if row.failure:
        return f"behind: {row.failure}"
    return "live" if row.is_live else "ended"


def _print_topics(session: Session, topics: TopicsState) -> None:
    counts = {topic.topic: len(topic.topic_settings()) for topic in topics.topics}
    settings = ", ".join(f"{name} {count}" for name, count in counts.items() if count) or "none"
    session.print(f"\nsettings set on topics: {settings}")
    session.print(f"ACLs: {topics.acls_absent or len(topics.acls)}")


def _print_groups(session: Session, point: PointEntry, groups: GroupsState | None) -> None:
    if groups is None:
        session.print(f"groups: {point.groups_failure or 'not included in this backup'}")
        return
    counts = [f"{quoted(group.group)} ({counted(len(group.positions), 'position')})" for group in groups.groups]
    session.print(f"groups: {', '.join(counts) or 'none'}")
    for group in groups.groups:
        for one in group.unsettled:
            session.print(
                f"group {quoted(group.group)}: an open transaction was about to replace the position on "
                f"{one.topic}-{one.partition}"
            )
        if group.failure:
            session.print(f"group {quoted(group.group)}: {group.failure}")
    for name in groups.not_covered:
        session.print(f"not covered: {name}")


def _print_clients(session: Session, clients: ClientsState | None) -> None:
    if clients is None:
        session.print("quotas and users: not included in this backup")
        return
    session.print(f"client quotas: {clients.quotas_absent or len(clients.quotas)}")
    session.print(f"users: {clients.users_absent or len(clients.users)}")
