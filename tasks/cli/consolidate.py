"""The command `kafka-backup consolidate`: joins small data objects of the newest point of a set."""

from __future__ import annotations

from pathlib import Path

from tasks.cli.exit_codes import OK
from tasks.cli.inputs import open_repository
from tasks.cli.progress_bars import ProgressBar
from tasks.cli.session import Session
from tasks.engine.consolidate import WORKERS, consolidate_locally
from tasks.engine.run_context import RunContext
from tasks.model.counting import counted
from tasks.model.errors import ConfigError
from tasks.reports.consolidation import consolidation_document, consolidation_text, nothing_to_join_text
from tasks.reports.figures import size_text
from tasks.repository.names import check_set_name
from tasks.repository.plans import Plan


def run_consolidate(session: Session, config: Path | None, storage: str | None, backup_id: str | None) -> int:
    """Join the small data objects of the set's newest point. Returns the exit code. Raises `ConfigError` if no set is
    named, and what `consolidate_locally` raises."""
    repository, set_of_file = open_repository(session, config, storage)
    set_name = backup_id or set_of_file
    if set_name is None:
        raise ConfigError("Name the backup set: --backup-id SET.")
    check_set_name(set_name)
    session.stops_gracefully = True
    with ProgressBar(session) as bar:

        def planned(plan: Plan) -> None:
            total = sum(part.bytes for part in plan.partitions)
            ranges = counted(len(plan.partitions), "range")
            session.log(f"{plan.set}@{plan.based_on}: {ranges} to copy, {size_text(total)} of log.")
            bar.start("consolidating", total)

        context = RunContext(repository=repository, stop=session.stop, progress=bar)
        done = consolidate_locally(context, set_name, workers=WORKERS, planned=planned)
    session.print(nothing_to_join_text(set_name) if done is None else consolidation_text(done))
    for failure in done.left_out if done else ():
        session.print(f"left out: {failure.source}: {failure.reason}")
    session.print_json(consolidation_document(done))
    return OK
