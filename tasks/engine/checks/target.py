"""The rows about the target topics of a restore, from the findings of its preflight. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tasks.engine.checks.items import CheckItem, missing, ok
from tasks.engine.target.findings import Finding
from tasks.model.errors import AccessError, RefusedError


def finding_items(findings: Sequence[Finding]) -> Iterator[CheckItem]:
    """A row for each error. Warnings and notes do not stop a restore: one row counts them."""
    errors = [finding for finding in findings if finding.level == "error"]
    for finding in errors:
        kind = AccessError if finding.is_denied else RefusedError
        yield missing(finding.subject, "preflight", finding.message, "`validate-restore` prints all findings.", kind)
    if not errors:
        others = len(findings)
        advice = "`validate-restore` prints them." if others else ""
        text = "the brokers accept all topics and settings (validate_only)"
        yield ok("target topics", "preflight", f"{text}; {others:,} warnings and notes", advice)
