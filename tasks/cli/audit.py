"""The command `kafka-backup audit show`: prints the logs of one set or of all sets, newest entry first."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from tasks.cli.exit_codes import OK
from tasks.cli.inputs import open_repository
from tasks.cli.session import Session, now_ms
from tasks.engine.audit import audit
from tasks.engine.options import duration_ms
from tasks.model.errors import ConfigError
from tasks.reports.audit import audit_document, audit_line
from tasks.repository.points import PointReference, parse_time


def run_audit_show(
    session: Session,
    config: Path | None,
    storage: str | None,
    backup_id: str | None,
    *,
    since: str | None,
    limit: int | None,
) -> int:
    """Print the entries of the set that is named or that the file names, or of all sets. Each line is printed as soon
    as its entry is read. Returns the exit code. Raises `ConfigError` if `backup_id` names a point, or `since` is
    neither a time nor a duration."""
    since_ms = None if since is None else _since_ms(since)
    repository, set_of_file = open_repository(session, config, storage)
    entries = islice(audit(repository, _set_name(backup_id or set_of_file), since_ms=since_ms), limit)
    if session.is_json:
        session.print_json({"entries": [audit_document(entry) for entry in entries]})
        return OK
    entry = None
    for entry in entries:
        session.print(audit_line(entry))
    if entry is None:
        session.print("There is no such entry.")
    return OK


def _set_name(backup_id: str | None) -> str | None:
    if backup_id is None:
        return None
    reference = PointReference.parse(backup_id)
    if reference != PointReference(reference.set_name):
        raise ConfigError(
            f"{backup_id} is a point. Name the set: --backup-id {reference.set_name}. "
            "`kafka-backup describe` shows what became of a point."
        )
    return reference.set_name


def _since_ms(text: str) -> int:
    at = parse_time(text)
    if at is not None:
        return at
    try:
        return now_ms() - duration_ms(text)
    except ValueError:
        raise ConfigError(
            f"--since {text} cannot be used: write a duration such as 7d, or a time such as 2026-11-22T10:00:00Z."
        ) from None
