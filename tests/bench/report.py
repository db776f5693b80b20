"""The benchmark's table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One figure and the most it may be, where there is a limit."""

    what: str
    figure: float
    limit: float | None = None


def table(rows: Sequence[Row]) -> str:
    """Markdown; a figure above its limit is marked."""
    lines = ["| what | measured | limit |", "| --- | --- | --- |"]
    for row in rows:
        limit = "" if row.limit is None else _number(row.limit)
        mark = " **over**" if row.limit is not None and row.figure > row.limit else ""
        lines.append(f"| {row.what} | {_number(row.figure)}{mark} | {limit} |")
    return "\n".join(lines)


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.2f}"
