"""Validation of a restore point: what it promises is there, and is what was written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

from tasks.engine.run_context import RunContext
from tasks.engine.validation.contents import PointContents, read_contents
from tasks.engine.validation.damage import DamageFinding, of_object
from tasks.engine.validation.fragments import (
    check_lone_fragment,
    check_plan,
    fragment_beside,
    lone_fragments,
    run_of,
)
from tasks.engine.validation.object_bytes import NamedLine
from tasks.engine.validation.objects import Checked, Level, check_object, merge, named_lines
from tasks.engine.validation.set_log import choose_readable, read_whole_log
from tasks.engine.workers import run_all
from tasks.model.errors import InterruptedRunError, NotFoundError
from tasks.repository.entries import PointEntry
from tasks.repository.names import log_key
from tasks.repository.pins import pinned
from tasks.repository.points import PointReference
from tasks.repository.repository import Repository

WORKERS = 4
"""Objects that are checked at the same time; a full validation holds so many of them in memory."""


class ChosenPoint(NamedTuple):
    """The point that is validated. `is_pinned` is false when the repository may not be written to: then nothing keeps
    the point from being swept."""

    set_name: str
    seq: int
    is_pinned: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """A point with what could be read of it but its data. `checked` is what came of the log and of that reading;
    `named` are the data objects to check, each with the lines that name it."""

    point: PointEntry
    contents: PointContents
    checked: Checked
    named: Mapping[str, Sequence[NamedLine]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationResult:
    """The point that was validated and everything that is wrong with it: nothing, if `findings` is empty.

    `checked_objects` counts every object that was looked at but the log's entries, `checked_bytes` the bytes of data
    objects that were read (none at level quick), `checked_records` the restorable records that were counted in them.
    """

    point: PointEntry
    findings: tuple[DamageFinding, ...]
    checked_objects: int
    checked_bytes: int
    checked_records: int
    is_pinned: bool = True


def validate_locally(context: RunContext, reference: PointReference, *, level: Level) -> ValidationResult:
    """Validate a point under a pin, and report all damage, not the first.

    Both levels promise, when there is no finding: the set's log is an unbroken chain from entry 1, and head and
    checkpoints that can be read agree with it; index, partition table and states are the bytes that the entry names;
    every offset of every partition is covered by an index line; the totals add up; every settings of a live topic are
    there.

    `quick` also promises of each data object that it exists, with the size and the checksum that the store stated when
    it was written. It reads no data: a byte that flipped under a store which keeps no checksums stays unseen.

    `full` also promises of each data object that every byte is as written (SHA-256), that it is an intact container
    whose end names this repository, set, run and these segments, that every frame decompresses into whole batches with
    valid CRCs and ascending offsets inside its range, and that records, timestamps, codecs, epochs and aborted ranges
    are those of the index. And that the plans of the runs that wrote the data, and the fragments beside it, are
    intact. `restores/`, `leases/` and `pins/` are no part of a point and are not read.

    Each line is reported to `context.progress` when its object is done. Raises `NotFoundError` when there is no such
    point, `DamagedError` when the log is too damaged to tell, `UnsupportedError` for a newer format,
    `InterruptedRunError` on `stop`, and what the store raises when it cannot answer: that is no finding.
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
    """The point that is meant, pinned while the body validates it."""
    log = repository.log(reference.set_name)
    seq = choose_readable(log, reference)
    with pinned(repository.store, log.set_name, seq, purpose="validate", now_ms=repository.now_ms) as is_pinned:
        yield ChosenPoint(log.set_name, seq, is_pinned)


def inspect(repository: Repository, chosen: ChosenPoint) -> Inspection:
    """Read the log as it is under the pin, and what the point names but its data. The point must still be live."""
    log = repository.log(chosen.set_name)
    reading = read_whole_log(log)
    if chosen.seq not in reading.state.points:
        raise NotFoundError(f"{log.set_name}@{chosen.seq} was removed before it could be validated.")
    point = log.point(chosen.seq).entry
    contents = read_contents(repository.store, point)
    checked = Checked([*reading.findings, *contents.findings], objects=contents.objects)
    return Inspection(point=point, contents=contents, checked=checked, named=named_lines(contents))


def check_runs(context: RunContext, inspection: Inspection, level: Level) -> Checked:
    """At level full: the plans of the runs that wrote what the point names, and those of their fragments that stand
    beside no object."""
    if level == "quick":
        return Checked([])
    repository, point = context.repository, inspection.point
    keys = {line.object for line in inspection.contents.lines if line.object is not None}
    beside = {fragment_beside(key) for key in keys}
    checked = []
    for run in sorted({point.run} | {run_of(key) for key in keys}):
        if context.stop.is_set():
            raise InterruptedRunError("The validation was stopped.")
        lone = lone_fragments(repository.store, point.set, run, beside)
        others = [finding for key in lone for finding in check_lone_fragment(repository.store, key)]
        checked.append(Checked([*check_plan(repository, point.set, run), *others], objects=1 + len(lone)))
    return merge(checked)


def verdict(inspection: Inspection, level: Level, checked: Sequence[Checked], *, is_pinned: bool) -> ValidationResult:
    """The verdict, when every object of the point is among what was checked. Pure."""
    point = inspection.point
    total = merge([inspection.checked, *checked])
    findings = list(total.findings)
    if level == "full" and not findings and total.records != point.totals.records:
        message = f"its total of records is {point.totals.records}, its objects hold {total.records}"
        findings.append(of_object(log_key(point.set, point.seq), message))
    return ValidationResult(
        point=point,
        findings=tuple(dict.fromkeys(findings)),
        checked_objects=total.objects,
        checked_bytes=total.bytes,
        checked_records=total.records,
        is_pinned=is_pinned,
    )
