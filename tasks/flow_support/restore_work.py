"""A restore by a flow: the names and ids that its tasks receive, the lease and pin that the flow holds, and the consent
that a purge needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from prefect.context import FlowRunContext
from prefect.logging import get_run_logger

from tasks.engine.bins import MAX_BINS
from tasks.engine.options import RestoreOptions, TopicSelection
from tasks.engine.restore_steps import choose, restore_lease, restore_targets
from tasks.engine.target.continuation import RestoreChoice
from tasks.engine.target.findings import Finding, has_errors, only_archived
from tasks.engine.target.restore_plan import RestoreRequest
from tasks.flow_support.bin_tasks import BinTask, bin_tasks_of
from tasks.flow_support.flow_run_cache import flow_run_cache, stop_on_failure
from tasks.flow_support.open_flow import OpenFlow, open_flow
from tasks.flow_support.progress_artifact import progress_artifact
from tasks.flow_support.wiring import cluster_access, now_ms, repository
from tasks.model.errors import ConfigError
from tasks.model.partition import Partition
from tasks.repository.names import new_run_id
from tasks.repository.points import PointReference
from tasks.repository.restore_point import RestorePoint
from tasks.repository.restores import RestorePlan, Targets


@dataclass(frozen=True, slots=True)
class RestoreWork:
    """The restore that a task works for: the flow run, the names of its blocks, the point, the restore's id, its
    options, and whether an earlier run or command began it."""

    flow_run: str
    target: str
    repository: str
    set_name: str
    seq: int
    restore: str
    options: RestoreOptions
    is_continued: bool = False

    @property
    def point(self) -> PointReference:
        """The point that is restored."""
        return PointReference(self.set_name, seq=self.seq)


@dataclass(frozen=True, slots=True)
class PlannedRestore:
    """The plan of a restore, the findings of its preflight, and the numbers of group positions by group. If a finding
    is an error, the restore is refused."""

    plan: RestorePlan
    findings: tuple[Finding, ...]
    positions_of: Mapping[str, int]

    @property
    def is_refused(self) -> bool:
        """Whether a finding is an error."""
        return has_errors(self.findings)

    @property
    def needs_only_objects(self) -> bool:
        """Whether nothing forbids the restore except archived objects."""
        return only_archived(self.findings)

    @property
    def bin_tasks(self) -> tuple[BinTask, ...]:
        """One task for each bin, named after the target partitions that it writes."""
        targets = [Partition(copy.target_topic, "", copy.target_partition) for copy in self.plan.partitions]
        return bin_tasks_of([[targets[index] for index in bin_] for bin_ in self.plan.bins])


@dataclass(frozen=True, slots=True)
class ReplayedBin:
    """A bin whose partitions are written, and the duration of its task in seconds."""

    number: int
    seconds: float


def require_consent(options: RestoreOptions, *, is_given: bool) -> None:
    """Raises `ConfigError` for `purge_topics` without consent, because that option deletes records."""
    if options.purge_topics and not is_given:
        raise ConfigError("purge_topics deletes all records of the target topics: confirm it with purge_confirmed.")


@contextmanager
def open_preview(
    backup_id: str, target: str, repository_name: str, topics: TopicSelection, options: RestoreOptions
) -> Iterator[RestoreWork]:
    """A restore that is only previewed, or an unfinished one that it would continue. No lease is held while the body
    runs, because nothing is written.

    Raises `ConfigError` for a text that is not a point reference, `NotFoundError` if there is no such point,
    `RefusedError` if the request differs from an unfinished restore into the same topics, and what `open_flow` raises.
    """
    with open_flow(repository_name, target) as flow:
        choice = _chosen(flow, PointReference.parse(backup_id), target, restore_request(topics, options), is_new=False)
        point = flow.repository.point(choice.point)
        yield _work(flow, target, choice, point, options)


@contextmanager
def open_restore(
    backup_id: str,
    target: str,
    repository_name: str,
    topics: TopicSelection,
    options: RestoreOptions,
    *,
    is_new: bool = False,
) -> Iterator[RestoreWork]:
    """A new restore, or the unfinished one of the same request unless `is_new`. Its lease is held and its point is
    pinned while the body runs. If the body raises, the run's stop event is set.

    Raises what `open_preview` raises, and `LockedError` if another process holds or takes the lease.
    """

    def log_wait(owner: str) -> None:
        get_run_logger().info("Another writer (%s) has the lease of the restore; waiting to see if it is alive.", owner)

    reference, request = PointReference.parse(backup_id), restore_request(topics, options)
    with (
        open_flow(repository_name, target) as flow,
        progress_artifact(flow.cache.counter, f"Restoring {backup_id}", flow.flow_run),
    ):
        choice = _chosen(flow, reference, target, request, is_new=is_new)
        context = flow.cache.run_context(flow.repository)
        with (
            restore_lease(context, choice.point, choice.restore, waiting=log_wait) as point,
            stop_on_failure(flow.cache.stop),
        ):
            yield _work(flow, target, choice, point, options)


def restore_request(topics: TopicSelection, options: RestoreOptions, *, restore: str | None = None) -> RestoreRequest:
    """The request of a flow, with a new id or with that of the restore which is begun or continued."""
    return RestoreRequest(
        restore=restore or new_run_id(now_ms()), topics=topics, options=options, most_bins=MAX_BINS, bins_are_tasks=True
    )


def _chosen(
    flow: OpenFlow, reference: PointReference, target: str, request: RestoreRequest, *, is_new: bool
) -> RestoreChoice:
    context = flow.cache.run_context(flow.repository).on(cluster_access(flow.flow_run, target))
    with context.admin() as admin:
        choice = choose(context, admin, reference, request, since_ms=_begin_of_run_ms() if is_new else 0)
    if choice.note:
        get_run_logger().warning(choice.note)
    return choice


def _begin_of_run_ms() -> int | None:
    """When this flow run first started, so that a run which Prefect starts again continues its own restore; None if
    it is not known."""
    context = FlowRunContext.get()
    start = context.flow_run.start_time if context is not None and context.flow_run is not None else None
    return None if start is None else round(start.timestamp() * 1000)


def _work(
    flow: OpenFlow, target: str, choice: RestoreChoice, point: RestorePoint, options: RestoreOptions
) -> RestoreWork:
    return RestoreWork(
        flow.flow_run,
        target,
        flow.repository_name,
        point.set_name,
        point.seq,
        choice.restore,
        options,
        is_continued=choice.is_continued,
    )


def targets_of(work: RestoreWork) -> Targets:
    """The target partitions. Each process reads them once. Raises `NotFoundError` before the topics are prepared."""
    opened = repository(work.flow_run, work.repository)
    return flow_run_cache(work.flow_run).cached("targets", lambda: restore_targets(opened, work.restore))
