"""A restore by a flow: which one its tasks work for, and the lease and pin that are held while they do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from prefect.runtime import flow_run

from tasks.engine.options import RestoreOptions
from tasks.engine.restore_steps import restore_lease, restore_targets
from tasks.engine.target.findings import Finding, has_errors
from tasks.flow_support.bin_tasks import BinTask, bin_tasks_of
from tasks.flow_support.flow_run_cache import flow_process, flow_run_cache, stop_on_failure
from tasks.flow_support.progress_artifact import progress_artifact
from tasks.flow_support.wiring import cluster_access, now_ms, places, repository, repository_reference
from tasks.model.errors import ConfigError
from tasks.model.partition import Partition
from tasks.repository.names import new_run_id
from tasks.repository.points import PointReference
from tasks.repository.repository import Repository
from tasks.repository.restores import RestorePlan, Targets


@dataclass(frozen=True, slots=True)
class RestoreWork:
    """Which restore a task works for: the flow run, the names of its blocks, the point, and the restore's id."""

    flow_run: str
    target: str
    repository: str
    set_name: str
    seq: int
    restore: str


@dataclass(frozen=True, slots=True)
class PlannedRestore:
    """What a restore will do, and everything that speaks against it: with an error among the findings, nothing is
    done."""

    plan: RestorePlan
    findings: tuple[Finding, ...]

    @property
    def is_refused(self) -> bool:
        """Whether any of the findings forbids to go on."""
        return has_errors(self.findings)

    @property
    def bin_tasks(self) -> tuple[BinTask, ...]:
        """One for each task, named after the target partitions that it writes."""
        targets = [Partition(copy.target_topic, "", copy.target_partition) for copy in self.plan.partitions]
        return bin_tasks_of([[targets[index] for index in bin_] for bin_ in self.plan.bins])


@dataclass(frozen=True, slots=True)
class ReplayedBin:
    """A bin whose replay has ended, and how long it took."""

    number: int
    seconds: float


def require_consent(options: RestoreOptions, *, is_given: bool) -> None:
    """Raises `ConfigError` for `purge_topics` without consent: one option alone never deletes what a topic holds."""
    if options.purge_topics and not is_given:
        raise ConfigError("purge_topics deletes what the target topics hold: consent with purge_confirmed.")


@contextmanager
def open_preview(backup_id: str, target: str, repository_name: str) -> Iterator[RestoreWork]:
    """A restore that is only previewed: no lease is held while the body runs, and nothing is written."""
    with _opened(target, repository_name) as (flow, name, opened):
        point = opened.point(PointReference.parse(backup_id))
        yield RestoreWork(flow, target, name, point.set_name, point.seq, new_run_id(now_ms()))


@contextmanager
def open_restore(backup_id: str, target: str, repository_name: str) -> Iterator[RestoreWork]:
    """A new restore, whose lease is held and whose point is pinned while the body runs."""
    reference, restore = PointReference.parse(backup_id), new_run_id(now_ms())
    with _opened(target, repository_name) as (flow, name, opened):
        cache = flow_run_cache(flow)
        with (
            progress_artifact(cache.counter, f"Restoring {backup_id}", flow),
            restore_lease(cache.run_context(opened), reference, restore) as point,
            stop_on_failure(cache.stop),
        ):
            yield RestoreWork(flow, target, name, point.set_name, point.seq, restore)


def targets_of(work: RestoreWork) -> Targets:
    """The target partitions; each process reads them once."""
    opened = repository(work.flow_run, work.repository)
    return flow_run_cache(work.flow_run).cached("targets", lambda: restore_targets(opened, work.restore))


@contextmanager
def _opened(target: str, repository_name: str) -> Iterator[tuple[str, str, Repository]]:
    """(the flow run, the full name of the repository's block, the repository); no task has to load blocks again."""
    flow, name = str(flow_run.id), repository_reference(repository_name)
    with flow_process(flow):
        places(flow, target, name)
        cluster_access(flow, target)
        yield flow, name, repository(flow, name)
