"""Findings: what a preflight has to say, all of it, before anything is changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tasks.model.errors import AccessError, KafkaBackupError, RefusedError

Level = Literal["error", "warning", "note"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence about one subject (a topic, a group, an object). An `error` forbids the restore; one that
    `is_denied` stands until someone grants a permission. `is_lack`: the point itself lacks something of it."""

    level: Level
    subject: str
    message: str
    is_denied: bool = False
    is_lack: bool = False

    def __str__(self) -> str:
        return f"{self.level}: {self.subject}: {self.message}"


def error_finding(subject: str, error: KafkaBackupError, *, lead: str = "") -> Finding:
    """What was raised, as a finding that forbids the restore."""
    return Finding("error", subject, f"{lead}{error}", is_denied=isinstance(error, AccessError))


def refusal_of(findings: Sequence[Finding]) -> KafkaBackupError:
    """The error for findings with errors: `AccessError` when a permission is missing, else `RefusedError`."""
    errors = [finding for finding in findings if finding.level == "error"]
    reasons = " ".join(f"{finding.subject}: {finding.message}" for finding in errors)
    kind = AccessError if any(finding.is_denied for finding in errors) else RefusedError
    return kind(f"The restore was refused and nothing was changed: {reasons}")


def has_errors(findings: Sequence[Finding]) -> bool:
    """Whether any of them forbids to go on."""
    return any(finding.level == "error" for finding in findings)
