"""The canonical JSON of a report."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.engine.drilling.drill_result import DrillResult
from tasks.engine.evidence.build_report import build_report
from tasks.engine.evidence.canonical import read_report, report_bytes
from tasks.model.errors import DamagedError, UnsupportedError
from tests.support.made_drill import failed_drill, full_context, made_context, passed_drill, unknown_drill

any_text = st.text(st.characters(), max_size=20)
drills = st.builds(
    lambda drill, topic, text, number: replace(
        drill,
        data=replace(drill.data, topics=(topic,), choice=text, records=number),
        problems=(text,),
    ),
    st.sampled_from([passed_drill(), failed_drill(), unknown_drill()]),
    any_text,
    any_text,
    st.integers(0, 2**53 - 1),
)


@settings(deadline=None, derandomize=True, max_examples=200)
@given(drills)
def test_a_report_has_one_form_that_python_alone_can_make_and_it_is_read_back(drill: DrillResult) -> None:
    report = build_report(drill, made_context())
    data = report_bytes(report)

    assert report == read_report(data, key="report.json")
    again = json.dumps(json.loads(data), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert again == data


@pytest.mark.parametrize("drill", [passed_drill(), failed_drill(), unknown_drill()])
def test_all_names_of_members_are_ascii_and_all_numbers_are_whole(drill: DrillResult) -> None:
    """Otherwise Python's order and numbers were not those of RFC 8785."""
    report = build_report(replace(drill, data=replace(drill.data, excluded={"ö": "ü"})), full_context())

    def check(pairs: list[tuple[str, object]]) -> dict[str, object]:
        assert all(name.isascii() for name, _ in pairs)
        return dict(pairs)

    json.loads(report_bytes(report), object_pairs_hook=check, parse_float=pytest.fail)


def test_bytes_that_are_not_canonical_or_not_a_report_are_damage() -> None:
    data = report_bytes(build_report(passed_drill(), made_context()))

    for wrong in (data + b"\n", data.replace(b'"point":1,', b'"point":"1",'), data[:-1], b"{}"):
        with pytest.raises(DamagedError, match=r"report\.json"):
            read_report(wrong, key="report.json")
    with pytest.raises(UnsupportedError, match="unknown"):
        read_report(data.replace(b'"verdict":"met"', b'"verdict":"waived"'), key="report.json")


def test_members_of_a_later_version_are_kept() -> None:
    data = report_bytes(build_report(passed_drill(), made_context()))
    later = data[:-1] + b',"zone":"a"}'

    assert later == report_bytes(read_report(later, key="report.json"))
