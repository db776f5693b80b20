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
    inspect,
    verdict,
)
from tasks.engine.validation.objects import Checked, Level, check_objects, object_bins
from tasks.flow_support.bin_tasks import BinTask, bin_tasks_of
from tasks.flow_support.flow_run_cache import flow_process, flow_run_cache, stop_on_failure
from tasks.flow_support.progress_artifact import progress_artifact
from tasks.flow_support.retries import repeatable_task
from tasks.flow_support.states import with_state_name
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

    bin_tasks: tuple[BinTask, ...]
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
def open_validation(backup_id: str, repository_name: str, level: Level) -> Iterator[ValidationWork]:
    """The point that is meant, pinned while the body validates it."""
    reference, flow = repository_reference(repository_name), str(flow_run.id)
    with flow_process(flow) as cache:
        opened = repository(flow, reference)
        with (
            progress_artifact(cache.counter, f"Validating {backup_id}", flow),
            chosen_point(opened, PointReference.parse(backup_id)) as chosen,
            stop_on_failure(cache.stop),
        ):
            yield ValidationWork(flow, reference, chosen.set_name, chosen.seq, chosen.is_pinned, level)


@repeatable_task("inspect")
def inspect_point(work: ValidationWork) -> PlannedValidation:
    """Read the log and what the point names but its data, and share out its data objects."""
    found = inspection(work)
    bin_tasks = bin_tasks_of([{line.source for key in keys for line, _ in found.named[key]} for keys in bins(work)])
    return PlannedValidation(bin_tasks, len(found.named), found.point.totals.log_bytes)


@repeatable_task("check", run_name="{bin_task.label}")
def check_part(work: ValidationWork, bin_task: BinTask) -> CheckedPart:
    """Check the data objects of one part."""
    began, cache = time.monotonic(), flow_run_cache(work.flow_run)
    named = {key: inspection(work).named[key] for key in bins(work)[bin_task.number]}
    lines = [line for own in named.values() for line, _ in own]
    cache.counter.restart(bin_task.number)

    def progress(partition: Partition, *, records: int, log_bytes: int) -> None:
        cache.counter.add(bin_task.number, records=records, log_bytes=log_bytes)

    opened = repository(work.flow_run, work.repository)
    checked = check_objects(opened, named, work.level, stop=cache.stop, progress=progress)
    result = CheckedPart(
        bin_task.number,
        time.monotonic() - began,
        checked,
        records=sum(line.records for line in lines),
        log_bytes=sum(line.log_bytes for line in lines),
    )
    return with_state_name("Damaged", str(checked.findings[0]), result) if checked.findings else result


@repeatable_task("conclude")
def conclude_validation(work: ValidationWork, checked: Sequence[CheckedPart]) -> ValidationResult:
    """Check what belongs to no single object, and add everything up."""
    opened, found = repository(work.flow_run, work.repository), inspection(work)
    runs = check_runs(opened, found, work.level, stop=flow_run_cache(work.flow_run).stop)
    return verdict(found, work.level, [*(one.checked for one in checked), runs], is_pinned=work.is_pinned)


def inspection(work: ValidationWork) -> Inspection:
    """The point as this process has read it, once."""
    opened = repository(work.flow_run, work.repository)
    chosen = ChosenPoint(work.set_name, work.seq, work.is_pinned)
    return flow_run_cache(work.flow_run).cached("inspection", lambda: inspect(opened, chosen))


def bins(work: ValidationWork) -> list[list[str]]:
    """The keys of the data objects of each part."""
    return flow_run_cache(work.flow_run).cached("bins", lambda: object_bins(inspection(work).named, MAX_BINS))
