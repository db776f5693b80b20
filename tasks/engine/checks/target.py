"""The rows about the target topics of a restore, from the findings of its preflight. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tasks.engine.checks.items import CheckItem, missing, ok
from tasks.engine.target.findings import Finding
from tasks.model.counting import counted
from tasks.model.errors import AccessError, RefusedError


def finding_items(findings: Sequence[Finding]) -> Iterator[CheckItem]:
    """A row for each error. If there is none, one row says so, with the number of warnings and notes, which do not stop
    a restore."""
    errors = [finding for finding in findings if finding.level == "error"]
    for finding in errors:
        kind = AccessError if finding.is_denied else RefusedError
        yield missing(finding.subject, "preflight", finding.message, "`validate-restore` prints all findings.", kind)
    if not errors:
        others = counted(len(findings), "warning or note", "warnings and notes")
        advice = "`validate-restore` prints them." if findings else ""
        text = f"the brokers accept all topics and settings (validate_only); {others}"
        yield ok("target topics", "preflight", text, advice)
