"""Chooses the point and the topics of a drill. The choice depends only on the drill's id, so it can be repeated, and it
cannot be made easy on purpose. Pure."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from tasks.engine.options import DrillOptions, duration_ms
from tasks.engine.topic_patterns import is_literal
from tasks.engine.topic_selection import is_selected
from tasks.model.errors import NotFoundError, RefusedError
from tasks.repository.set_state import PointSummary

TIERS = ("newest", "daily", "weekly", "monthly", "yearly")
"""The tiers of retention, in the order in which they are drilled."""

NOT_IN_SAMPLE = "not in the sample"
"""The beginning of the reason for a topic that was selected and not drawn. Stored reports contain it."""

_PERIODS = {"daily": "%Y-%m-%d", "weekly": "%G-W%V", "monthly": "%Y-%m", "yearly": "%Y"}


@dataclass(frozen=True, slots=True)
class ChosenPoint:
    """The point, how it was chosen in words, and its tier if it was chosen by tiers."""

    point: PointSummary
    how: str
    tier: str | None = None


def choose_drill_point(
    points: Mapping[int, PointSummary],
    options: DrillOptions,
    drill: str,
    *,
    now_ms: int,
    last_tier: str | None = None,
) -> ChosenPoint:
    """Choose the point. `points` are the live points of the set, by seq. `last_tier` is the tier that was drilled last.

    Raises `NotFoundError` if there is no point, and `RefusedError` if none is in the window of `within`.
    """
    if not points:
        raise NotFoundError("The set has no restore point that could be drilled.")
    ordered = [points[seq] for seq in sorted(points)]
    if options.point == "latest":
        return ChosenPoint(ordered[-1], "the latest point of the set")
    if options.within is not None:
        ordered = [point for point in ordered if now_ms - point.time_ms <= duration_ms(options.within)]
    window = f"{len(ordered):,} points" + (f" of the last {options.within}" if options.within is not None else "")
    if not ordered:
        raise RefusedError(f"The set has no restore point of the last {options.within}.")
    if options.point == "oldest":
        return ChosenPoint(ordered[0], f"the oldest of {window}")
    if options.point == "tiers":
        return _of_next_tier(ordered, last_tier, window)
    how = f"drawn at random from {window}, with the drill's id as seed"
    return ChosenPoint(random.Random(drill).choice(ordered), how)


def _of_next_tier(ordered: Sequence[PointSummary], last_tier: str | None, window: str) -> ChosenPoint:
    """The point of the tier after `last_tier`. A tier without a point is left out."""
    found = _tier_points(ordered)
    start = TIERS.index(last_tier) + 1 if last_tier in TIERS else 0
    tier = next(tier for tier in (*TIERS[start:], *TIERS) if tier in found)
    after = f"after {last_tier}" if last_tier is not None else "the first"
    return ChosenPoint(found[tier], f"the tier {tier} of {window}; the tiers are drilled in turn, {after}", tier)


def _tier_points(ordered: Sequence[PointSummary]) -> dict[str, PointSummary]:
    """The point of each tier: the newest point, and the newest one of the last day, week, month and year before that
    of the newest point, in UTC."""
    newest = ordered[-1]
    found = {"newest": newest}
    for tier, period in _PERIODS.items():
        earlier = [point for point in ordered if _period(point, period) != _period(newest, period)]
        if earlier:
            found[tier] = earlier[-1]
    return found


def _period(point: PointSummary, period: str) -> str:
    return datetime.fromtimestamp(point.time_ms / 1000, UTC).strftime(period)


def choose_drill_topics(
    names: Sequence[str], options: DrillOptions, drill: str
) -> tuple[tuple[str, ...], dict[str, str]]:
    """(the topics, the reasons for those that are left out). `names` are the topics of the point. With
    `sample_topics_percent` a share of the selected topics is drawn, at least one, and those of `always_include` are
    added. Raises `RefusedError` if the selection matches none of them, and for a name that the point does not have."""
    missing = [name for name in (*options.topics.include, *options.always_include) if _is_missing(name, names)]
    if missing:
        raise RefusedError(f"The point has no topic {', '.join(missing)}: correct the selection of the drill.")
    selected = [name for name in sorted(names) if is_selected(name, options.topics)]
    excluded = {name: "not selected" for name in sorted(names) if name not in selected}
    if not selected:
        raise RefusedError("The selection of topics matches no topic of the point.")
    unselected = [name for name in options.always_include if name not in selected]
    if unselected:
        raise RefusedError(f"always_include names {', '.join(unselected)}, which the selection leaves out.")
    percent = options.sample_topics_percent
    if percent is None:
        return tuple(selected), excluded
    always = [name for name in selected if name in options.always_include]
    others = [name for name in selected if name not in always]
    drawn = random.Random(drill).sample(others, min(len(others), max(1, -(-len(selected) * percent // 100))))
    chosen = {*always, *drawn}
    excluded |= {name: f"{NOT_IN_SAMPLE} of {percent} %" for name in selected if name not in chosen}
    return tuple(sorted(chosen)), excluded


def _is_missing(pattern: str, names: Sequence[str]) -> bool:
    return is_literal(pattern) and pattern not in names
