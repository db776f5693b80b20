"""The command `kafka-backup lifecycle`: shows the lifecycle rules of a bucket, and writes those of a set's policy."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from tasks.cli.exit_codes import INCOMPLETE, OK
from tasks.cli.inputs import log_notes, open_storage
from tasks.cli.session import Session
from tasks.config.load import load_policy
from tasks.engine.lifecycle import LifecyclePlan, apply_lifecycle, plan_lifecycle
from tasks.engine.run_context import RunContext
from tasks.model.errors import ConfigError
from tasks.reports.figures import table_text
from tasks.reports.lifecycle import HEADER, plan_document, plan_text, rule_rows
from tasks.repository.repository import Repository
from tasks.store.bucket import open_bucket_rules
from tasks.store.bucket_rules import BucketRules


def run_lifecycle_show(session: Session, config: Path, *, with_uploads: bool) -> int:
    """Print the rules of the bucket, what would change, and the findings. Returns the exit code: `INCOMPLETE` if there
    are findings."""
    plan, _, _ = _planned(session, config, with_uploads=with_uploads)
    _print_plan(session, plan)
    session.print_json(plan_document(plan))
    return _end(session, plan.findings)


def run_lifecycle_apply(session: Session, config: Path, *, with_uploads: bool, yes: bool) -> int:
    """Print the rules and what changes, write them, and read them back. Returns the exit code: `INCOMPLETE` if there
    are findings about the new state. Raises `ConfigError` without `yes` if nobody confirms it."""
    plan, bucket, repository = _planned(session, config, with_uploads=with_uploads)
    repository.require_not_frozen(plan.set_name)
    _print_plan(session, plan)
    if not plan.changes.is_empty:
        _confirm(session, plan, yes=yes)
    findings = apply_lifecycle(RunContext(repository=repository, stop=session.stop), bucket, plan)
    if not plan.changes.is_empty:
        session.print("The rules were written, and read back.")
    session.print_json({**plan_document(plan), "findings": list(findings), "is_changed": not plan.changes.is_empty})
    return _end(session, findings)


def _planned(session: Session, config: Path, *, with_uploads: bool) -> tuple[LifecyclePlan, BucketRules, Repository]:
    loaded = load_policy(config)
    log_notes(session, loaded.notes)
    file = loaded.file
    bucket = open_bucket_rules(file.storage, stop=session.stop, on_waiting=session.report_wait)
    repository = open_storage(session, file.storage)
    plan = plan_lifecycle(bucket, file.backup_id, file.retention, with_uploads=with_uploads)
    return plan, bucket, repository


def _print_plan(session: Session, plan: LifecyclePlan) -> None:
    rows = list(rule_rows(plan))
    session.print(table_text(HEADER, rows) if rows else "The bucket has no lifecycle rules.")
    session.print(f"\n{plan_text(plan)}")


def _confirm(session: Session, plan: LifecyclePlan, *, yes: bool) -> None:
    if yes:
        return
    sentence = f"This changes the lifecycle rules of the bucket of {plan.set_name}."
    if not sys.stdin.isatty():
        raise ConfigError(f"{sentence} Confirm this with --yes. Nothing was changed.")
    session.warn(f"{sentence} Type 'yes' to continue:")
    if sys.stdin.readline().strip() != "yes":
        raise ConfigError("The change of the rules was not confirmed. Nothing was changed.")


def _end(session: Session, findings: Iterable[str]) -> int:
    found = list(findings)
    for finding in found:
        session.warn(f"finding: {finding}")
    return INCOMPLETE if found else OK
