"""`kafka-backup finalize`"""

from __future__ import annotations

from pathlib import Path

from tasks.cli.exit_codes import INCOMPLETE, OK
from tasks.cli.options import log_notes
from tasks.cli.session import Session, now_ms


def run_finalize(current: Session, restore: str, config: Path) -> int:
    """Apply what a restore deferred. Returns the exit code."""
    from tasks.config.adapters import cluster_access, store_of
    from tasks.config.load import load_restore
    from tasks.engine.target.finalize import finalize_restore, positions_are_missing
    from tasks.repository.repository import Repository

    loaded = load_restore(config)
    log_notes(current, loaded.notes)
    repository = Repository.open(store_of(loaded.file.storage, stop=current.stop), now_ms)
    with cluster_access(loaded.file.target).admin(current.stop) as admin:
        changed = finalize_restore(repository, restore, admin)
    for topic in changed:
        current.print(
            f"{topic.target}: {', '.join(topic.deferred) or 'its settings'} applied; Kafka may now delete old records."
        )
    if not changed:
        current.print(f"Nothing of restore {restore} was waiting.")
    lacks_positions = positions_are_missing(repository, restore)
    if lacks_positions:
        current.log(f"The positions of groups that restore {restore} was asked for were never written.")
    current.print_json(
        {
            "restore": restore,
            "finalized": [topic.target for topic in changed],
            "lacks_positions": lacks_positions,
        }
    )
    return INCOMPLETE if lacks_positions else OK
