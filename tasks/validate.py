"""The tasks of a validation. Each takes names and numbers, takes one step of the engine, and returns a small value."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from prefect.runtime import flow_run

from tasks.engine.bins import MAX_BINS
from tasks.engine.validate import (
    ChosenPoint,
    Inspection,
    ValidationResult,
    check_runs,
    chosen_point,
    conclude,
    inspect,
)
from tasks.engine.validation.objects import Checked, Level, check_objects, object_bins
from tasks.flow_support.bin_tasks import Part, parts_of
from tasks.flow_support.flow_run_cache import at_home, ending, live_run
from tasks.flow_support.progress_artifact import shown
from tasks.flow_support.retries import tried_again
from tasks.flow_support.states import under_a_name
from tasks.flow_support.wiring import repository, repository_reference
from tasks.model.partition import Partition
from tasks.repository.points import PointReference


@dataclass(frozen=True, slots=True)
class ValidationWork:
    """Which validation a task works for: the flow run, the repository's block, the point, and how deep."""

    flow_run: str
    repository: str
    set_name: str
    seq: int
    is_pinned: bool
    level: Level


@dataclass(frozen=True, slots=True)
class PlannedValidation:
    """What there is to check: a part for each task, and for people how much it is."""

    parts: tuple[Part, ...]
    objects: int
    log_bytes: int


@dataclass(frozen=True, slots=True)
class CheckedPart:
    """What the check of one part came to, how long it took, and how much the index says there was."""

    number: int
    seconds: float
    checked: Checked
    records: int
    log_bytes: int


@contextmanager
def validating(backup_id: str, repository_name: str, level: Level) -> Iterator[ValidationWork]:
    """The point that is meant, pinned while the body validates it."""
    reference, flow = repository_reference(repository_name), str(flow_run.id)
    with at_home(flow) as live:
        opened = repository(flow, reference)
        with (
            shown(live.ledger, f"Validating {backup_id}", flow),
            chosen_point(opened, PointReference.parse(backup_id)) as chosen,
            ending(live.stop),
        ):
            yield ValidationWork(flow, reference, chosen.set_name, chosen.seq, chosen.is_pinned, level)


@tried_again("inspect")
def inspect_point(work: ValidationWork) -> PlannedValidation:
    """Read the log and what the point names but its data, and share out its data objects."""
    found = inspection(work)
    parts = parts_of([{line.source for key in keys for line, _ in found.named[key]} for keys in bins(work)])
    return PlannedValidation(parts, len(found.named), found.point.totals.log_bytes)


@tried_again("check", run_name="{part.label}")
def check_part(work: ValidationWork, part: Part) -> CheckedPart:
    """Check the data objects of one part."""
    began, live = time.monotonic(), live_run(work.flow_run)
    named = {key: inspection(work).named[key] for key in bins(work)[part.number]}
    lines = [line for own in named.values() for line, _ in own]
    live.ledger.restart(part.number)

    def progress(partition: Partition, *, records: int, log_bytes: int) -> None:
        live.ledger.add(part.number, records=records, log_bytes=log_bytes)

    opened = repository(work.flow_run, work.repository)
    checked = check_objects(opened, named, work.level, stop=live.stop, progress=progress)
    result = CheckedPart(
        part.number,
        time.monotonic() - began,
        checked,
        records=sum(line.records for line in lines),
        log_bytes=sum(line.log_bytes for line in lines),
    )
    return under_a_name("Damaged", str(checked.findings[0]), result) if checked.findings else result


@tried_again("conclude")
def conclude_validation(work: ValidationWork, checked: Sequence[CheckedPart]) -> ValidationResult:
    """Check what belongs to no single object, and add everything up."""
    opened, found = repository(work.flow_run, work.repository), inspection(work)
    runs = check_runs(opened, found, work.level, stop=live_run(work.flow_run).stop)
    return conclude(found, work.level, [*(one.checked for one in checked), runs], is_pinned=work.is_pinned)


def inspection(work: ValidationWork) -> Inspection:
    """The point as this process has read it, once."""
    opened = repository(work.flow_run, work.repository)
    chosen = ChosenPoint(work.set_name, work.seq, work.is_pinned)
    return live_run(work.flow_run).once("inspection", lambda: inspect(opened, chosen))


def bins(work: ValidationWork) -> list[list[str]]:
    """The keys of the data objects of each part."""
    return live_run(work.flow_run).once("bins", lambda: object_bins(inspection(work).named, MAX_BINS))
