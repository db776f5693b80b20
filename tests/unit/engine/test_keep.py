"""Which points a policy keeps, and why."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tasks.engine.options import RetentionPolicy, duration_ms
from tasks.engine.retention.keep import kept_points
from tasks.repository.entries import Totals
from tasks.repository.set_state import Hold, PointSummary

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def _point(
    seq: int, time_ms: int, *, kind: str = "incremental", records: int | None = None, **labels: str
) -> PointSummary:
    totals = Totals(
        topics=1, partitions=1, records=seq if records is None else records, log_bytes=1, stored_bytes=1, objects=1
    )
    return PointSummary(
        seq=seq,
        run=f"r{seq}",
        point_kind=kind,
        status="complete",
        time_ms=time_ms,
        cluster_id="c",
        totals=totals,
        labels=labels,
    )


def _hours(count: int) -> dict[int, PointSummary]:
    """A point every hour up to noon."""
    return {seq: _point(seq, _ms(NOON - timedelta(hours=count - seq))) for seq in range(1, count + 1)}


def _kept(points: dict[int, PointSummary], *holds: Hold, **rules: Any) -> dict[int, tuple[str, ...]]:
    return kept_points(points, RetentionPolicy(**rules), holds, _ms(NOON))


def test_the_newest_point_is_always_kept() -> None:
    assert {1: ("newest", "last 1")} == _kept({1: _point(1, 0)}, keep_last=1)
    assert {} == _kept({}, keep_last=1)


def test_periods_keep_their_newest_point() -> None:
    kept = _kept(_hours(72), keep_daily=3)

    assert {
        72: ("newest", "daily 2026-11-30"),
        59: ("daily 2026-11-29",),
        35: ("daily 2026-11-28",),
    } == kept


def test_weeks_are_those_of_the_calendar_and_years_can_end_within_one() -> None:
    points = {
        1: _point(1, _ms(datetime(2026, 12, 28, tzinfo=UTC))),
        2: _point(2, _ms(datetime(2027, 1, 2, tzinfo=UTC))),
        3: _point(3, _ms(datetime(2027, 1, 4, tzinfo=UTC))),
    }

    assert {3: ("newest", "weekly 2027-W01"), 2: ("weekly 2026-W53",)} == _kept(points, keep_weekly=9)
    assert [3, 1] == list(_kept(points, keep_yearly=9))


def test_rules_are_counted_separately_and_a_point_names_all_that_keep_it() -> None:
    kept = _kept(_hours(5), keep_last=2, keep_hourly=3, keep_monthly=1)

    assert {
        5: ("newest", "last 1", "hourly 2026-11-30 12h", "monthly 2026-11"),
        4: ("last 2", "hourly 2026-11-30 11h"),
        3: ("hourly 2026-11-30 10h",),
    } == kept


def test_the_last_points_are_those_that_captured_something() -> None:
    points = {
        1: _point(1, 1, kind="snapshot"),
        2: _point(2, 2),
        3: _point(3, 3, records=2),
        4: _point(4, 4, records=2),
        5: _point(5, 5, kind="consolidated", records=2),
    }

    assert [5, 2, 1] == list(_kept(points, keep_last=2))


def test_within_counts_from_the_newest_point_so_that_nothing_goes_while_no_backup_runs() -> None:
    points = {seq: _point(seq, seq * 86_400_000) for seq in range(1, 6)}

    assert [5, 4, 3] == list(_kept(points, keep_within="2d"))


def test_a_minimum_keeps_the_newest_points_and_young_ones() -> None:
    assert [5, 4, 3] == list(_kept(_hours(5), keep_last=1, minimum_points=3))
    assert [5, 4, 3] == list(_kept(_hours(5), keep_last=1, minimum_age="3h"))


def test_a_label_that_the_policy_names_keeps_its_points_whatever_the_other_rules_say() -> None:
    points = {1: _point(1, 0, env="prod"), 2: _point(2, 1, env="test", release="7"), 3: _point(3, 2), 4: _point(4, 3)}

    assert {4: ("newest", "last 1"), 1: ("tag env=prod",)} == _kept(points, keep_tag=("env=prod",), keep_last=1)
    both = _kept(points, keep_tag=("env", "release", "env=test"))
    assert {4: ("newest",), 2: ("tag env=test", "tag release=7"), 1: ("tag env=prod",)} == both
    assert {4: ("newest",)} == _kept(points, keep_tag=("env=pro", "stage"))


def test_a_hold_keeps_its_points() -> None:
    hold = Hold(name="case", points=(1, 2), reason="r", by="b", since_ms=0)
    whole = hold.model_copy(update={"points": None})

    assert {5: ("newest", "last 1"), 2: ("hold case",), 1: ("hold case",)} == _kept(_hours(5), hold, keep_last=1)
    assert 5 == len(_kept(_hours(5), whole, keep_last=1))


@given(
    times=st.lists(st.integers(0, 400), min_size=1, max_size=30),
    rules=st.fixed_dictionaries(
        {},
        optional={
            **{
                f"keep_{rule}": st.integers(1, 5) for rule in ("last", "hourly", "daily", "weekly", "monthly", "yearly")
            },
            "keep_within": st.sampled_from(["1h", "3d", "9w"]),
            "minimum_points": st.integers(1, 9),
            "minimum_age": st.sampled_from(["1h", "20d"]),
        },
    ).filter(lambda rules: any(name.startswith("keep_") for name in rules)),
)
def test_whatever_the_clocks_say_the_minimum_stays_and_no_rule_keeps_fewer_points_than_a_smaller_one(
    times: list[int], rules: dict[str, Any]
) -> None:
    points = {seq: _point(seq, time * 10_000_000) for seq, time in enumerate(times, 1)}
    policy, now_ms = RetentionPolicy(**rules), 4_000_000_000

    kept = kept_points(points, policy, (), now_ms)

    assert max(points) in kept
    assert len(kept) >= min(len(points), policy.minimum_points)
    assert list(kept) == sorted(kept, reverse=True)
    if policy.minimum_age:
        young = {seq for seq, one in points.items() if now_ms - one.time_ms < duration_ms(policy.minimum_age)}
        assert young <= kept.keys()
    larger = {name: value + 1 if isinstance(value, int) else value for name, value in rules.items()}
    assert kept.keys() <= kept_points(points, RetentionPolicy(**larger), (), now_ms).keys()
