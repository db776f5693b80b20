"""The command `kafka-backup validate`: the level, the printed findings, and the exit code."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path

from tasks.cli.exit_codes import DAMAGED, INCOMPLETE, OK
from tasks.cli.inputs import find_point, open_repository
from tasks.cli.progress_bars import ProgressBar
from tasks.cli.session import Session
from tasks.engine.run_context import RunContext
from tasks.engine.validate import ValidationResult, validate_locally
from tasks.engine.validation.objects import Level
from tasks.model.counting import counted
from tasks.model.errors import UnsupportedError
from tasks.reports.figures import duration_text, size_text
from tasks.reports.validation import archived_note, dropped_text, verdict_text
from tasks.repository.points import PointReference


def run_validate(session: Session, config: Path | None, storage: str | None, backup_id: str | None, level: str) -> int:
    """Validate a point and print every finding. Returns the exit code: `DAMAGED` if there are findings,
    `INCOMPLETE` if there are none and archived objects could not be read. Raises
    `UnsupportedError` if the level is not `quick` or `full`."""
    checked_level = _level(level)
    repository, set_of_file = open_repository(session, config, storage)
    started = time.monotonic()
    point = find_point(session, repository, backup_id or set_of_file)
    session.stops_gracefully = True
    with ProgressBar(session) as bar:
        bar.start("validating", point.entry.totals.log_bytes if checked_level == "full" else 0)
        context = RunContext(repository=repository, stop=session.stop, progress=bar)
        result = validate_locally(context, PointReference(point.set_name, seq=point.seq), level=checked_level)
    _print_result(session, point.name, checked_level, result, time.monotonic() - started)
    if result.findings:
        return DAMAGED
    return OK if result.is_everything_read else INCOMPLETE


def _level(name: str) -> Level:
    if name == "quick":
        return "quick"
    if name == "full":
        return "full"
    raise UnsupportedError(f"Level {name!r} is not available. Use quick or full.")


def _print_result(session: Session, point: str, level: Level, result: ValidationResult, seconds: float) -> None:
    if not result.is_pinned:
        session.log(
            "note: nothing can be written to the repository, so no pin protected the point from deletion while it was "
            "read."
        )
    for finding in result.findings:
        session.print(f"damaged: {finding}")
    if (note := archived_note(result)) is not None:
        session.warn(note)
    verdict = verdict_text(result)
    read = (
        f", {size_text(result.checked_bytes)} and {counted(result.checked_records, 'record')} read"
        if level == "full"
        else ""
    )
    objects = counted(result.checked_objects, "object")
    if result.dropped_objects:
        session.print(dropped_text(result))
    session.print(f"{point}  {level}: {verdict}; {objects} checked{read}, {duration_text(seconds)}")
    session.print_json(
        {
            "point": point,
            "level": level,
            "findings": [asdict(finding) for finding in result.findings],
            "checked_objects": result.checked_objects,
            "checked_bytes": result.checked_bytes,
            "checked_records": result.checked_records,
            "dropped_objects": result.dropped_objects,
            "is_pinned": result.is_pinned,
            "archived": result.archived.to_json(),
            "is_everything_read": result.is_everything_read,
        }
    )
