"""A validation by a flow: the names and ids that its tasks receive, and the pin that the flow holds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tasks.engine.bins import MAX_BINS
from tasks.engine.validate import WORKERS, ChosenPoint, Inspection, chosen_point, inspect
from tasks.engine.validation.objects import Checked, Level, object_bins
from tasks.flow_support.bin_tasks import BinTask
from tasks.flow_support.flow_run_cache import flow_run_cache, stop_on_failure
from tasks.flow_support.open_flow import open_flow
from tasks.flow_support.progress_artifact import progress_artifact
from tasks.flow_support.wiring import repository
from tasks.repository.points import PointReference


@dataclass(frozen=True, slots=True)
class ValidationWork:
    """The validation that a task works for: the flow run, the repository's block, the point, and the level."""

    flow_run: str
    repository: str
    point: ChosenPoint
    level: Level


@dataclass(frozen=True, slots=True)
class PlannedValidation:
    """The work of a validation: a task for each bin, the number of data objects, and the point's log bytes."""

    bin_tasks: tuple[BinTask, ...]
    objects: int
    log_bytes: int


@dataclass(frozen=True, slots=True)
class CheckedBin:
    """The result of checking one bin, and the duration in seconds. `records` and `log_bytes` are sums over the bin's
    index lines."""

    number: int
    seconds: float
    checked: Checked
    records: int
    log_bytes: int


@contextmanager
def open_validation(backup_id: str, repository_name: str, level: Level) -> Iterator[ValidationWork]:
    """A validation of the point that `backup_id` selects. The point is pinned while the body runs, if the program has
    write permission. If the body raises, the run's stop event is set.

    Raises `ConfigError` for a text that is not a point reference, and what `chosen_point` and `open_flow` raise.
    """
    with (
        open_flow(repository_name) as flow,
        progress_artifact(flow.cache.counter, f"Validating {backup_id}", flow.flow_run),
        chosen_point(flow.repository, PointReference.parse(backup_id)) as chosen,
        stop_on_failure(flow.cache.stop),
    ):
        yield ValidationWork(flow.flow_run, flow.repository_name, chosen, level)


def inspection(work: ValidationWork) -> Inspection:
    """The inspection of the point. Each process makes it once."""
    opened = repository(work.flow_run, work.repository)
    return flow_run_cache(work.flow_run).cached("inspection", lambda: inspect(opened, work.point))


def bins(work: ValidationWork) -> list[list[str]]:
    """The keys of the data objects of each bin. They are the same in every process."""
    cache = flow_run_cache(work.flow_run)
    return cache.cached("bins", lambda: object_bins(inspection(work).named, MAX_BINS, WORKERS))
