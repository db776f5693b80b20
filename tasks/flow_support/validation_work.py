"""A validation by a flow: which one its tasks work for, and the pin that is held while they do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from prefect.runtime import flow_run

from tasks.engine.bins import MAX_BINS
from tasks.engine.validate import WORKERS, ChosenPoint, Inspection, chosen_point, inspect
from tasks.engine.validation.objects import Checked, Level, object_bins
from tasks.flow_support.bin_tasks import BinTask
from tasks.flow_support.flow_run_cache import flow_process, flow_run_cache, stop_on_failure
from tasks.flow_support.progress_artifact import progress_artifact
from tasks.flow_support.wiring import repository, repository_reference
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
    """What there is to check: one bin for each task; and for people, how much there is."""

    bin_tasks: tuple[BinTask, ...]
    objects: int
    log_bytes: int


@dataclass(frozen=True, slots=True)
class CheckedBin:
    """The result of checking one bin, how long it took, and how much the index says there is."""

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


def inspection(work: ValidationWork) -> Inspection:
    """The point; each process reads it once."""
    opened = repository(work.flow_run, work.repository)
    chosen = ChosenPoint(work.set_name, work.seq, work.is_pinned)
    return flow_run_cache(work.flow_run).cached("inspection", lambda: inspect(opened, chosen))


def bins(work: ValidationWork) -> list[list[str]]:
    """The keys of the data objects of each bin."""
    cache = flow_run_cache(work.flow_run)
    return cache.cached("bins", lambda: object_bins(inspection(work).named, MAX_BINS, WORKERS))
