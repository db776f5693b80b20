"""`kafka-backup finalize`"""

from __future__ import annotations

from pathlib import Path

from tasks.cli.exit_codes import INCOMPLETE, OK
from tasks.cli.inputs import log_notes
from tasks.cli.session import Session, now_ms
from tasks.config.adapters import cluster_access, store_of
from tasks.config.load import load_restore
from tasks.engine.target.finalize import finalize_restore, unwritten_positions
from tasks.repository.repository import Repository


def run_finalize(session: Session, restore: str, config: Path) -> int:
    """Apply the settings that a restore deferred. Returns the exit code."""
    loaded = load_restore(config)
    log_notes(session, loaded.notes)
    repository = Repository.open(store_of(loaded.file.storage, stop=session.stop), now_ms)
    with cluster_access(loaded.file.target).admin(session.stop) as admin:
        changed = finalize_restore(repository, restore, admin)
    for topic in changed:
        names = ", ".join(topic.deferred) or "its settings"
        session.print(f"{topic.target}: {names} applied. Kafka can now delete old records.")
    if not changed:
        session.print(f"Restore {restore} has nothing to finalize.")
    unwritten = unwritten_positions(repository, restore)
    lacks_positions = unwritten is not None
    if unwritten is not None:
        session.log(unwritten)
    session.print_json(
        {
            "restore": restore,
            "finalized": [topic.target for topic in changed],
            "lacks_positions": lacks_positions,
        }
    )
    return INCOMPLETE if lacks_positions else OK
