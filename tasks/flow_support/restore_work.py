"""A restore by a flow: the names and ids that its tasks receive, the lease and pin that the flow holds, and the consent
that a purge needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from tasks.engine.options import RestoreOptions
from tasks.engine.restore_steps import restore_lease, restore_targets
from tasks.engine.target.findings import Finding, has_errors, only_archived
from tasks.flow_support.bin_tasks import BinTask, bin_tasks_of
from tasks.flow_support.flow_run_cache import flow_run_cache, stop_on_failure
from tasks.flow_support.open_flow import open_flow
from tasks.flow_support.progress_artifact import progress_artifact
from tasks.flow_support.wiring import now_ms, repository
from tasks.model.errors import ConfigError
from tasks.model.partition import Partition
from tasks.repository.names import new_run_id
from tasks.repository.points import PointReference
from tasks.repository.restores import RestorePlan, Targets


@dataclass(frozen=True, slots=True)
class RestoreWork:
    """The restore that a task works for: the flow run, the names of its blocks, the point, and the restore's id."""

    flow_run: str
    target: str
    repository: str
    set_name: str
    seq: int
    restore: str

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
def open_preview(backup_id: str, target: str, repository_name: str) -> Iterator[RestoreWork]:
    """A restore that is only previewed. No lease is held while the body runs, because nothing is written.

    Raises `ConfigError` for a text that is not a point reference, `NotFoundError` if there is no such point, and what
    `open_flow` raises.
    """
    with open_flow(repository_name, target) as flow:
        point = flow.repository.point(PointReference.parse(backup_id))
        restore = new_run_id(now_ms())
        yield RestoreWork(flow.flow_run, target, flow.repository_name, point.set_name, point.seq, restore)


@contextmanager
def open_restore(backup_id: str, target: str, repository_name: str) -> Iterator[RestoreWork]:
    """A new restore. Its lease is held and its point is pinned while the body runs. If the body raises, the run's stop
    event is set.

    Raises what `open_preview` raises, and `LockedError` if another process takes the lease.
    """
    reference, restore = PointReference.parse(backup_id), new_run_id(now_ms())
    with (
        open_flow(repository_name, target) as flow,
        progress_artifact(flow.cache.counter, f"Restoring {backup_id}", flow.flow_run),
        restore_lease(flow.cache.run_context(flow.repository), reference, restore) as point,
        stop_on_failure(flow.cache.stop),
    ):
        yield RestoreWork(flow.flow_run, target, flow.repository_name, point.set_name, point.seq, restore)


def targets_of(work: RestoreWork) -> Targets:
    """The target partitions. Each process reads them once. Raises `NotFoundError` before the topics are prepared."""
    opened = repository(work.flow_run, work.repository)
    return flow_run_cache(work.flow_run).cached("targets", lambda: restore_targets(opened, work.restore))
