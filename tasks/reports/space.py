"""The space that points take in the store, as text. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tasks.engine.space import Space
from tasks.reports.figures import size_text, table_text
from tasks.repository.drops import Drop
from tasks.repository.points import format_time

_HEAD = ("POINT", "DATA", "ONLY HERE", "SHARED", "DROPPED")


def space_lines(space: Space, drops: Sequence[Drop]) -> Iterator[str]:
    """The lines of one point. `drops` are those that concern it."""
    yield (
        f"data: {size_text(space.data_bytes)}; only this point needs {size_text(space.unique_bytes)}, and removing it "
        f"frees them; other points need {size_text(space.shared_bytes)} too"
    )
    if space.dropped_bytes:
        before_ms = max(drop.before_ms for drop in drops)
        yield (
            f"dropped: {size_text(space.dropped_bytes)} of data captured before {format_time(before_ms)}, because it "
            "was older than maximum_age"
        )


def space_table(name: str, total_bytes: int, spaces: Mapping[int, Space]) -> str:
    """The table of a set's points, and the size of all their data."""
    rows = [
        (
            f"{name}@{seq}",
            size_text(space.data_bytes),
            size_text(space.unique_bytes),
            size_text(space.shared_bytes),
            size_text(space.dropped_bytes),
        )
        for seq, space in spaces.items()
    ]
    return f"{table_text(_HEAD, rows)}\n{name}: {size_text(total_bytes)} of data in all live and expired points"
