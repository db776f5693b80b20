"""The report of a drill and the register, as text and as markdown."""

from __future__ import annotations

from dataclasses import replace

from tasks.engine.evidence.build_report import build_report
from tasks.engine.evidence.register import RegisterRow
from tasks.engine.evidence.report import Unknown
from tasks.reports.evidence import register_json, register_text, report_markdown, report_text
from tests.support.made_drill import drill_id, failed_drill, made_context, passed_drill

SHA = "0" * 64


def test_text_and_markdown_say_the_same() -> None:
    drill = failed_drill()
    drill = replace(drill, problems=("a | b\nc",))
    report = build_report(drill, made_context())

    text, markdown = report_text(report, SHA), report_markdown(report, SHA)
    for part in (
        "FAILED",
        "20 min 0 s (target 15 min 0 s: missed)",
        "orders, payments; 1 topic left out",
        SHA,
        "unsigned",
    ):
        assert part in text
        assert part in markdown
    assert "failure:    a | b\nc" in text
    assert "- failure: a \\| b c\n" in markdown


def test_without_findings_the_markdown_has_no_list() -> None:
    assert "\n- " not in report_markdown(build_report(passed_drill(), made_context()), SHA)


def test_the_register_shows_what_is_unknown_and_its_json_has_the_reason() -> None:
    reason = Unknown(unknown="never tested")
    row = RegisterRow(
        set_name="demo",
        topic="a b",
        drill=drill_id(),
        started_ms=0,
        verdict="passed",
        rto_ms=1_500,
        rpo_ms=reason,
        next_due_ms=reason,
    )

    assert ["demo", '"a', 'b"', "1970-01-01T00:00:00Z", "passed", "1.5", "s", "unknown", "unknown", drill_id()] == (
        register_text([row]).splitlines()[1].split()
    )
    assert {"unknown": "never tested"} == register_json([row])[0]["next_due_ms"]
