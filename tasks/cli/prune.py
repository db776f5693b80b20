"""The commands `kafka-backup prune` and `unexpire`: print the plan of a prune, carry it out, and bring expired points
back."""

from __future__ import annotations

import shlex
from pathlib import Path

from tasks.cli.exit_codes import ACCESS, OK
from tasks.cli.inputs import freeze_json, log_notes, open_repository, open_storage, print_freeze
from tasks.cli.session import Session
from tasks.config.load import load_policy
from tasks.engine.prune import plan_prune, prune_locally, unexpire
from tasks.engine.retention.plan_id import PlanId
from tasks.engine.run_context import RunContext
from tasks.model.errors import ConfigError
from tasks.reports.figures import table_text
from tasks.reports.retention import (
    HEADER,
    denied_text,
    plan_document,
    plan_rows,
    plan_text,
    pruned_document,
    pruned_text,
)
from tasks.repository.points import PointReference


def run_prune(session: Session, config: Path, *, plan_id: str | None, yes: bool, dry_run: bool = False) -> int:
    """Print the plan of a prune. With `yes` carry it out, with `plan_id` exactly the plan with this id.
    Returns the exit code. Raises `ConfigError` for `dry_run` together with one of them."""
    if dry_run and (yes or plan_id is not None):
        raise ConfigError("--dry-run changes nothing, so it cannot be combined with --yes or --execute.")
    loaded = load_policy(config)
    log_notes(session, loaded.notes)
    file = loaded.file
    repository = open_storage(session, file.storage)
    session.stops_gracefully = True
    context = RunContext(repository=repository, stop=session.stop)
    if plan_id is None and not yes:
        plan = plan_prune(context, file.backup_id, file.retention)
        session.print(table_text(HEADER, list(plan_rows(plan, repository.state(file.backup_id)))))
        session.print(f"\n{plan_text(plan)} Nothing was changed.")
        freeze = repository.freeze(file.backup_id)
        print_freeze(session, freeze)
        if not plan.is_empty and freeze is None:
            session.log(f"next: kafka-backup prune --config {shlex.quote(str(config))} --execute {plan.id}")
        session.print_json({**plan_document(plan), "frozen": freeze_json(freeze)})
        return OK
    done = prune_locally(context, file.backup_id, file.retention, plan_id=PlanId.parse(plan_id) if plan_id else None)
    session.print(pruned_text(done))
    session.print_json(pruned_document(done))
    denied = denied_text(done.deleted)
    if denied is not None:
        session.warn(denied)
        return ACCESS
    return OK


def run_unexpire(session: Session, config: Path | None, storage: str | None, backup_id: str | None) -> int:
    """Bring an expired point back. Returns the exit code. Raises `ConfigError` unless `backup_id` is `set@17`."""
    repository, _ = open_repository(session, config, storage)
    reference = PointReference.parse(backup_id) if backup_id else None
    if reference is None or reference.seq is None:
        raise ConfigError("Name the point with its number: --backup-id SET@NUMBER.")
    repository.state(reference.set_name)
    unexpire(repository, reference.set_name, reference.seq)
    session.print(f"{reference.set_name}@{reference.seq} can be used again.")
    session.print_json({"point": f"{reference.set_name}@{reference.seq}"})
    return OK
