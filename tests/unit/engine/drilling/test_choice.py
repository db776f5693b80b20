"""The choice of a drill: which point, which topics, and how the report says it."""

from __future__ import annotations

from datetime import datetime

import pytest

from tasks.engine.drilling.choice import choose_drill_point, choose_drill_topics
from tasks.engine.options import DrillOptions, TopicSelection
from tasks.model.errors import NotFoundError, RefusedError
from tasks.repository.entries import Totals
from tasks.repository.set_state import PointSummary

DAY_MS = 86_400_000
NOW_MS = 100 * DAY_MS
TOTALS = Totals(topics=1, partitions=1, records=1, log_bytes=1, stored_bytes=1, objects=1)
POINTS = {
    seq: PointSummary(
        seq=seq,
        run=f"run-{seq}",
        point_kind="snapshot",
        status="complete",
        time_ms=NOW_MS - (10 - seq) * DAY_MS,
        cluster_id="c",
        totals=TOTALS,
    )
    for seq in range(1, 11)
}


def _chosen(drill: str = "d", **options: object) -> tuple[int, str]:
    chosen = choose_drill_point(POINTS, DrillOptions.model_validate(options), drill, now_ms=NOW_MS)
    return chosen.point.seq, chosen.how


def test_the_latest_point_is_the_default() -> None:
    assert (10, "the latest point of the set") == _chosen()


def test_the_oldest_point_is_that_of_the_window() -> None:
    assert (1, "the oldest of 10 points") == _chosen(point="oldest")
    assert (7, "the oldest of 4 points of the last 3d") == _chosen(point="oldest", within="3d")


def test_a_random_point_follows_from_the_id_of_the_drill_and_every_point_can_be_drawn() -> None:
    drawn = {_chosen(f"drill-{number}", point="random")[0] for number in range(200)}

    assert set(POINTS) == drawn
    assert _chosen("x", point="random") == _chosen("x", point="random")
    assert "drawn at random from 3 points of the last 2d" in _chosen("x", point="random", within="2d")[1]
    assert {8, 9, 10} == {_chosen(f"drill-{number}", point="random", within="2d")[0] for number in range(60)}


def test_no_point_and_no_point_in_the_window_are_errors() -> None:
    with pytest.raises(NotFoundError, match="has no restore point"):
        choose_drill_point({}, DrillOptions(), "d", now_ms=NOW_MS)
    old = {1: POINTS[1]}
    with pytest.raises(RefusedError, match="no restore point of the last 1d"):
        choose_drill_point(old, DrillOptions(point="oldest", within="1d"), "d", now_ms=NOW_MS)


def _at(*times: str) -> dict[int, PointSummary]:
    """Points at these times."""
    stamps = [int(datetime.fromisoformat(f"{time}+00:00").timestamp() * 1000) for time in times]
    return {seq: POINTS[1].model_copy(update={"seq": seq, "time_ms": at}) for seq, at in enumerate(stamps, 1)}


def _in_turn(points: dict[int, PointSummary], drills: int) -> list[tuple[str | None, int]]:
    """(tier, seq) of successive drills."""
    found: list[tuple[str | None, int]] = []
    tier: str | None = None
    for _ in range(drills):
        chosen = choose_drill_point(points, DrillOptions(point="tiers"), "d", now_ms=NOW_MS, last_tier=tier)
        tier = chosen.tier
        found.append((tier, chosen.point.seq))
    return found


def test_tiers_are_drilled_in_turn_and_begin_again_after_the_last() -> None:
    points = _at("2025-12-31T10:00", "2026-10-30T10:00", "2026-11-20T10:00", "2026-11-24T09:00", "2026-11-25T09:00")
    points[6] = points[5].model_copy(update={"seq": 6, "time_ms": points[5].time_ms + 60_000})

    turns = [("newest", 6), ("daily", 4), ("weekly", 3), ("monthly", 2), ("yearly", 1)]
    assert [*turns, *turns[:2]] == _in_turn(points, 7)


def test_a_tier_without_a_point_is_left_out() -> None:
    points = _at("2026-11-24T09:00", "2026-11-25T09:00")

    assert [("newest", 2), ("daily", 1), ("newest", 2)] == _in_turn(points, 3)
    gone = choose_drill_point(points, DrillOptions(point="tiers"), "d", now_ms=NOW_MS, last_tier="yearly")
    assert "newest" == gone.tier
    assert "the tiers are drilled in turn, after yearly" in gone.how


NAMES = [f"topic-{number:02}" for number in range(20)]


def test_all_topics_are_drilled_unless_a_selection_or_a_share_says_otherwise() -> None:
    assert (tuple(NAMES), {}) == choose_drill_topics(NAMES, DrillOptions(), "d")

    selection = TopicSelection(include=("topic-0*",), exclude=("topic-09",))
    topics, excluded = choose_drill_topics(NAMES, DrillOptions(topics=selection), "d")

    assert tuple(NAMES[:9]) == topics
    assert {"not selected"} == set(excluded.values())
    assert set(NAMES[9:]) == set(excluded)
    with pytest.raises(RefusedError, match="matches no topic"):
        choose_drill_topics(NAMES, DrillOptions(topics=TopicSelection(include=("x*",))), "d")


def test_a_share_is_drawn_anew_for_each_drill_and_keeps_what_is_always_included() -> None:
    options = DrillOptions(sample_topics_percent=10, always_include=("topic-05",))

    topics, excluded = choose_drill_topics(NAMES, options, "a")
    drawn = {name for number in range(100) for name in choose_drill_topics(NAMES, options, f"drill-{number}")[0]}

    assert "topic-05" in topics
    assert 3 == len(topics)
    assert set(NAMES) == {*topics, *excluded}
    assert {"not in the sample of 10 %"} == set(excluded.values())
    assert set(NAMES) == drawn
