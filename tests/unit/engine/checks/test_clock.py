"""Differences of clocks."""

from __future__ import annotations

from tasks.engine.checks.clock import broker_clock_item, store_clock_item

NOW_MS = 1_800_000_000_000
MINUTE_MS = 60_000


def _status(difference_ms: int) -> tuple[str, bool, str]:
    modified_ms = NOW_MS + difference_ms
    item = store_clock_item("s3://b", before_ms=NOW_MS - 50, modified_ms=modified_ms, after_ms=NOW_MS + 50)
    return item.status, item.is_needed, item.found


def test_a_clock_that_counts_whole_seconds_is_not_behind() -> None:
    assert "ok" == _status(-999)[0]


def test_a_difference_of_minutes_is_reported_and_stops_nothing() -> None:
    assert ("missing", False, "300 s ahead of this machine's") == _status(5 * MINUTE_MS)
    assert ("missing", False, "299 s behind this machine's") == _status(-5 * MINUTE_MS)


def test_a_difference_at_which_stores_refuse_signatures_stops_the_job() -> None:
    assert ("missing", True) == _status(20 * MINUTE_MS)[:2]
    assert ("missing", True) == _status(-20 * MINUTE_MS)[:2]


def test_the_clock_of_a_broker_cannot_be_read() -> None:
    assert ("unknown", False) == (broker_clock_item().status, broker_clock_item().is_needed)
