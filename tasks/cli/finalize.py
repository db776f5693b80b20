"""The command `kafka-backup finalize`: its output and its exit code."""

from __future__ import annotations

from pathlib import Path

from tasks.cli.exit_codes import INCOMPLETE, OK
from tasks.cli.inputs import log_notes, open_storage, with_state
from tasks.cli.session import Session
from tasks.config.adapters import cluster_access
from tasks.config.load import load_restore
from tasks.engine.target.finalize import finalize_restore, unwritten_positions
from tasks.model.counting import counted
from tasks.model.errors import ConfigError
from tasks.repository.repository import Repository
from tasks.repository.restores import StepDone, read_part, read_restore_plan, restore_parts

_MOST_LISTED = 5


def run_finalize(session: Session, restore: str | None, config: Path, *, state: str | None = None) -> int:
    """Apply the settings that a restore deferred. Returns the exit code: `INCOMPLETE` if positions of the restore are
    not written. May be called again. `state`: see `with_state`.

    Raises `ConfigError` that lists the newest restores if `restore` is None."""
    loaded = load_restore(config)
    log_notes(session, loaded.notes)
    repository = with_state(session, open_storage(session, loaded.file.storage), state)
    if restore is None:
        raise ConfigError(f"Name the restore to finalize. {_newest_restores(repository)}")
    with cluster_access(loaded.file.target, session.report_wait).admin(session.stop) as admin:
        changed = finalize_restore(repository, restore, admin)
    for topic in changed:
        names = ", ".join(topic.deferred) or "its settings"
        session.print(f"{topic.target}: {names} applied. Kafka can now delete old records.")
    if not changed:
        session.print(f"Restore {restore} has nothing to finalize.")
    records = repository.restore_state
    unwritten = unwritten_positions(
        read_restore_plan(records, restore), read_part(records, restore, "groups", StepDone)
    )
    lacks_positions = unwritten is not None
    if unwritten is not None:
        session.warn(unwritten)
    session.print_json(
        {
            "restore": restore,
            "finalized": [topic.target for topic in changed],
            "lacks_positions": lacks_positions,
        }
    )
    return INCOMPLETE if lacks_positions else OK


def _newest_restores(repository: Repository) -> str:
    """A sentence with the newest restores that are not finalized, newest first."""
    parts = restore_parts(repository.restore_state)
    waiting = [restore for restore, names in parts.items() if "finalized" not in names]
    if not waiting:
        return "There is none that is not finalized."
    named = ", ".join(waiting[: -_MOST_LISTED - 1 : -1])
    older = len(waiting) - _MOST_LISTED
    more = f" and {counted(older, 'older one')}" if older > 0 else ""
    return f"Not finalized, newest first: {named}{more}. `kafka-backup list --restores` shows what they did."
