"""A drill by a flow: the names and ids that its tasks receive, the lease and pin that the flow holds, and the clean-up
when it ends, in whatever way."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from prefect.futures import PrefectFuture, wait

from tasks.engine.drill import clean_drill
from tasks.engine.drill_steps import BegunDrill, PointChoice, choose_point, reopened
from tasks.engine.drilling.drill_findings import DrillFindings
from tasks.engine.drilling.drill_result import ChosenData, DrillTimes, PartitionComparison
from tasks.engine.drilling.left_drills import clean_left_drills
from tasks.engine.options import DrillOptions
from tasks.engine.restore_steps import restore_lease
from tasks.engine.target.findings import Finding
from tasks.flow_support.bin_tasks import BinTask, bin_tasks_of
from tasks.flow_support.flow_run_cache import flow_run_cache, stop_on_failure
from tasks.flow_support.open_flow import open_flow
from tasks.flow_support.progress_artifact import progress_artifact
from tasks.flow_support.states import report_event
from tasks.flow_support.wiring import cluster_access, load_signing_key, now_ms, repository
from tasks.model.errors import KafkaBackupError
from tasks.repository.names import check_set_name, new_run_id
from tasks.repository.points import PointReference
from tasks.repository.restores import RestorePlan

T = TypeVar("T")

TASKS_END_S = 60
"""How long a drill that failed waits for its other tasks before it removes their topics, in seconds."""


@dataclass(frozen=True, slots=True)
class DrillWork:
    """The drill that a task works for: the flow run, the names of its blocks, the set, the chosen point, the options
    and the drill's id."""

    flow_run: str
    target: str
    repository: str
    set_name: str
    choice: PointChoice
    options: DrillOptions
    drill: str


@dataclass(frozen=True, slots=True)
class PlannedDrill:
    """A drill whose scratch topics exist: what it restores, the plan of its restore, and the findings of the
    preflight. It is a parameter of the task of each bin."""

    data: ChosenData
    plan: RestorePlan
    findings: tuple[Finding, ...]

    @property
    def bin_tasks(self) -> tuple[BinTask, ...]:
        """One task for each bin, named after the source partitions that it restores or compares."""
        return bin_tasks_of([[self.plan.partitions[index].source for index in bin_] for bin_ in self.plan.bins])


@dataclass(frozen=True, slots=True)
class NewDrill:
    """A planned drill, and the objects that it reads with the SHA-256 of each. The objects are for the report alone: as
    a part of `planned`, Prefect would visit each of them for each task."""

    planned: PlannedDrill
    objects: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class RestoredBin:
    """A bin whose partitions are written: the time of its first record in Unix milliseconds, None if it has none, and
    the duration of its task in seconds."""

    number: int
    first_record_ms: int | None
    seconds: float


@dataclass(frozen=True, slots=True)
class ComparedBin:
    """The comparisons of the partitions of a bin."""

    number: int
    partitions: Sequence[PartitionComparison]


@dataclass(slots=True)
class OpenDrill:
    """What the flow has in hand: the work for its tasks, what the drill has found out so far, and the event that ends
    the tasks of this process."""

    work: DrillWork
    found: DrillFindings
    stop: threading.Event
    futures: list[PrefectFuture[Any]] = field(default_factory=list)

    def watched(self, future: PrefectFuture[T]) -> PrefectFuture[T]:
        """The same future. `ending_tasks` waits for its task."""
        self.futures.append(future)
        return future

    @contextmanager
    def ending_tasks(self) -> Iterator[None]:
        """If the body raises, set `stop` and wait until the watched tasks have ended, at most `TASKS_END_S`."""
        try:
            with stop_on_failure(self.stop):
                yield
        except Exception:
            wait(self.futures, timeout=TASKS_END_S)
            raise


@contextmanager
def open_drill(
    set_name: str, target: str, repository_name: str, options: DrillOptions, signing_key: str | None
) -> Iterator[OpenDrill]:
    """A new drill, after the removal of what earlier drills have left that died. Its lease is held and its point is
    pinned while the body runs. If the body raises, the run's stop event is set. Whatever the drill has made and the
    body has not removed is removed at the end, also after a cancellation.

    Raises `ConfigError` for a wrong name or a signing key that cannot be used, and what `choose_point`, `open_flow` and
    `restore_lease` raise.
    """
    check_set_name(set_name)
    requested_ms, drill = now_ms(), new_run_id(now_ms())
    with (
        open_flow(repository_name, target) as flow,
        progress_artifact(flow.cache.counter, f"Drill of {set_name}", flow.flow_run),
    ):
        if signing_key is not None:
            load_signing_key(signing_key)  # a key that cannot be used is found before the drill and not after it
        context = flow.cache.run_context(flow.repository).on(cluster_access(flow.flow_run, target))
        earlier = clean_left_drills(context, is_own_cluster_only=True)
        choice = choose_point(flow.repository, set_name, options, drill)
        reference = PointReference(set_name, seq=choice.point.seq)
        times = DrillTimes(requested_ms=requested_ms, started_ms=now_ms())
        with restore_lease(context, reference, drill) as point:
            found = DrillFindings(
                drill=drill,
                options=options,
                point=point.entry,
                newest_ms=choice.newest_ms,
                times=times,
                earlier=earlier,
            )
            work = DrillWork(flow.flow_run, target, flow.repository_name, set_name, choice, options, drill)
            try:
                with stop_on_failure(flow.cache.stop):
                    yield OpenDrill(work, found, flow.cache.stop)
            except KafkaBackupError as error:
                report_event("kafka-backup.drill.failed", f"drill {drill} of {point.name}: {error}")
                raise
            finally:
                left = clean_drill(context, drill)  # None if the body has cleaned up
                if left is not None:
                    found.clean_up = left
                    found.times = replace(found.times, cleaned_up_ms=now_ms())


def begun_drill(work: DrillWork, planned: PlannedDrill) -> BegunDrill:
    """The drill for the steps of this process, which reads it once."""
    opened, cache = repository(work.flow_run, work.repository), flow_run_cache(work.flow_run)
    return cache.cached(
        "drill",
        lambda: reopened(
            opened, work.drill, planned.data, planned.findings, is_one_of_several=not cache.is_flow_process
        ),
    )
