"""The report of a check: a table as text for the command, and a table, a headline and a summary for Prefect. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from tasks.engine.checks.items import CheckItem, count_text
from tasks.reports.figures import table_cell
from tasks.reports.partitions import Row

LINE_CHARACTERS = 100
"""The width of the table as text."""

_MOST_CHARACTERS = (18, 26, 18)
"""The largest widths of the columns for the status, the subject and the item."""


def check_text(items: Sequence[CheckItem]) -> str:
    """A table with a row for each item, and under it what to do. Advice for several rows in succession is printed once,
    under the last of them. Texts are wrapped to `LINE_CHARACTERS`. Names are not, so that they can be copied: after a
    long one the text begins in the next line."""
    head = ("STATUS", "SUBJECT", "ITEM", "FOUND")
    cells = [head, *((status_text(one), one.subject, one.name, one.found) for one in items)]
    widths = [min(most, max(len(row[at]) for row in cells)) for at, most in enumerate(_MOST_CHARACTERS)]
    wanted = [one.advice if one.status != "ok" else "" for one in items]
    advice = ["", *("" if one == after else one for one, after in zip(wanted, [*wanted[1:], ""], strict=True))]
    lines: list[str] = []
    for row, text in zip(cells, advice, strict=True):
        lines += _row_lines(row, widths)
        lines += _wrapped(text, first="  → ", other="    ") if text else []
    return "\n".join(lines)


def _row_lines(row: tuple[str, str, str, str], widths: Sequence[int]) -> list[str]:
    *names, text = row
    column = " " * sum(width + 2 for width in widths)
    start = "".join(f"{name.ljust(width)}  " for name, width in zip(names, widths, strict=True))
    if len(start) > len(column):
        return [start.rstrip(), *_wrapped(text, first=column, other=column)]
    return _wrapped(text, first=start, other=column)


def _wrapped(text: str, *, first: str, other: str) -> list[str]:
    wrapper = textwrap.TextWrapper(
        LINE_CHARACTERS,
        initial_indent=first,
        subsequent_indent=other,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return wrapper.wrap(text) or [first.rstrip()]


def check_headline(items: Sequence[CheckItem]) -> str:
    """The verdict in one line."""
    stopping = [one for one in items if one.stops_the_job]
    if stopping:
        first = stopping[0]
        count = "one thing is" if len(stopping) == 1 else f"{len(stopping):,} things are"
        return f"{count} missing; the first: {first.subject}: {first.name}: {first.found}"
    if open_questions(items):
        return f"nothing is missing, but not everything could be checked: {count_text(items)}"
    return f"everything that is needed is there: {count_text(items)}"


def open_questions(items: Sequence[CheckItem]) -> list[CheckItem]:
    """The rows about things that are needed and could not be determined."""
    return [one for one in items if one.is_needed and one.status == "unknown"]


def status_text(item: CheckItem) -> str:
    """`missing`, or `missing (optional)` for a thing without which the job works too."""
    return item.status if item.is_needed or item.status == "ok" else f"{item.status} (optional)"


def check_rows(items: Sequence[CheckItem]) -> list[Row]:
    """The table for Prefect, in the order of the rows."""
    return [
        {
            "status": status_text(one),
            "subject": one.subject,
            "item": one.name,
            "found": one.found,
            "advice": one.advice,
        }
        for one in items
    ]


def check_summary(items: Sequence[CheckItem], title: str) -> str:
    """The verdict in markdown, with every row that is not ok."""
    lines = [f"## {title}: {check_headline(items)}", ""]
    others = [one for one in items if one.status != "ok"]
    if others:
        lines += ["| status | subject | item | found | what to do |", "| --- | --- | --- | --- | --- |"]
        lines += [
            f"| {status_text(one)} | {' | '.join(map(table_cell, (one.subject, one.name, one.found, one.advice)))} |"
            for one in others
        ]
    return "\n".join([*lines, ""])


def check_document(items: Sequence[CheckItem]) -> dict[str, object]:
    """The rows for `--json`."""
    return {
        "items": [
            {
                "subject": one.subject,
                "name": one.name,
                "status": one.status,
                "is_needed": one.is_needed,
                "found": one.found,
                "advice": one.advice,
                "error": None if one.error is None else one.error.__name__,
            }
            for one in items
        ]
    }
