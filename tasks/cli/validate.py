"""`kafka-backup validate`"""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Literal

from tasks.cli.exit_codes import DAMAGED, OK
from tasks.cli.options import chosen_point
from tasks.cli.progress_bars import progress_bar
from tasks.cli.session import Session
from tasks.reports.figures import duration_text, size_text

if TYPE_CHECKING:
    from tasks.repository.repository import Repository


def run_validate(
    current: Session, repository: Repository, backup_id: str | None, level: Literal["quick", "full"]
) -> int:
    """Validate a point and print every finding. Returns the exit code."""
    from tasks.engine.run_context import RunContext
    from tasks.engine.validate import validate_locally
    from tasks.repository.points import PointReference

    started = time.monotonic()
    point = chosen_point(current, repository, backup_id)
    current.stops_gracefully = True
    total_bytes = point.entry.totals.log_bytes if level == "full" else 0
    with progress_bar("validating", total_bytes) as progress:
        context = RunContext(repository=repository, stop=current.stop, progress=progress)
        result = validate_locally(context, PointReference(point.set_name, seq=point.seq), level=level)
    if not result.is_pinned:
        current.log("note: this repository may not be written to, so nothing kept the point while it was read.")
    for finding in result.findings:
        current.print(f"damaged: {finding}")
    verdict = f"{len(result.findings)} findings" if result.findings else "no damage found"
    read = f", {size_text(result.checked_bytes)} and {result.checked_records:,} records read" if level == "full" else ""
    current.print(
        f"{point.name}  {level}: {verdict}; {result.checked_objects} objects checked{read}, "
        f"{duration_text(time.monotonic() - started)}"
    )
    current.print_json(
        {
            "point": point.name,
            "level": level,
            "findings": [asdict(finding) for finding in result.findings],
            "checked_objects": result.checked_objects,
            "checked_bytes": result.checked_bytes,
            "checked_records": result.checked_records,
            "is_pinned": result.is_pinned,
        }
    )
    return DAMAGED if result.findings else OK
