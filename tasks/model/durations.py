"""Durations as text: `90s`, `30m`, `12h`, `7d`, `2w`. Pure."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator

DAY_MS = 86_400_000

_UNITS_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": DAY_MS, "w": 7 * DAY_MS}


def duration_ms(text: str) -> int:
    """The milliseconds of a duration such as `90s`, `30m`, `12h`, `7d` or `2w`. Raises `ValueError` for another
    text."""
    found = re.fullmatch(r"([1-9][0-9]{0,8})([smhdw])", text)
    if found is None:
        raise ValueError("should be a duration: a number and one of s, m, h, d and w, for example 7d")
    return int(found[1]) * _UNITS_MS[found[2]]


def _check_duration(text: str) -> str:
    duration_ms(text)
    return text


Duration = Annotated[str, AfterValidator(_check_duration)]
"""The type of a field with a duration."""
