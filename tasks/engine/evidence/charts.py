"""The geometry of the two charts of a page: the timeline of a drill, and the RTO of the last drills. Pure. Lengths are
those of the SVG's view box; the template draws them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from tasks.engine.evidence.report import DrillReport, Number, PastDrill, Text, Unknown, When

TIMELINE_WIDTH: Final = 420
"""The length of the whole drill."""
BARS_WIDTH: Final = 680
"""The width of the chart of drills."""
BARS_HEIGHT: Final = 130
"""The height of the largest value in the chart of drills."""

_STEPS: Final = (
    "waiting for the start",
    "preparing, until the first record was readable",
    "restoring the data",
    "restoring the positions of groups",
    "comparing with the backup",
    "removing what the drill made",
)
"""The step between each two neighbours of the times of a drill."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineStep:
    """One step: its bar, and when it was. Without an end the step was not reached, and has no bar."""

    name: str
    x: float = 0
    width: float = 0
    start_ms: int | None = None
    duration_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One drill: its bar, which has no height if its RTO is unknown."""

    drill: str
    started_ms: Number
    verdict: Text
    rto_ms: Number
    x: float
    width: float
    height: float
    is_this: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RtoChart:
    """The bars from the oldest to the newest, and the height of the target. None if there is no target."""

    bars: tuple[Bar, ...]
    target_height: float | None


def timeline(when: When) -> tuple[TimelineStep, ...]:
    """The steps of a drill in their order."""
    times = [when.requested_ms, when.started_ms, when.first_record_ms, when.data_complete_ms]
    times += [when.groups_ready_ms, when.verified_ms, when.cleaned_up_ms]
    known = [time for time in times if isinstance(time, int)]
    begin, total = min(known), max(max(known) - min(known), 1)
    return tuple(_steps(times, begin, TIMELINE_WIDTH / total))


def _steps(times: list[Number], begin: int, scale: float) -> Iterator[TimelineStep]:
    """A step that was not reached has no time; the step after it begins at the last known time."""
    last = begin
    for name, (start, end) in zip(_STEPS, pairwise(times), strict=True):
        start_ms = last if isinstance(start, Unknown) else start
        if isinstance(end, Unknown):
            yield TimelineStep(name=name)
            continue
        length = max(end - start_ms, 0)
        yield TimelineStep(
            name=name,
            x=round((start_ms - begin) * scale, 1),
            width=round(max(length * scale, 1.5), 1),
            start_ms=start_ms,
            duration_ms=length,
        )
        last = end


def rto_chart(report: DrillReport, sha256: str) -> RtoChart:
    """The RTO of the last drills and of this one."""
    this = PastDrill(
        drill=report.identity.report_id,
        started_ms=report.when.started_ms,
        verdict=report.result.verdict,
        rto_ms=report.objectives.rto.achieved_ms,
        rpo_ms=report.objectives.rpo.achieved_ms,
        sha256=sha256,
    )
    drills = (*report.objectives.last_drills, this)
    target = report.objectives.rto.target_ms
    values = [value for value in (target, *(one.rto_ms for one in drills)) if isinstance(value, int)]
    scale = BARS_HEIGHT / max(*values, 1) if values else 0
    slot = BARS_WIDTH / max(len(drills), 6)
    return RtoChart(
        bars=tuple(
            Bar(
                drill=one.drill,
                started_ms=one.started_ms,
                verdict=one.verdict,
                rto_ms=one.rto_ms,
                x=round(number * slot + slot * 0.15, 1),
                width=round(slot * 0.7, 1),
                height=0 if isinstance(one.rto_ms, Unknown) else round(one.rto_ms * scale, 1),
                is_this=one is this,
            )
            for number, one in enumerate(drills)
        ),
        target_height=None if isinstance(target, Unknown) else round(target * scale, 1),
    )
