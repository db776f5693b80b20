"""The command `kafka-backup list`: the tables of sets and points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from tasks.cli.exit_codes import OK
from tasks.cli.inputs import freeze_json, open_repository, print_freeze, with_state
from tasks.cli.list_marks import list_marks
from tasks.cli.list_restores import list_restores
from tasks.cli.session import Session
from tasks.engine.retention.fate import expired_points
from tasks.engine.space import Space, space_of_set
from tasks.model.counting import counted
from tasks.model.errors import ConfigError
from tasks.model.labels import check_label_rule, find_label, labels_text
from tasks.reports.audit import fate_document
from tasks.reports.figures import size_text, table_text
from tasks.reports.space import space_table
from tasks.repository.points import format_time
from tasks.repository.repository import Repository
from tasks.repository.set_state import PointSummary

_POINT_HEAD = ("POINT", "TIME", "KIND", "STATUS", "TOPICS", "PARTITIONS", "RECORDS", "LOG", "STORED")
_EXPIRED_HEAD = ("POINT", "TIME", "KIND", "RECORDS", "EXPIRED", "UNTIL")


def run_list(
    session: Session,
    config: Path | None,
    storage: str | None,
    *,
    restores: bool,
    expired: bool = False,
    marks: bool = False,
    labels: Sequence[str] = (),
    space: bool = False,
    state: str | None = None,
) -> int:
    """Print the sets and their points; with `restores` the restores, with `marks` the marks, with `expired` the points
    that can be brought back. With `labels` only the points that have all of them; with `space` also what they take in
    the store. Returns the exit code. `state`: see `with_state`."""
    for rule in labels:
        check_label_rule(rule)
    if restores and marks:
        raise ConfigError("--restores and --marks cannot be combined. Give one of them.")
    if (restores or marks) and (labels or space or expired):
        option = "--label" if labels else "--space" if space else "--expired"
        other = "--restores" if restores else "--marks"
        raise ConfigError(f"{option} is about restore points. Leave it out, or leave out {other}.")
    if expired and space:
        raise ConfigError("--space is about points that have not expired. Leave it out, or leave out --expired.")
    repository, _ = open_repository(session, config, storage)
    repository = with_state(session, repository, state)
    if marks:
        return list_marks(session, repository)
    if restores:
        return list_restores(session, repository)
    if expired:
        return _list_expired(session, repository, labels)
    return _list_points(session, repository, labels, with_space=space)


def _list_points(session: Session, repository: Repository, labels: Sequence[str], *, with_space: bool) -> int:
    states = {name: repository.state(name) for name in repository.set_names()}
    sets = {
        name: [point for point in state.points.values() if _has_labels(point, labels)] for name, state in states.items()
    }
    listed = [(name, point) for name, points in sets.items() for point in points]
    session.print(_points_text(listed) if listed else f"There is no restore point {_place(repository, labels)}.")
    for name, point in listed:
        if point.shrunk is not None:
            session.print(f"{name}@{point.seq}: {point.shrunk.text(name)}")
    expired = sum(len(state.expired) for state in states.values())
    if expired:
        session.print(f"{counted(expired, 'expired point')} can be brought back: see `kafka-backup list --expired`.")
    spaces = _spaces(session, repository, sets) if with_space else {}
    freeze = repository.freeze()
    print_freeze(session, freeze)
    session.print_json(
        {
            "repository_id": repository.root.repository_id,
            **({"note": repository.note} if repository.note else {}),
            "frozen": freeze_json(freeze),
            "sets": {
                name: {"points": [_point_document(point, spaces.get(name, {})) for point in points]}
                for name, points in sets.items()
            },
        }
    )
    return OK


def _has_labels(point: PointSummary, labels: Sequence[str]) -> bool:
    return all(find_label(point.labels, rule) for rule in labels)


def _list_expired(session: Session, repository: Repository, labels: Sequence[str]) -> int:
    found = [
        (name, point, fate)
        for name in repository.set_names()
        for point, fate in expired_points(repository.log(name), repository.state(name))
        if _has_labels(point, labels)
    ]
    rows = [
        (
            f"{name}@{point.seq}",
            format_time(point.time_ms),
            point.point_kind,
            point.totals.records,
            format_time(fate.expired.time_ms),
            format_time(fate.until_ms) if fate.until_ms else "held",
        )
        for name, point, fate in found
    ]
    session.print(
        table_text(_EXPIRED_HEAD, rows) if rows else f"There is no expired point {_place(repository, labels)}."
    )
    session.print_json(
        {
            "expired": [
                {"set": name, "point": {**point.to_json(), "labels": point.labels}, **fate_document(fate)}
                for name, point, fate in found
            ]
        }
    )
    return OK


def _spaces(
    session: Session, repository: Repository, sets: Mapping[str, Sequence[PointSummary]]
) -> dict[str, Mapping[int, Space]]:
    """Print and return the space of the points of each set."""
    found: dict[str, Mapping[int, Space]] = {}
    for name, points in sets.items():
        total_bytes, found[name] = space_of_set(repository.log(name), [point.seq for point in points])
        session.print(f"\n{space_table(name, total_bytes, found[name])}")
    return found


def _point_document(point: PointSummary, spaces: Mapping[int, Space]) -> dict[str, object]:
    space = spaces.get(point.seq)
    return {**point.to_json(), "labels": point.labels, **({"space": asdict(space)} if space else {})}


def _place(repository: Repository, labels: Sequence[str]) -> str:
    chosen = f" with the {'label' if len(labels) == 1 else 'labels'} {', '.join(labels)}" if labels else ""
    return f"at {repository.store.location}{chosen}"


def _points_text(listed: Sequence[tuple[str, PointSummary]]) -> str:
    """The table of points. It has the column of labels only if one of them has a label."""
    rows = [_point_row(name, point) for name, point in listed]
    if not any(point.labels for _, point in listed):
        return table_text(_POINT_HEAD, rows)
    labels = [labels_text(point.labels) for _, point in listed]
    return table_text((*_POINT_HEAD, "LABELS"), [(*row, text) for row, text in zip(rows, labels, strict=True)])


def _point_row(name: str, point: PointSummary) -> tuple[object, ...]:
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
