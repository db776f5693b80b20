"""The page of a report: what it says, and that nothing in a report becomes markup."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.engine.drilling.drill_result import CleanUp, DrillResult, GroupComparison, OwnerCheck
from tasks.engine.evidence.build_report import build_report
from tasks.engine.evidence.charts import BARS_HEIGHT, TIMELINE_WIDTH, rto_chart, timeline
from tasks.engine.evidence.report import PastDrill, Unknown
from tasks.engine.evidence.report_page import MAX_ROWS, render_page
from tests.support.made_drill import (
    drill_id,
    failed_drill,
    full_context,
    made_context,
    passed_drill,
    unknown_drill,
)

SHA = "0" * 64


class _Page(HTMLParser):
    """The elements, their attributes and the texts of a page."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.elements: list[tuple[str, tuple[str, ...]]] = []
        self.values: list[str] = []
        self.text = ""
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, tuple(name for name, _ in attrs)))
        self.values += [value or "" for _, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data


def _page(drill: DrillResult) -> _Page:
    return _Page(render_page(build_report(drill, made_context()), SHA))


def _hostile(name: str) -> DrillResult:
    """A drill in which every text that others choose is `name`."""
    drill = failed_drill()
    first, *_ = drill.partitions
    return replace(
        drill,
        data=replace(drill.data, topics=(name,), excluded={name: name}, choice=name),
        partitions=(replace(first, source=first.source._replace(topic=name), problem=name),),
        groups=(GroupComparison(group=name, scratch_group=name, positions=1, problems=(name,)),),
        checks=(OwnerCheck(name=name, kind="http", verdict="failed", output=name, seconds=1),),
        clean_up=CleanUp(topics={name: name}, groups=(name,), problems=(name,)),
        problems=(name,),
    )


@settings(deadline=None, derandomize=True, max_examples=100)
@given(st.text(st.characters(), min_size=1, max_size=12))
def test_no_name_changes_the_elements_of_the_page(name: str) -> None:
    assert _page(_hostile("x")).elements == _page(_hostile(name)).elements


@pytest.mark.parametrize(
    "name",
    ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{ 7 * 7 }}", "</svg><b>", "&lt;b&gt;", "'a' b=c"],
)
def test_hostile_names_are_shown_as_they_are(name: str) -> None:
    page = _page(_hostile(name))

    assert _page(_hostile("x")).elements == page.elements
    assert page.text.count(name) >= 10
    assert "49" not in page.text.split(SHA)[0] or "7 * 7" not in name


def test_invisible_characters_are_shown_as_escapes() -> None:
    text = _page(_hostile("a\u202eb\x00c\x1b[1m")).text

    assert "a\\u202eb\\x00c\\x1b[1m" in text
    assert not set("\u202e\x00\x1b") & set(text)


def test_the_page_loads_nothing_and_has_no_script() -> None:
    page = _Page(render_page(build_report(failed_drill(), full_context()), SHA))

    assert not {"script", "link", "img", "iframe", "object", "a", "base"} & {tag for tag, _ in page.elements}
    assert not {"src", "href", "onload", "onclick"} & {name for _, names in page.elements for name in names}
    assert "default-src 'none'; style-src 'unsafe-inline'" in page.values
    assert "://" not in page.text.replace("s3://backups/production", "")


def test_the_page_begins_with_the_verdict_in_words() -> None:
    passed = _page(passed_drill()).text
    assert "✓ Passed" in passed
    assert "compared 2,000 of 2,000 records with the backup" in passed
    assert "No difference was found." in passed
    assert "ready after 4 min 32 s. The target is 15 min." in passed

    failed = _page(failed_drill()).text
    assert "✗ Failed" in failed
    assert "Differences were found in 1 partition of 4." in failed
    assert "failed for 6 reasons" in failed
    assert failed.index("✗ Failed") < failed.index("record 17 differs") < failed.index("What was tested")


def test_a_drill_that_compared_nothing_does_not_say_that_there_is_no_difference() -> None:
    text = _page(unknown_drill()).text

    assert "It ended before any restored data was compared." in text
    assert "No difference was found" not in text
    assert "nothing was cleaned up" in text


def test_every_unknown_member_is_listed_with_its_reason() -> None:
    text = _page(unknown_drill()).text

    for path in ("identity.organisation", "when.verified_ms", "privacy.erasure_ledger", "tested.topics[0].topic_id"):
        assert path in text


def test_a_long_table_shows_differences_first_and_the_number_of_missing_rows() -> None:
    drill = passed_drill()
    row = drill.partitions[0]
    rows = tuple(replace(row, source=row.source._replace(partition=number)) for number in range(MAX_ROWS + 7))
    drill = replace(drill, partitions=(*rows[:-1], replace(rows[-1], problem="record 5 differs")))

    text = _page(drill).text
    assert "7 more rows are only in the report.json." in text
    assert 2 == text.count("record 5 differs")


def test_the_timeline_begins_with_the_request_and_ends_with_the_clean_up() -> None:
    steps = timeline(build_report(passed_drill(), made_context()).when)

    assert [5_000, 12_000, 238_000, 22_500, 127_500, 5_000] == [step.duration_ms for step in steps]
    assert 0 == steps[0].x
    assert TIMELINE_WIDTH == pytest.approx(steps[-1].x + steps[-1].width, abs=0.2)


def test_a_step_that_was_not_reached_has_no_bar() -> None:
    steps = timeline(build_report(unknown_drill(), made_context()).when)

    assert [5_000, None, None, None, None, None] == [step.duration_ms for step in steps]


def test_the_chart_has_a_bar_for_each_of_the_last_drills_and_the_target() -> None:
    def past(number: int, rto_ms: int | Unknown) -> PastDrill:
        return PastDrill(
            drill=drill_id(number), started_ms=number, verdict="passed", rto_ms=rto_ms, rpo_ms=1, sha256=SHA
        )

    drills = (past(0, 450_000), past(1, Unknown(unknown="damaged")))
    chart = rto_chart(build_report(passed_drill(2), replace(made_context(), last_drills=drills)), SHA)

    assert [BARS_HEIGHT / 2, 0, round(BARS_HEIGHT * 272.5 / 900, 1)] == [bar.height for bar in chart.bars]
    assert [False, False, True] == [bar.is_this for bar in chart.bars]
    assert BARS_HEIGHT == chart.target_height
    assert rto_chart(build_report(unknown_drill(), made_context()), SHA).target_height is None
