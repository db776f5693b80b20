"""Validates a restore point: checks that everything that it promises exists, and is what was written. Chooses and pins
the point, and makes the verdict."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

from tasks.engine.archived import NONE_ARCHIVED, ArchivedObjects
from tasks.engine.run_context import RunContext
from tasks.engine.validation.contents import PointContents, read_contents
from tasks.engine.validation.damage import DamageFinding, of_object
from tasks.engine.validation.fragments import (
    check_lone_fragment,
    check_plan,
    lone_fragments,
)
from tasks.engine.validation.object_bytes import NamedLine
from tasks.engine.validation.objects import Checked, Level, check_object, merge, named_lines
from tasks.engine.validation.set_log import choose_readable, read_whole_log
from tasks.engine.workers import run_all
from tasks.model.errors import DamagedError, InterruptedRunError, NotFoundError
from tasks.repository.drops import Drop, drops_of_point
from tasks.repository.entries import PointEntry
from tasks.repository.names import fragment_beside, log_key, origin_of
from tasks.repository.pins import pinned
from tasks.repository.points import PointReference
from tasks.repository.repository import Repository
from tasks.repository.set_log import SetLog

WORKERS = 4
"""The number of objects that are checked at the same time. A full validation holds that many objects in memory."""


class ChosenPoint(NamedTuple):
    """The point that is validated. `is_pinned` is false if the program has no write permission for the repository. Then
    nothing protects the point from deletion. `drops` are those that concern the point. What is dropped later is checked
    too."""

    set_name: str
    seq: int
    is_pinned: bool
    drops: tuple[Drop, ...] = ()

    @property
    def name(self) -> str:
        """The reference of the point: `set@17`."""
        return f"{self.set_name}@{self.seq}"

    @property
    def reference(self) -> PointReference:
        """The reference of the point."""
        return PointReference(self.set_name, seq=self.seq)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """A point, and everything that could be read of it except its data. `checked` is the result for the log and the
    objects that were read. `named` are the data objects to check, each with the lines that name it."""

    point: PointEntry
    contents: PointContents
    checked: Checked
    named: Mapping[str, Sequence[NamedLine]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationResult:
    """The result of a validation. If `findings` is empty, no damage was found. `archived` are the archived objects of
    the point. If `is_everything_read` is False, they were not read, and nothing is promised about their bytes.

    `checked_objects` is the number of index, table, state and data objects that were checked, at level `full` also of
    plans and fragments. `checked_bytes` is the size of the data objects that were read, 0 at level `quick`.
    `checked_records` is the number of restorable records that were counted in them. `dropped_objects` is the number of
    data objects whose data, or a part of it, was dropped because of `maximum_age`. They were not checked for that data.
    """

    point: PointEntry
    findings: tuple[DamageFinding, ...]
    checked_objects: int
    checked_bytes: int
    checked_records: int
    dropped_objects: int = 0
    is_pinned: bool = True
    archived: ArchivedObjects = NONE_ARCHIVED
    is_everything_read: bool = True


def validate_locally(context: RunContext, reference: PointReference, *, level: Level) -> ValidationResult:
    """Validate a point while it is pinned. All damage is reported, not only the first.

    If there is no finding, both levels promise the following. The set's log is an unbroken chain from entry 1, and the
    head and all checkpoints that can be read agree with it. Index, partition table and states have the digests that the
    entry states. An index line covers every offset of every partition. The totals are right (the total of records only
    at `full`). The settings of every live topic are stored.

    `quick` also promises that each data object exists with the right size, and with the checksum that the store stated
    when the object was written. It reads no data: a flipped bit is not found if the store keeps no checksums.

    `full` also promises that every byte of each data object is what was written (SHA-256); that its trailer names this
    repository, set and run and the right segments; that every frame consists of whole batches with valid CRCs and
    ascending offsets inside its range; and that records, timestamps, codecs, epochs and aborted ranges are those of the
    index. The plans of the runs that wrote the data, and the fragments beside it, are intact. `restores/`, `leases/`
    and `pins/` do not belong to a point and are not read. Objects in an archive are not read at level `full`, and the
    result says so; at level `quick` they count as present.

    Each line is reported to `context.progress` when its object is done. Raises `NotFoundError` if there is no such
    point, `DamagedError` if the log is so damaged that this cannot be decided, `UnsupportedError` for a newer format,
    `InterruptedRunError` on `stop`, and the store's error if the store fails: that is not a finding.
    """
    with chosen_point(context.repository, reference) as chosen:
        inspection = inspect(context.repository, chosen)
        checked = run_all(
            lambda item: check_object(context, *item, level), inspection.named.items(), WORKERS, context.stop
        )
        checked.append(check_runs(context, inspection, level))
    return verdict(inspection, level, checked, is_pinned=chosen.is_pinned)


@contextmanager
def chosen_point(repository: Repository, reference: PointReference) -> Iterator[ChosenPoint]:
    """Choose the point that the reference selects, and pin it while the body validates it. Raises what
    `choose_readable` raises."""
    log = repository.log(reference.set_name)
    seq = choose_readable(log, reference)
    with pinned(repository.store, log.set_name, seq, purpose="validate", now_ms=repository.now_ms) as is_pinned:
        yield ChosenPoint(log.set_name, seq, is_pinned, _drops(log, seq))


def _drops(log: SetLog, seq: int) -> tuple[Drop, ...]:
    try:
        return drops_of_point(log.state().drops, seq)
    except DamagedError:
        return ()  # the damage of the log becomes a finding


def inspect(repository: Repository, chosen: ChosenPoint) -> Inspection:
    """Read the whole log, and everything that the point names except its data. Call it after the point was pinned.
    Raises `NotFoundError` if the point was removed before, and `UnsupportedError` for a newer format. Damage becomes a
    finding."""
    log = repository.log(chosen.set_name)
    reading = read_whole_log(log)
    if chosen.seq not in reading.state.points:
        raise NotFoundError(f"{log.set_name}@{chosen.seq} was removed before it could be validated.")
    point = log.point_entry(chosen.seq)
    contents = read_contents(repository.store, point, chosen.drops)
    checked = Checked([*reading.findings, *contents.findings], objects=contents.objects)
    return Inspection(point=point, contents=contents, checked=checked, named=named_lines(contents))


def check_runs(context: RunContext, inspection: Inspection, level: Level) -> Checked:
    """At level `full`, check the plans of the runs that wrote the point's data, and those of their fragments that have
    no data object. At level `quick` nothing is checked. Raises `InterruptedRunError` on `stop`."""
    if level == "quick":
        return Checked([])
    repository, point = context.repository, inspection.point
    keys = {line.object for line in inspection.contents.lines if line.object is not None}
    dropped = {line.object for line in inspection.contents.dropped if line.object is not None}
    beside = {fragment_beside(key) for key in keys | dropped}
    checked = []
    for run in sorted({point.run} | {origin_of(key)[1] for key in keys}):
        if context.stop.is_set():
            raise InterruptedRunError("The validation was stopped.")
        lone = lone_fragments(repository.store, point.set, run, beside)
        others = [finding for key in lone for finding in check_lone_fragment(repository.store, key)]
        checked.append(Checked([*check_plan(repository, point.set, run), *others], objects=1 + len(lone)))
    return merge(checked)


def verdict(inspection: Inspection, level: Level, checked: Sequence[Checked], *, is_pinned: bool) -> ValidationResult:
    """The result of the validation. `checked` has to include every data object of the point. Pure."""
    point = inspection.point
    total = merge([inspection.checked, *checked])
    findings = list(total.findings)
    is_everything_read = level == "quick" or not total.archived.objects
    is_counted = is_everything_read and not inspection.contents.dropped
    if level == "full" and not findings and is_counted and total.records != point.totals.records:
        message = f"its total of records is {point.totals.records}, but its objects contain {total.records}"
        findings.append(of_object(log_key(point.set, point.seq), message))
    return ValidationResult(
        point=point,
        findings=tuple(dict.fromkeys(findings)),
        checked_objects=total.objects,
        checked_bytes=total.bytes,
        checked_records=total.records,
        dropped_objects=len({line.object for line in inspection.contents.dropped}),
        is_pinned=is_pinned,
        archived=total.archived,
        is_everything_read=is_everything_read,
    )
