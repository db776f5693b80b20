"""The command `kafka-backup list --restores`."""

from __future__ import annotations

from tasks.cli.exit_codes import OK, exit_code_of
from tasks.cli.session import Session
from tasks.engine.target.recorded_restore import recorded_restores
from tasks.model.errors import KafkaBackupError, UnsupportedError
from tasks.reports.restores import ListedRestore, restore_document, restores_text
from tasks.repository.leases import LeaseRecord, read_lease
from tasks.repository.names import restore_lease_key
from tasks.repository.repository import Repository


def list_restores(session: Session, repository: Repository) -> int:
    """List the restores that can be read, oldest first, and print the errors of the others. Returns the largest exit
    code of these errors, or `OK`."""
    unreadable: dict[str, KafkaBackupError] = {}
    recorded = list(recorded_restores(repository.restore_state, unreadable=unreadable.__setitem__))
    listed = [ListedRestore(one, _lease(repository, one.restore)) for one in reversed(recorded)]
    session.print(restores_text(listed))
    for reason in (*filter(None, (one.unwritten for one in listed)), *map(str, unreadable.values())):
        session.warn(reason)
    session.print_json(
        {
            "unreadable": {restore: str(error) for restore, error in unreadable.items()},
            "restores": [restore_document(one) for one in listed],
        }
    )
    return max(map(exit_code_of, unreadable.values()), default=OK)


def _lease(repository: Repository, restore: str) -> LeaseRecord | None:
    try:
        return read_lease(repository.restore_state, restore_lease_key(restore))
    except UnsupportedError:  # a later version wrote it
        return None
