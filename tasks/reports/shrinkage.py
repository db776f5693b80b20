"""Describes the topics and records that a point has lost compared to the point before it. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tasks.model.quoting import some_of

if TYPE_CHECKING:
    from tasks.repository.entries import PointEntry

MOST_TOPICS = 20
"""A line names at most this many topics."""


def shrinkage_lines(point: PointEntry) -> Iterator[str]:
    """A line with the counts, and then a line with the topics for each kind of loss. Empty if the point lost
    nothing."""
    shrunk = point.shrunk
    if shrunk is None:
        return
    yield f"less than before: {shrunk.counts.text(point.set)}"
    for kind, names in (
        ("gone", shrunk.gone),
        ("created again", shrunk.created_again),
        ("not selected", shrunk.not_selected),
        ("ends earlier", shrunk.ended_earlier),
    ):
        if names:
            yield f"{kind}: {some_of(names, most=MOST_TOPICS)}"
