"""The commands `kafka-backup freeze` and `thaw`: let nothing in a repository expire or be deleted, and end that."""

from __future__ import annotations

import getpass
from pathlib import Path

from tasks.cli.exit_codes import OK
from tasks.cli.inputs import freeze_json, open_repository
from tasks.cli.session import Session
from tasks.engine.freeze import freeze_repository, thaw_repository
from tasks.engine.run_context import RunContext
from tasks.repository.freeze import freeze_text


def run_freeze(session: Session, config: Path | None, storage: str | None, *, reason: str, by: str | None) -> int:
    """Freeze the repository. Returns the exit code."""
    repository, _ = open_repository(session, config, storage)
    session.stops_gracefully = True

    def waiting(owner: str) -> None:
        session.log(f"Waiting for the end of the prune of writer {owner}. The repository is already frozen.")

    context = RunContext(repository=repository, stop=session.stop)
    freeze = freeze_repository(context, reason=reason, by=by or getpass.getuser(), waiting=waiting)
    session.print(f"{freeze_text(freeze)}. Nothing expires or is deleted until `kafka-backup thaw`.")
    session.print_json({"frozen": freeze_json(freeze)})
    return OK


def run_thaw(session: Session, config: Path | None, storage: str | None, *, reason: str, by: str | None) -> int:
    """End the freeze of the repository. Returns the exit code."""
    repository, _ = open_repository(session, config, storage)
    thaw_repository(repository, reason=reason, by=by or getpass.getuser())
    session.print("The repository is not frozen any more. The next prune expires and deletes again.")
    session.print_json({"frozen": None})
    return OK
