"""The command `kafka-backup abandon`: the question before topics are deleted, its output and its exit code."""

from __future__ import annotations

import sys
from pathlib import Path

from tasks.cli.exit_codes import OK
from tasks.cli.inputs import log_notes, open_storage, with_state
from tasks.cli.session import Session
from tasks.config.adapters import cluster_access
from tasks.config.load import load_restore
from tasks.engine.run_context import ClusterContext
from tasks.engine.target.abandon import AbandonPlan, abandon_restore
from tasks.model.errors import ConfigError


def run_abandon(
    session: Session, restore: str, config: Path, *, delete_topics: bool, yes: bool, state: str | None = None
) -> int:
    """Give up a restore that did not end. `yes` confirms `delete_topics`. Returns the exit code. May be called again.
    `state`: see `with_state`."""
    loaded = load_restore(config)
    log_notes(session, loaded.notes)
    repository = with_state(session, open_storage(session, loaded.file.storage), state)
    cluster = cluster_access(loaded.file.target, session.report_wait)
    context = ClusterContext(repository=repository, cluster=cluster, stop=session.stop)

    def waiting(owner: str) -> None:
        session.log(f"Another writer ({owner}) has the lease of the restore. Waiting to see whether it is alive.")

    def planned(plan: AbandonPlan) -> None:
        if plan.deleted and not yes:
            _confirm(session, plan)

    with context.admin() as admin:
        done = abandon_restore(context, admin, restore, delete_topics=delete_topics, waiting=waiting, planned=planned)
    for line in abandon_lines(done):
        session.print(line)
    session.print_json(
        {
            "restore": restore,
            "deleted": sorted(done.deleted),
            "settings_given_back": sorted(done.changes),
            "kept": {name: list(names) for name, names in done.kept.items()},
            "left": dict(done.left),
        }
    )
    return OK


def abandon_lines(done: AbandonPlan) -> list[str]:
    """The printed result, one line for each topic. Pure."""
    given_back = [name for name in done.changes if name not in done.kept]
    return [
        *(f"{name}: deleted." for name in done.deleted),
        *(f"{name}: it has its settings again." for name in given_back),
        *(
            f"{name}: it has its settings, except {', '.join(names)}, so that Kafka deletes no restored record. Change "
            "them yourself, or delete the topic."
            for name, names in done.kept.items()
        ),
        *(f"{name}: not changed, because {reason}." for name, reason in done.left.items()),
        f"Restore {done.restore} is abandoned.",
    ]


def _confirm(session: Session, plan: AbandonPlan) -> None:
    """Raises `ConfigError` unless the answer is yes, and if stdin is not a terminal."""
    sentence = f"The topics {', '.join(plan.deleted)} will be deleted with all their records."
    if not sys.stdin.isatty():
        raise ConfigError(f"{sentence} Confirm this with --yes. Nothing was changed.")
    session.warn(f"{sentence} Type 'yes' to continue:")
    if sys.stdin.readline().strip() != "yes":
        raise ConfigError("The deletion was not confirmed. Nothing was changed.")
