"""The rows about the differences between the clocks of this machine, the store and the brokers: which differences are
tolerated, and which are refused. Pure."""

from __future__ import annotations

from tasks.engine.checks.items import CheckItem, missing, ok, optional, unknown
from tasks.model.errors import AccessError

_TOLERATED_MS = 60_000
"""Pins and tokens have lifetimes of minutes, so a difference below a minute changes nothing."""

_REFUSED_MS = 15 * 60_000
"""Amazon S3 refuses requests whose signature has a time that differs more from its own (RequestTimeTooSkewed)."""

_PRECISION_MS = 1_000
"""Stores can count whole seconds (`ObjectInfo.modified_ms`)."""


def store_clock_item(location: str, *, before_ms: int, modified_ms: int, after_ms: int) -> CheckItem:
    """The row of a store's clock. This machine's clock was at `before_ms` before an object was written and at
    `after_ms` after that. `modified_ms` is the time of that write by the store's clock."""
    at_least = max(before_ms - modified_ms - _PRECISION_MS, modified_ms - after_ms, 0)
    if at_least <= _TOLERATED_MS:
        return optional(ok(location, "clock", f"differs from this machine's by {_seconds(at_least)} or less"))
    direction = "behind" if modified_ms < before_ms else "ahead of"
    item = missing(
        location,
        "clock",
        f"{_seconds(at_least)} {direction} this machine's",
        "Synchronize the clock of this machine (NTP).",
        AccessError,
    )
    return item if at_least > _REFUSED_MS else optional(item)


def broker_clock_item() -> CheckItem:
    """The row of the brokers' clocks."""
    return optional(
        unknown(
            "brokers",
            "clock",
            "Kafka's protocol has no request for a broker's time",
            "Synchronize the clocks of the brokers and of this machine (NTP).",
        )
    )


def _seconds(milliseconds: int) -> str:
    return f"{max(1, round(milliseconds / 1000)):,} s"
