"""The canonical JSON of a report (RFC 8785): the same values always are the same bytes. Pure.

The members of each object are sorted by name, there are no blanks, and the text is UTF-8. Members have names of ASCII
characters and numbers are whole, so Python's sorting and numbers are those of the RFC.
"""

from __future__ import annotations

import json

from tasks.engine.evidence.report import DrillReport
from tasks.model.errors import DamagedError


def canonical_json(value: object) -> bytes:
    """The bytes of a JSON value without fractions."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


def report_bytes(report: DrillReport) -> bytes:
    """The bytes of a report: those that are stored and signed."""
    return canonical_json(report.to_json())


def read_report(data: bytes, *, key: str) -> DrillReport:
    """The report in stored bytes. Raises `DamagedError` with `key` if they are not the canonical bytes of a report, and
    `UnsupportedError` if a later version wrote them."""
    report = DrillReport.from_text(data, key=key)
    if report_bytes(report) != data:
        raise DamagedError(f"{key} is not the report that was written: its JSON is not canonical", key=key)
    return report
