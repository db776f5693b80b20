"""Chooses the point and the topics of a drill. The choice depends only on the drill's id, so it can be repeated, and it
cannot be made easy on purpose. Pure."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from tasks.engine.options import DrillOptions, duration_ms
from tasks.engine.topic_selection import is_literal, is_selected
from tasks.model.errors import NotFoundError, RefusedError
from tasks.repository.set_state import PointSummary


def choose_drill_point(
    points: Mapping[int, PointSummary], options: DrillOptions, drill: str, *, now_ms: int
) -> tuple[PointSummary, str]:
    """(the point, how it was chosen, in words). `points` are the live points of the set, by seq.

    Raises `NotFoundError` if there is no point, and `RefusedError` if none is in the window of `within`.
    """
    if not points:
        raise NotFoundError("The set has no restore point that could be drilled.")
    ordered = [points[seq] for seq in sorted(points)]
    if options.point == "latest":
        return ordered[-1], "the latest point of the set"
    if options.within is not None:
        ordered = [point for point in ordered if now_ms - point.time_ms <= duration_ms(options.within)]
    window = f"{len(ordered):,} points" + (f" of the last {options.within}" if options.within is not None else "")
    if not ordered:
        raise RefusedError(f"The set has no restore point of the last {options.within}.")
    if options.point == "oldest":
        return ordered[0], f"the oldest of {window}"
    return random.Random(drill).choice(ordered), f"drawn at random from {window}, with the drill's id as seed"


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
    excluded |= {name: f"not in the sample of {percent} %" for name in selected if name not in chosen}
    return tuple(sorted(chosen)), excluded


def _is_missing(pattern: str, names: Sequence[str]) -> bool:
    return is_literal(pattern) and pattern not in names
