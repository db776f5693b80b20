"""The command `kafka-backup thaw-objects`: asks the store for the archived objects of a point, and prints which of them
are back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tasks.cli.exit_codes import INCOMPLETE, OK
from tasks.cli.inputs import find_point, log_notes, open_storage
from tasks.cli.session import Session
from tasks.config.load import load_repository
from tasks.engine.run_context import RunContext
from tasks.engine.thaw_objects import thaw_objects
from tasks.model.errors import ConfigError
from tasks.reports.thaw_objects import thawed_text
from tasks.store.archive import RetrievalTier
from tasks.store.bucket import open_archive

_TIERS: tuple[RetrievalTier, ...] = ("Standard", "Bulk", "Expedited")


def run_thaw_objects(
    session: Session, config: Path, backup_id: str | None, *, topics: Sequence[str], days: int, tier: str
) -> int:
    """Ask for the archived objects of a point, or of some of its topics. Returns the exit code: `INCOMPLETE` while some
    cannot be read. Raises `ConfigError` for an unknown tier."""
    chosen = next((one for one in _TIERS if one.lower() == tier.lower()), None)
    if chosen is None:
        raise ConfigError(f"There is no tier {tier!r}: use {', '.join(_TIERS[:-1])} or {_TIERS[-1]}.")
    loaded = load_repository(config)
    log_notes(session, loaded.notes)
    file = loaded.file
    archive = open_archive(file.storage, stop=session.stop, on_waiting=session.report_wait)
    repository = open_storage(session, file.storage)
    point = find_point(session, repository, backup_id or file.backup_id)
    session.stops_gracefully = True
    context = RunContext(repository=repository, stop=session.stop)
    thawed = thaw_objects(context, archive, point, topics=topics, days=days, tier=chosen)
    later = "" if thawed.is_done else " Run the command again later."
    session.print(f"{point.name}: {thawed_text(thawed)}{later}")
    session.print_json(
        {
            "point": point.name,
            "needed": thawed.needed,
            "requested": thawed.requested,
            "archived": thawed.archived.to_json(),
        }
    )
    return OK if thawed.is_done else INCOMPLETE
