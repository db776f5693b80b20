"""Findings: what a preflight has to say, all of it, before anything is changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Level = Literal["error", "warning", "note"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence about one subject (a topic, a group, an object). An `error` forbids the restore."""

    level: Level
    subject: str
    message: str

    def __str__(self) -> str:
        return f"{self.level}: {self.subject}: {self.message}"


def has_errors(findings: Sequence[Finding]) -> bool:
    """Whether any of them forbids to go on."""
    return any(finding.level == "error" for finding in findings)
