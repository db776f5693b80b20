"""Point references: they select a restore point of a set by name, seq or time. Formats times. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from tasks.model.errors import ConfigError, NotFoundError
from tasks.repository.names import check_set_name
from tasks.repository.set_state import SetState


@dataclass(frozen=True, slots=True)
class PointReference:
    """A reference to a point: `set` (its newest point), `set@17` (by seq) or `set@2026-11-22T10:00:00Z` (by time)."""

    set_name: str
    seq: int | None = None
    time_ms: int | None = None

    @classmethod
    def parse(cls, text: str) -> PointReference:
        """The reference in a text. Raises `ConfigError` if the text has another form, or the set's name is not
        valid."""
        name, at, point = text.partition("@")
        check_set_name(name)
        if not at:
            return cls(name)
        if point.isdecimal():
            return cls(name, seq=int(point))
        return cls(name, time_ms=_time_of(text, point))


def format_time(time_ms: int) -> str:
    """A time as `list` prints it and as references accept it: UTC, with milliseconds only if there are any."""
    moment = datetime.fromtimestamp(time_ms // 1000, UTC)
    fraction = f".{time_ms % 1000:03d}" if time_ms % 1000 else ""
    return f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}Z"


def choose_point(state: SetState, reference: PointReference) -> int:
    """The seq of the live point that a reference selects. A time without milliseconds selects a point of the same
    second if no point has exactly this time. Raises `NotFoundError` if there is none, or more than one. Pure."""
    name = reference.set_name
    if reference.seq is not None:
        if reference.seq in state.points:
            return reference.seq
        if reference.seq in state.expired:
            raise NotFoundError(
                f"{name}@{reference.seq} has expired. To bring it back: `kafka-backup unexpire --backup-id "
                f"{name}@{reference.seq}`."
            )
        raise NotFoundError(f"{name}@{reference.seq} is not a restore point; `kafka-backup list` shows the points.")
    if reference.time_ms is not None:
        return _at_time(state, reference)
    if state.newest_point is None or state.newest_point not in state.points:
        raise NotFoundError(f"The backup set {name!r} has no restore point. Make one with `kafka-backup backup`.")
    return state.newest_point


def _at_time(state: SetState, reference: PointReference) -> int:
    name = reference.set_name
    exact = [seq for seq, point in state.points.items() if point.time_ms == reference.time_ms]
    same_second = [
        seq
        for seq, point in state.points.items()
        if reference.time_ms is not None and point.time_ms // 1000 == reference.time_ms // 1000
    ]
    candidates = exact or (same_second if reference.time_ms is not None and reference.time_ms % 1000 == 0 else [])
    if len(candidates) == 1:
        return candidates[0]
    asked = f"{name}@{format_time(reference.time_ms or 0)}"
    if not candidates:
        raise NotFoundError(f"{asked} is not a restore point; `kafka-backup list` shows the points.")
    names = ", ".join(f"{name}@{seq}" for seq in sorted(candidates))
    raise NotFoundError(f"{asked} selects {len(candidates)} points, {names}: name one of them.")


def parse_time(text: str) -> int | None:
    """The Unix milliseconds of a time such as `2026-11-22T10:00:00Z`. None for another text."""
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,3})?(Z|[+-]\d\d:\d\d)", text):
        return None
    try:
        return round(datetime.fromisoformat(text).timestamp() * 1000)
    except ValueError:
        return None


def _time_of(text: str, point: str) -> int:
    time_ms = parse_time(point)
    if time_ms is None:
        raise ConfigError(
            f"{text!r} is not a point reference: write SET, SET@NUMBER or SET@TIME, for example orders@17 or "
            "orders@2026-11-22T10:00:00Z."
        )
    return time_ms
