"""A finding is one line, whatever its subject is called."""

from __future__ import annotations

import pytest

from tasks.engine.target.findings import Finding, refusal_of


@pytest.mark.parametrize(
    ("subject", "shown"), [("billing", "billing"), ("", '""'), ("two\nlines", '"two\\nlines"'), ("a\0", '"a\\x00"')]
)
def test_the_subject_of_a_finding_never_breaks_its_line(subject: str, shown: str) -> None:
    finding = Finding("error", subject, "the group has members.")

    assert f"error: {shown}: the group has members." == str(finding)
    assert str(refusal_of([finding])).endswith(f"nothing was changed: {shown}: the group has members.")
