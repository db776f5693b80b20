"""The result of a capture: small values that are sent between processes. The data is in the repository."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.model.partition import Partition


@dataclass(frozen=True, slots=True, kw_only=True)
class CapturedRange:
    """The captured part [first, next) of one partition. `seconds` is the duration. The numbers are for reports only;
    the commit reads the fragments."""

    source: Partition
    first: int
    next: int
    records: int
    log_bytes: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureFailure:
    """A partition whose capture ended early, with the reason in one sentence. `is_denied`: a permission is missing.
    `is_passing`: a deadline passed, so another attempt can succeed."""

    source: Partition
    reason: str
    is_denied: bool = False
    is_passing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureResult:
    """The result of one attempt to capture some ranges. `writer` is its writer id. The attempt wrote the fragments 0 …
    `fragments`-1. `is_cut_short`: it was told to end, so ranges can end early or be absent."""

    writer: str
    fragments: int
    ranges: tuple[CapturedRange, ...]
    failures: tuple[CaptureFailure, ...]
    is_cut_short: bool = False
