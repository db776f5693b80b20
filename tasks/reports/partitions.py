"""Tables with a row per partition, and lists. They are as long as a browser can show, and contain the number of the
rest. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

Row = Mapping[str, object]
"""A row of a table artifact. Its last column is text: what is wrong with the partition. It is empty if nothing is
wrong."""

MOST_ROWS = 5_000
MOST_NOTES = 50


def shortened(rows: Sequence[Row]) -> list[Row]:
    """At most `MOST_ROWS` rows, and one row for all others, with their number and the sums of their figures."""
    if len(rows) <= MOST_ROWS:
        return list(rows)
    rest, remarks = rows[MOST_ROWS:], list(rows[0])[-1]
    total: dict[str, object] = dict.fromkeys(rest[0])
    for name in total.keys() & {"records", "bytes", "seconds"}:
        total[name] = round(sum(value for row in rest if isinstance(value := row[name], int | float)), 2)
    remarked = sum(1 for row in rest if row[remarks])
    total["topic"] = f"and {len(rest):,} more partitions"
    total[remarks] = f"in {remarked:,} of these" if remarked else ""
    return [*rows[:MOST_ROWS], total]


def listed(title: str, notes: Sequence[str]) -> Iterator[str]:
    """The lines of a list with its title: at most `MOST_NOTES` notes, and the number of the others. No lines if there
    are no notes."""
    if not notes:
        return
    yield from (f"### {title}", "")
    yield from (f"- {note}" for note in notes[:MOST_NOTES])
    if len(notes) > MOST_NOTES:
        yield f"- and {len(notes) - MOST_NOTES:,} more"
    yield ""
