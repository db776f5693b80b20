"""The command `kafka-backup check`: makes the job from a file, prints the rows, and computes the exit code from
them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tasks.cli.exit_codes import FAILED, INCOMPLETE, OK, exit_code_of_class
from tasks.cli.inputs import log_notes
from tasks.cli.restore import restore_request
from tasks.cli.session import Session, now_ms
from tasks.config.check_context import check_context
from tasks.config.load import load_job
from tasks.config.models import BackupFile, RestoreFile
from tasks.engine.check import check
from tasks.engine.checks.items import CheckItem, count_text
from tasks.engine.checks.jobs import BackupJob, CheckJob, RestoreJob
from tasks.engine.options import BackupOptions
from tasks.reports.check import check_document, check_text, open_questions
from tasks.repository.names import check_set_name
from tasks.repository.points import PointReference


def run_check(session: Session, config: Path) -> int:
    """Check that the backup or restore in the file can run, and print a row for each item. Returns the exit code."""
    loaded = load_job(config)
    log_notes(session, loaded.notes)
    file = loaded.file
    section = file.source if isinstance(file, BackupFile) else file.target
    context = check_context(section, file.storage, now_ms=now_ms, stop=session.stop)
    session.stops_gracefully = True
    items = check(context, job_of(file), started=lambda step: session.log(f"checking {step} …"))
    session.print(check_text(items))
    session.print(count_text(items))
    session.print_json(check_document(items))
    return code_of(items)


def job_of(file: BackupFile | RestoreFile) -> CheckJob:
    """The backup or the restore that the file describes, as a job to check. Raises `ConfigError` for a wrong name of a
    set or a wrong point reference."""
    if isinstance(file, RestoreFile):
        return RestoreJob(reference=PointReference.parse(file.backup_id), request=restore_request(file))
    options = BackupOptions.model_validate({name: getattr(file.backup, name) for name in BackupOptions.model_fields})
    return BackupJob(set_name=check_set_name(file.backup_id), topics=file.source.topics, options=options)


def code_of(items: Sequence[CheckItem]) -> int:
    """The exit code of the first item that stops the job: the job would end with it. If no item stops the job, but an
    item that the job needs is unknown, `INCOMPLETE`; otherwise `OK`."""
    for item in items:
        if item.stops_the_job:
            return FAILED if item.error is None else exit_code_of_class(item.error)
    return INCOMPLETE if open_questions(items) else OK
