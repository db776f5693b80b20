"""Finds out whether an older point of the set contains more than the point that is restored. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from tasks.engine.target.findings import Finding
from tasks.model.counting import counted
from tasks.repository.set_state import PointSummary


def shrunk_point_finding(set_name: str, seq: int, points: Mapping[int, PointSummary]) -> Finding | None:
    """A warning if the point `seq` contains less than an older point of the set; it names the older point. `points` are
    the live points of the set.

    A point states only what it has lost compared to the point before it. So the losses that all points up to `seq`
    state are considered. None if no loss is notable, or if the point `seq` has at least as many topics and records as
    the points before the losses.
    """
    chosen = points.get(seq)
    if chosen is None:
        return None
    losses = [
        (number, summary.shrunk)
        for number, summary in sorted(points.items(), reverse=True)
        if number <= seq and summary.shrunk is not None and summary.shrunk.is_notable
        if number == seq or _has_less(chosen, points.get(summary.shrunk.point))
    ]
    if not losses:
        return None
    older = [points[loss.point] for _, loss in losses if loss.point in points]
    fullest = max(older, key=lambda one: (one.totals.records, one.totals.topics), default=None)
    cure = (
        f'To restore the older state, set backup_id: "{set_name}@{fullest.seq}".'
        if fullest is not None
        else f"{set_name}@{losses[0][1].point} is no longer in the set."
    )
    [number, loss] = losses[0]
    text = loss.text(set_name)
    if number != seq:  # the losses are those of an earlier point, so its numbers are not those of this one
        now = f"{counted(chosen.totals.topics, 'topic')} and {counted(chosen.totals.records, 'record')}"
        text = f"this point has {now}. {set_name}@{number} had lost the rest: {text}"
    return Finding("warning", f"{set_name}@{seq}", f"an older point of the set contains more: {text}. {cure}")


def _has_less(chosen: PointSummary, older: PointSummary | None) -> bool:
    return older is not None and (
        chosen.totals.records < older.totals.records or chosen.totals.topics < older.totals.topics
    )
