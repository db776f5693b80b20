"""The rows of a check, and how an error becomes one. Pure, except that `rows` calls the check that it is given."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from tasks.model.errors import AccessError, ConfigError, InterruptedRunError, KafkaBackupError, NotFoundError

CheckStatus = Literal["ok", "missing", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckItem:
    """One thing that a job needs: whose (`subject`), which (`name`), and one sentence about what was found.

    `advice` says what to do, and is empty if there is nothing to do. `is_needed` is False for a thing without which the
    job works too, but knows or does less. `error` is the class of the error with which the job would end; only rows
    that are `missing` have it.
    """

    subject: str
    name: str
    status: CheckStatus
    found: str
    advice: str = ""
    is_needed: bool = True
    error: type[KafkaBackupError] | None = None

    @property
    def stops_the_job(self) -> bool:
        """Whether the job needs this and does not have it."""
        return self.is_needed and self.status == "missing"


def ok(subject: str, name: str, found: str, advice: str = "") -> CheckItem:
    """A row for a thing that is as it should be."""
    return CheckItem(subject=subject, name=name, status="ok", found=found, advice=advice)


def missing(subject: str, name: str, found: str, advice: str, error: type[KafkaBackupError]) -> CheckItem:
    """A row for a thing that the job needs and does not have."""
    return CheckItem(subject=subject, name=name, status="missing", found=found, advice=advice, error=error)


def unknown(subject: str, name: str, found: str, advice: str = "") -> CheckItem:
    """A row for a thing that could not be determined."""
    return CheckItem(subject=subject, name=name, status="unknown", found=found, advice=advice)


def optional(item: CheckItem) -> CheckItem:
    """The row of a thing without which the job works too."""
    return replace(item, is_needed=False)


def error_item(subject: str, name: str, error: KafkaBackupError) -> CheckItem:
    """The row of a check that raised an error. After a retryable error the row is `unknown`, because the check got no
    answer."""
    if error.retryable:
        return unknown(subject, name, str(error), "Check that it runs and can be reached from this machine.")
    return missing(subject, name, str(error), _advice(error), type(error))


def rows(subject: str, name: str, check: Callable[[], Iterable[CheckItem]]) -> list[CheckItem]:
    """The rows of one check. An error that it raises becomes a row with this subject and name, so that the other checks
    run. Raises `InterruptedRunError`."""
    found: list[CheckItem] = []
    try:
        found.extend(check())
    except InterruptedRunError:
        raise
    except KafkaBackupError as error:
        found.append(error_item(subject, name, error))
    return found


def count_text(items: Sequence[CheckItem]) -> str:
    """`12 ok, 1 missing, 2 unknown`"""
    counts = {status: sum(item.status == status for item in items) for status in ("ok", "missing", "unknown")}
    return ", ".join(f"{count:,} {status}" for status, count in counts.items())


def _advice(error: KafkaBackupError) -> str:
    if isinstance(error, AccessError):
        return "Correct the credentials, or grant the permission."
    if isinstance(error, ConfigError):
        return "Correct the configuration."
    if isinstance(error, NotFoundError):
        return "Correct the name, or create it."
    return ""
