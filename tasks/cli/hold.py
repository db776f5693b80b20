"""The command `kafka-backup hold`: sets, releases and lists the holds of a backup set."""

from __future__ import annotations

from pathlib import Path

from tasks.cli.exit_codes import OK
from tasks.cli.inputs import open_repository
from tasks.cli.session import Session
from tasks.engine.holds import add_hold, release_hold
from tasks.model.errors import ConfigError
from tasks.reports.figures import table_text
from tasks.repository.points import PointReference, format_time


def run_hold_add(
    session: Session, config: Path | None, storage: str | None, backup_id: str | None, name: str, reason: str, by: str
) -> int:
    """Set a hold on a set or on a point of it. Returns the exit code. Raises `ConfigError` for a point that is named by
    its time."""
    repository, set_of_file = open_repository(session, config, storage)
    reference = _reference(backup_id or set_of_file)
    points = None if reference.seq is None else [reference.seq]
    add_hold(repository, reference.set_name, name, points, reason=reason, by=by)
    what = reference.set_name if reference.seq is None else f"{reference.set_name}@{reference.seq}"
    session.print(f"{what} is under the hold {name!r}. It does not expire until the hold is released.")
    session.print_json({"hold": name, "set": reference.set_name, "points": points})
    return OK


def run_hold_release(
    session: Session, config: Path | None, storage: str | None, backup_id: str | None, name: str, reason: str, by: str
) -> int:
    """End a hold. Returns the exit code."""
    repository, set_of_file = open_repository(session, config, storage)
    set_name = _reference(backup_id or set_of_file).set_name
    release_hold(repository, set_name, name, reason=reason, by=by)
    session.print(f"The hold {name!r} of {set_name} is released.")
    session.print_json({"hold": name, "set": set_name})
    return OK


def run_hold_list(session: Session, config: Path | None, storage: str | None, backup_id: str | None) -> int:
    """List the holds of a set, or of all sets. Returns the exit code."""
    repository, set_of_file = open_repository(session, config, storage)
    named = backup_id or set_of_file
    sets = [_reference(named).set_name] if named else repository.set_names()
    holds = [(name, hold) for name in sets for hold in repository.state(name).holds.values()]
    rows = [
        (
            name,
            hold.name,
            "all" if hold.points is None else ", ".join(map(str, hold.points)),
            format_time(hold.since_ms),
            hold.by,
            hold.reason,
        )
        for name, hold in holds
    ]
    session.print(table_text(("SET", "HOLD", "POINTS", "SINCE", "BY", "REASON"), rows) if rows else "No holds.")
    session.print_json({"holds": [{"set": name, **hold.to_json()} for name, hold in holds]})
    return OK


def _reference(backup_id: str | None) -> PointReference:
    if backup_id is None:
        raise ConfigError("Name the backup set or the point: --backup-id SET or SET@NUMBER.")
    reference = PointReference.parse(backup_id)
    if reference.time_ms is not None:
        raise ConfigError("Name the point with its number: --backup-id SET@NUMBER.")
    return reference
