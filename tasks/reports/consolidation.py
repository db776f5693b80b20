"""The report of a consolidation: its headline, and the document of `--json`. Pure."""

from __future__ import annotations

from typing import Any

from tasks.engine.consolidate import Consolidation
from tasks.model.counting import counted
from tasks.reports.figures import size_text


def consolidation_text(done: Consolidation) -> str:
    """The new point and what was joined, in one line."""
    before, after = done.before.totals, done.after.totals
    left_out = f"; {counted(len(done.left_out), 'partition')} could not be copied" if done.left_out else ""
    return (
        f"{done.after.set}@{done.after.seq} has {counted(after.objects, 'object')} instead of {before.objects:,}, "
        f"in {size_text(after.stored_bytes)}{left_out}. The older points keep theirs."
        + "".join(f" {warning}." for warning in done.warnings)
    )


def nothing_to_join_text(set_name: str) -> str:
    """Why there is no new point."""
    return f"{set_name}: there are too few small objects to join. Nothing was written."


def consolidation_document(done: Consolidation | None) -> dict[str, Any]:
    """The result as JSON members. `point` is null if there was nothing to join."""
    if done is None:
        return {"point": None}
    return {
        "point": done.after.to_json(),
        "objects_before": done.before.totals.objects,
        "warnings": list(done.warnings),
        "left_out": [
            {**failure.source._asdict(), "reason": failure.reason}
            for failure in sorted(done.left_out, key=lambda one: one.source)
        ],
    }
