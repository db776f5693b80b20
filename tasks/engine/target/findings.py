"""Findings: the results of a preflight, all of which are reported before anything is changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tasks.model.errors import AccessError, KafkaBackupError, RefusedError
from tasks.model.quoting import quoted

FindingLevel = Literal["error", "warning", "note"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence about one subject: a topic, a partition, a group or an object. An `error` forbids the restore.

    `is_denied`: a permission is missing. `is_missing_data`: the point itself does not contain all data of the subject.
    `purged_offsets`: how many offsets of the subject `purge_topics` deletes. `is_archived`: the objects can be read
    after the store brought them back.
    """

    level: FindingLevel
    subject: str
    message: str
    is_denied: bool = False
    is_missing_data: bool = False
    purged_offsets: int = 0
    is_archived: bool = False

    def __str__(self) -> str:
        return f"{self.level}: {self.sentence}"

    @property
    def sentence(self) -> str:
        """The subject and the message in one line: the id of a group can be any text."""
        return (
            f"{self.subject if self.subject.isprintable() and self.subject else quoted(self.subject)}: {self.message}"
        )


def error_finding(subject: str, error: KafkaBackupError, *, prefix: str = "") -> Finding:
    """A raised error as a finding that forbids the restore. `prefix` precedes its message."""
    return Finding("error", subject, f"{prefix}{error}", is_denied=isinstance(error, AccessError))


def refusal_of(findings: Sequence[Finding]) -> KafkaBackupError:
    """The error to raise for findings with errors: `AccessError` if a permission is missing, else `RefusedError`."""
    errors = [finding for finding in findings if finding.level == "error"]
    reasons = " ".join(finding.sentence for finding in errors)
    kind = AccessError if any(finding.is_denied for finding in errors) else RefusedError
    return kind(f"The restore was refused and nothing was changed: {reasons}")


def has_errors(findings: Sequence[Finding]) -> bool:
    """Whether a finding forbids the restore."""
    return any(finding.level == "error" for finding in findings)


def only_archived(findings: Sequence[Finding]) -> bool:
    """Whether nothing forbids the restore except archived objects."""
    errors = [finding for finding in findings if finding.level == "error"]
    return bool(errors) and all(finding.is_archived for finding in errors)
