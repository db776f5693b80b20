"""The text of a request for archived objects, for the command and the flows. Pure."""

from __future__ import annotations

from tasks.engine.thaw_objects import Thawed
from tasks.model.counting import counted
from tasks.reports.figures import size_text
from tasks.repository.points import format_time


def thawed_text(thawed: Thawed) -> str:
    """How many objects were requested, are on their way back, and are back, as a sentence without a subject."""
    archived = thawed.archived
    if archived.is_empty:
        return f"none of its {counted(thawed.needed, 'object')} is archived."
    until = f" until {format_time(archived.readable_until_ms)}" if archived.readable_until_ms is not None else ""
    parts = [
        f"{counted(thawed.requested, 'object')} requested now",
        f"{archived.returning:,} on their way back",
        f"{archived.readable:,} back{until}",
    ]
    rest = f" {size_text(archived.bytes)} cannot be read yet." if archived.objects else ""
    return f"{', '.join(parts)}, of {counted(thawed.needed, 'object')}.{rest}"
