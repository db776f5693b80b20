"""Decides which points of a set the policy keeps, with the reasons. The rules and words are those of restic. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise

from tasks.engine.options import RetentionPolicy, duration_ms
from tasks.model.labels import find_label
from tasks.repository.set_state import Hold, PointSummary

_PERIODS: Mapping[str, Callable[[datetime], str]] = {
    "hourly": lambda at: f"{at:%Y-%m-%d %H}h",
    "daily": lambda at: f"{at:%Y-%m-%d}",
    "weekly": lambda at: f"{at:%G-W%V}",
    "monthly": lambda at: f"{at:%Y-%m}",
    "yearly": lambda at: f"{at:%Y}",
}
"""The name of the period that a time belongs to, for each rule."""


def kept_points(
    points: Mapping[int, PointSummary], policy: RetentionPolicy, holds: Collection[Hold], now_ms: int
) -> dict[int, tuple[str, ...]]:
    """The seqs of the points that stay, each with the reasons, newest first. `points` are the live points by seq, in
    ascending order."""
    newest_first = [points[seq] for seq in sorted(points, reverse=True)]
    reasons: dict[int, list[str]] = defaultdict(list)
    for seq, reason in _reasons(newest_first, policy, holds, now_ms):
        reasons[seq].append(reason)
    for point in newest_first[: policy.minimum_points]:
        if len(reasons) < policy.minimum_points and point.seq not in reasons:
            reasons[point.seq].append(f"minimum_points {policy.minimum_points}")
    return {point.seq: tuple(reasons[point.seq]) for point in newest_first if point.seq in reasons}


def has_news(point: PointSummary, before: PointSummary | None) -> bool:
    """Whether a point captured something: a snapshot always did, and another point if it contains other records than
    the point before it."""
    if point.point_kind == "consolidated":
        return False
    return point.point_kind == "snapshot" or before is None or point.totals != before.totals


def kept_labels(point: PointSummary, policy: RetentionPolicy) -> tuple[str, ...]:
    """The labels because of which the policy keeps the point, each once, as `KEY=VALUE`."""
    found = (find_label(point.labels, rule) for rule in policy.keep_tag or ())
    return tuple(dict.fromkeys(label for label in found if label is not None))


def _reasons(
    newest_first: Sequence[PointSummary], policy: RetentionPolicy, holds: Collection[Hold], now_ms: int
) -> Iterator[tuple[int, str]]:
    if newest_first:
        yield newest_first[0].seq, "newest"
    yield from _last(newest_first, policy.keep_last or 0)
    for rule, period in _PERIODS.items():
        yield from _newest_of_periods(newest_first, rule, period, getattr(policy, f"keep_{rule}") or 0)
    for point in newest_first:
        if policy.keep_within and newest_first[0].time_ms - point.time_ms <= duration_ms(policy.keep_within):
            yield point.seq, f"within {policy.keep_within}"
        if policy.minimum_age and now_ms - point.time_ms < duration_ms(policy.minimum_age):
            yield point.seq, f"younger than {policy.minimum_age}"
        for label in kept_labels(point, policy):
            yield point.seq, f"tag {label}"
        for hold in holds:
            if hold.protects(point.seq):
                yield point.seq, f"hold {hold.name}"


def _last(newest_first: Sequence[PointSummary], count: int) -> Iterator[tuple[int, str]]:
    with_news = [point for point, before in pairwise([*newest_first, None]) if point and has_news(point, before)]
    for number, point in enumerate(with_news[:count], 1):
        yield point.seq, f"last {number}"


def _newest_of_periods(
    newest_first: Sequence[PointSummary], rule: str, period: Callable[[datetime], str], count: int
) -> Iterator[tuple[int, str]]:
    seen: set[str] = set()
    for point in newest_first:
        if len(seen) == count:
            return
        name = period(datetime.fromtimestamp(point.time_ms / 1000, UTC))
        if name not in seen:
            seen.add(name)
            yield point.seq, f"{rule} {name}"
