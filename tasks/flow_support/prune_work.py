"""A prune by a flow: the names that its tasks receive, the lease that the flow holds, and the plan, which each process
makes once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tasks.engine.options import RetentionPolicy, lock_problem
from tasks.engine.prune import pruning
from tasks.engine.retention.plan_id import PlanMoment
from tasks.engine.retention.prune_plan import PrunePlan, draft_prune
from tasks.flow_support.flow_run_cache import flow_run_cache, stop_on_failure
from tasks.flow_support.open_flow import open_flow
from tasks.flow_support.wiring import repository, repository_reference, storage_section
from tasks.model.errors import ConfigError
from tasks.repository.names import check_set_name


@dataclass(frozen=True, slots=True)
class PruneWork:
    """The prune that a task works for: the flow run, the repository's block, the set, its policy, and the moment of the
    plan."""

    flow_run: str
    repository: str
    set_name: str
    policy: RetentionPolicy
    moment: PlanMoment


@contextmanager
def open_prune(set_name: str, repository_name: str, policy: RetentionPolicy) -> Iterator[PruneWork]:
    """A prune of the set. The body has its prune lease. If the body raises, the run's stop event is set. Raises
    `ConfigError` for a wrong name or a lock that is longer than `maximum_age`, and what `pruning` and `open_flow`
    raise."""
    check_set_name(set_name)
    problem = lock_problem(storage_section(repository_reference(repository_name)).lock_ms, policy)
    if problem is not None:
        raise ConfigError(f"{problem}.")
    with open_flow(repository_name) as flow:
        context = flow.cache.run_context(flow.repository)
        with pruning(context, set_name) as now_ms, stop_on_failure(flow.cache.stop):
            moment = PlanMoment(flow.repository.state(set_name).seq, now_ms)
            yield PruneWork(flow.flow_run, flow.repository_name, set_name, policy, moment)


def prune_plan(work: PruneWork) -> PrunePlan:
    """The plan. Each process makes it once. After the points were changed it names fewer points, and the same
    objects."""
    opened, moment = repository(work.flow_run, work.repository), work.moment

    def draft() -> PrunePlan:
        return draft_prune(opened, work.set_name, work.policy, now_ms=moment.now_ms, at_seq=moment.seq)

    return flow_run_cache(work.flow_run).cached(f"prune plan of {moment.seq} at {moment.now_ms}", draft)
