"""docs/evidence.schema.json is the JSON schema of the report of a drill. It is made from the models, and reports are
valid documents of it.

`python -m tests.unit.test_evidence_schema` writes it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tasks.engine.drilling.drill_result import DrillResult
from tasks.engine.evidence.build_report import build_report
from tasks.engine.evidence.canonical import report_bytes
from tasks.engine.evidence.report import SCHEMA_VERSION, DrillReport
from tests.support.made_drill import failed_drill, full_context, made_context, passed_drill, unknown_drill

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "evidence.schema.json"
DRILLS = [passed_drill(), failed_drill(), unknown_drill()]


def test_the_schema_is_current() -> None:
    assert written() == DOCUMENT.read_text(), "python -m tests.unit.test_evidence_schema"


@pytest.mark.parametrize("drill", DRILLS)
@pytest.mark.parametrize("context", [made_context(), full_context()])
def test_reports_are_valid_documents_of_the_schema(drill: DrillResult, context: Any) -> None:
    assert [] == _problems(json.loads(report_bytes(build_report(drill, context))))


def test_a_report_that_leaves_out_any_member_is_not_valid() -> None:
    report = json.loads(report_bytes(build_report(failed_drill(), full_context())))

    for group, members in report.items():
        assert _problems({name: value for name, value in report.items() if name != group}), group
        for member in members if isinstance(members, dict) else ():
            less = {name: value for name, value in members.items() if name != member}
            assert _problems({**report, group: less}), f"{group}.{member}"


def test_an_unknown_value_needs_a_reason() -> None:
    report = json.loads(report_bytes(build_report(passed_drill(), made_context())))

    assert _problems({**report, "mapping": None})
    assert _problems({**report, "mapping": {"unknown": None}})


def written() -> str:
    """The text of the schema."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:kafka-backup:drill-report:{SCHEMA_VERSION}",
        **DrillReport.model_json_schema(mode="serialization"),
    }
    return json.dumps(schema, indent=2) + "\n"


def _problems(report: Any) -> list[str]:
    validator = Draft202012Validator(json.loads(DOCUMENT.read_text()))
    return [error.message for error in validator.iter_errors(report)]


if __name__ == "__main__":
    DOCUMENT.write_text(written())
