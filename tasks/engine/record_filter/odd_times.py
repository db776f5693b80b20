"""Timestamps that make no sense: none, zero, seconds instead of milliseconds, far ahead of the capture.

A time window judges such a record by its stored number, like any other. Restores count them and name them, because a
window can leave them out, or keep them, against the user's expectation. Pure.
"""

from __future__ import annotations

from typing import Final

from tasks.engine.record_filter.conditions import Extent

DAY_MS: Final = 24 * 3_600_000
AHEAD_MS: Final = 365 * DAY_MS
"""A record that is later than its capture by more than this is far ahead."""

SECONDS_BELOW_MS: Final = 10_000_000_000
"""A positive time below this number is taken as seconds: as milliseconds it would be before 1970-04-27."""

NO_TIME: Final = "no time (-1)"
ZERO: Final = "time 0"
IN_SECONDS: Final = "seconds instead of milliseconds"
AHEAD: Final = "more than a year after the capture"


def odd_kind(timestamp_ms: int, captured_ms: int) -> str | None:
    """The kind of a timestamp that makes no sense, None for any other. `captured_ms` is the time of the capture."""
    if timestamp_ms >= SECONDS_BELOW_MS:
        return AHEAD if timestamp_ms > captured_ms + AHEAD_MS else None
    if timestamp_ms > 0:
        return IN_SECONDS
    return ZERO if timestamp_ms == 0 else NO_TIME


def odd_kinds(extent: Extent, captured_ms: int) -> tuple[str, ...]:
    """The kinds of odd timestamps that the bounds of the extent show. Each bound is the time of a record, except that
    of an aborted one."""
    bounds = [bound for bound in (extent.min_ms, extent.max_ms) if bound is not None]
    return tuple(dict.fromkeys(kind for bound in bounds if (kind := odd_kind(bound, captured_ms)) is not None))


def is_all_odd(extent: Extent, captured_ms: int) -> bool:
    """Whether the extent shows that each of its records has an odd timestamp."""
    is_low = extent.max_ms is not None and extent.max_ms < SECONDS_BELOW_MS
    return is_low or (extent.min_ms is not None and extent.min_ms > captured_ms + AHEAD_MS)
