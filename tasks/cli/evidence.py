"""The commands `kafka-backup evidence list` and `show`: read the reports of drills in a repository."""

from __future__ import annotations

from pathlib import Path

from tasks.cli.exit_codes import OK
from tasks.cli.inputs import open_repository
from tasks.cli.session import Session
from tasks.engine.evidence.register import read_register
from tasks.engine.evidence.report import DrillReport, Unknown
from tasks.engine.evidence.report_page import render_page
from tasks.engine.evidence.stored_reports import load_envelope, load_report, newest_drill
from tasks.model.errors import ConfigError, NotFoundError
from tasks.reports.evidence import register_json, register_text, report_text
from tasks.repository.repository import Repository


def run_evidence_list(session: Session, config: Path | None, storage: str | None, backup_id: str | None) -> int:
    """Print the register of drills. Returns the exit code."""
    repository, set_of_file = open_repository(session, config, storage)
    set_name = (backup_id or set_of_file or "").partition("@")[0]
    rows = read_register(repository.store, set_name or None)
    session.print(register_text(rows) if rows else "No drills have a report.")
    session.print_json({"topics": register_json(rows)})
    return OK


def run_evidence_show(
    session: Session,
    reference: str,
    config: Path | None,
    storage: str | None,
    *,
    html: Path | None,
    envelope: Path | None,
) -> int:
    """Print a report, and write its page and its envelope to files. Returns the exit code.

    Raises `NotFoundError` for an envelope of a report that is not signed, `DamagedError` if the envelope or the report
    is lost or damaged, and `ConfigError` for a file that cannot be written.
    """
    repository, _ = open_repository(session, config, storage)
    set_name, _, drill = reference.partition("@")
    stored = load_report(repository.store, set_name, drill or newest_drill(repository.store, set_name))
    session.print(report_text(stored.report, stored.sha256))
    session.print_json(stored.report.to_json())
    if html is not None:
        _write(session, html, render_page(stored.report, stored.sha256))
    if envelope is not None:
        _write(session, envelope, _envelope(repository, set_name, stored.report))
    return OK


def _envelope(repository: Repository, set_name: str, report: DrillReport) -> bytes:
    drill, key_id = report.identity.report_id, report.proof.key_id
    if isinstance(key_id, Unknown):
        raise NotFoundError(f"The report of the drill {drill} is not signed, so there is no envelope.")
    return load_envelope(repository.store, set_name, drill)


def _write(session: Session, path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}.") from None
    session.log(f"{path} is written.")
