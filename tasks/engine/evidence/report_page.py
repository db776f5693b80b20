"""The page of a report: one file of HTML for people, also on paper. It loads nothing and runs no script.

The template is `report_page.html.j2`. Everything that it prints is escaped, and invisible characters become visible
escapes, because names of topics and groups and the output of checks can contain any text. `jinja2` is imported only if
a page is made.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from tasks.engine.evidence.charts import BARS_HEIGHT, BARS_WIDTH, TIMELINE_WIDTH, rto_chart, timeline
from tasks.engine.evidence.report import ComparedPartition, DrillReport, Number, Unknown
from tasks.model.counting import counted

if TYPE_CHECKING:
    from jinja2 import Template

T = TypeVar("T")

MAX_ROWS: Final = 500
"""The most rows of a table. The page says how many more are in the report."""


def render_page(report: DrillReport, sha256: str) -> bytes:
    """The page of a report whose bytes have this SHA-256. The same report gives the same bytes."""
    text = _template().render(
        report=report,
        sha256=sha256,
        sentences=list(_verdict_sentences(report)),
        steps=timeline(report.when),
        chart=rto_chart(report, sha256),
        partitions=_rows(report.integrity.partitions, _has_difference),
        settings=_rows(report.integrity.settings, lambda row: bool(row.problems)),
        groups=_rows(report.integrity.groups, lambda row: bool(row.problems)),
        unknown=list(_unknown_members(report.to_json())),
    )
    return text.encode()


@cache
def _template() -> Template:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_printed,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"moment": _moment, "day": _day, "duration": _duration, "clock": _clock}
    environment.filters |= {"number": _number, "yesno": _yesno}
    environment.tests["unknown"] = lambda value: isinstance(value, Unknown)
    environment.globals |= {
        "max_rows": MAX_ROWS,
        "timeline_width": TIMELINE_WIDTH,
        "bars_width": BARS_WIDTH,
        "bars_height": BARS_HEIGHT,
    }
    return environment.get_template("report_page.html.j2")


def _printed(value: object) -> object:
    """What the template prints for a value, before it is escaped."""
    if isinstance(value, Unknown):
        return f"unknown: {_visible(value.unknown)}"
    return _visible(value) if type(value) is str else value


def _visible(text: str) -> str:
    """The text with escapes for invisible characters, for example those that reverse the direction of the text."""
    return "".join(
        one if one.isprintable() or one == "\n" else one.encode("unicode_escape", "surrogatepass").decode()
        for one in text
    )


def _moment(value: Number) -> object:
    """A time in UTC: `2026-11-30 17:43:46 UTC`."""
    if isinstance(value, Unknown):
        return value
    return f"{datetime.fromtimestamp(value / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"


def _day(value: Number) -> object:
    """A date in UTC without the year: `11-30`."""
    return "?" if isinstance(value, Unknown) else f"{datetime.fromtimestamp(value / 1000, UTC):%m-%d}"


def _duration(value: Number) -> object:
    """A duration with its sign: `1 h 5 min 3 s`, `4 min 32 s`, `12.5 s`."""
    if isinstance(value, Unknown):
        return value
    sign, seconds = ("−" if value < 0 else ""), abs(value) / 1000
    if seconds < 60:
        return f"{sign}{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (rest, "s")]
    return sign + " ".join(f"{count} {unit}" for count, unit in parts if count)


def _clock(value: Number) -> str:
    """A duration for the chart: `0:04:32`."""
    if isinstance(value, Unknown):
        return "?"
    minutes, seconds = divmod(round(value / 1000), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}"


def _number(value: Number) -> object:
    return value if isinstance(value, Unknown) else f"{value:,}"


def _yesno(value: object) -> object:
    return value if isinstance(value, Unknown) else "yes" if value else "no"


def _verdict_sentences(report: DrillReport) -> Iterator[str]:
    """What happened, for a reader who does not know Kafka."""
    tested, partitions = report.tested, report.integrity.partitions
    when = _moment(tested.point_ms)
    if not partitions:
        yield f"The drill was to restore the backup of {when}. It ended before any restored data was compared."
    else:
        expected = sum(one.expected_records for one in partitions)
        compared = sum(one.compared_records for one in partitions)
        different = sum(map(_has_difference, partitions))
        yield (
            f"The backup of {when} was restored into temporary topics. A second reader then read "
            f"the restored data and compared {compared:,} of {counted(expected, 'record')} with the backup."
        )
        yield (
            f"Differences were found in {counted(different, 'partition')} of {len(partitions):,}."
            if different
            else "No difference was found."
        )
    rto = report.objectives.rto
    if not isinstance(rto.achieved_ms, Unknown):
        text = f"The data and the positions of its readers were ready after {_duration(rto.achieved_ms)}"
        if not isinstance(rto.target_ms, Unknown):
            text += f". The target is {_duration(rto.target_ms)}"
        yield f"{text}."
    failures = sum(finding.severity == "failure" for finding in report.result.findings)
    remarks = len(report.result.findings) - failures
    if failures:
        yield f"The drill failed for {counted(failures, 'reason')}, which are listed below."
    if remarks:
        yield f"{counted(remarks, 'remark')} below {'limits' if remarks == 1 else 'limit'} what the drill proves."


def _has_difference(row: ComparedPartition) -> bool:
    return bool(row.problem)


def _rows(rows: Sequence[T], has_problem: object) -> tuple[list[T], int]:
    """(at most `MAX_ROWS` rows, those with a problem first, the number of the other rows)."""
    assert callable(has_problem)
    ordered = sorted(rows, key=lambda row: not has_problem(row))
    return ordered[:MAX_ROWS], max(len(rows) - MAX_ROWS, 0)


def _unknown_members(value: object, path: str = "") -> Iterator[tuple[str, str]]:
    """(path, reason) for each unknown member of a report."""
    if isinstance(value, dict):
        if value.keys() == {"unknown"}:
            yield path, value["unknown"]
            return
        for name, member in value.items():
            yield from _unknown_members(member, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for number, member in enumerate(value):
            yield from _unknown_members(member, f"{path}[{number}]")
