"""A consolidation by a flow: the names and ids that its tasks receive, the lease and the pin that the flow holds, and
what is read once in each process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tasks.engine.consolidate import consolidating, originals_of
from tasks.engine.consolidation.join import Originals
from tasks.flow_support.bin_tasks import BinTask
from tasks.flow_support.flow_run_cache import flow_run_cache, stop_on_failure
from tasks.flow_support.open_flow import open_flow
from tasks.flow_support.progress_artifact import progress_artifact
from tasks.flow_support.wiring import repository
from tasks.repository.names import check_set_name
from tasks.repository.plans import Plan, read_plan


@dataclass(frozen=True, slots=True)
class ConsolidationWork:
    """The consolidation that a task works for: the flow run, the repository's block, and the point that is copied
    from."""

    flow_run: str
    repository: str
    set_name: str
    seq: int


@dataclass(frozen=True, slots=True)
class PlannedConsolidation:
    """The run, a task for each of its bins, and the log bytes to copy. Without bins there is nothing to join."""

    run: str
    bin_tasks: tuple[BinTask, ...]
    log_bytes: int


@contextmanager
def open_consolidation(set_name: str, repository_name: str) -> Iterator[ConsolidationWork]:
    """A consolidation of the set's newest point, which is pinned while the body runs. If the body raises, the run's
    stop event is set. Raises `ConfigError` for a wrong name, and what `consolidating` and `open_flow` raise."""
    check_set_name(set_name)
    with open_flow(repository_name) as flow:
        context = flow.cache.run_context(flow.repository)
        with (
            progress_artifact(flow.cache.counter, f"Consolidating {set_name}", flow.flow_run),
            consolidating(context, set_name) as point,
            stop_on_failure(flow.cache.stop),
        ):
            yield ConsolidationWork(flow.flow_run, flow.repository_name, set_name, point.seq)


def plan_and_originals(work: ConsolidationWork, run: str) -> tuple[Plan, Originals]:
    """The plan of a run, and what its bins copy. Each process reads them once."""

    def read() -> tuple[Plan, Originals]:
        opened = repository(work.flow_run, work.repository)
        plan = read_plan(opened.store, work.set_name, run)
        return plan, originals_of(opened.log(work.set_name).point(work.seq), plan)

    return flow_run_cache(work.flow_run).cached(("consolidation", run), read)
