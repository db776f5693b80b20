"""What the capture of a bin returns: small values that travel between processes. The data is in the repository."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.model.partition import Partition


@dataclass(frozen=True, slots=True, kw_only=True)
class CapturedRange:
    """What one partition's capture came to; the numbers are for reports, the commit reads the fragments."""

    source: Partition
    first: int
    next: int
    records: int
    log_bytes: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureFailure:
    """A partition whose capture ended early, and why, in one sentence. `is_denied`: a permission is missing;
    `is_passing`: a deadline passed, and another attempt may succeed."""

    source: Partition
    reason: str
    is_denied: bool = False
    is_passing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureResult:
    """One attempt at some ranges: its writer id, the number of fragments that it wrote (0 … `fragments`-1), and what
    they hold."""

    writer: str
    fragments: int
    ranges: tuple[CapturedRange, ...]
    failures: tuple[CaptureFailure, ...]
