"""The tasks of a restore. Each takes names and numbers, takes one step of the engine, and returns a small value."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from prefect.runtime import flow_run

from tasks.broker.admin.admin import Admin
from tasks.broker.raw.connection import ConnectionOptions
from tasks.engine.bins import MAX_BINS
from tasks.engine.options import RestoreOptions, TopicSelection
from tasks.engine.replay.replay import replay_bin
from tasks.engine.replay.verify import Mismatch
from tasks.engine.restore_steps import (
    FinishedRestore,
    StartedRestore,
    begin_restore,
    check_restore,
    finish_restore,
    prepare_restore,
    preview_restore,
    restore_lease,
    restore_targets,
    started_restore,
)
from tasks.engine.target.findings import Finding, has_errors
from tasks.engine.target.restore_plan import RestoreRequest
from tasks.flow_support.bin_tasks import BinTask, bin_tasks_of
from tasks.flow_support.flow_run_cache import flow_process, flow_run_cache, stop_on_failure
from tasks.flow_support.progress_artifact import progress_artifact
from tasks.flow_support.retries import one_shot_task, repeatable_task
from tasks.flow_support.task_context import TaskContext, task_context
from tasks.flow_support.wiring import connection, now_ms, places, repository, repository_reference
from tasks.model.errors import ConfigError
from tasks.model.partition import Partition
from tasks.repository.names import new_run_id, restore_lease_key
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
    """What a restore will do, and everything that speaks against it: with an error among it, nothing is done."""

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
class ReplayedPart:
    """How long the replay of one part took; that it ended is the news."""

    number: int
    seconds: float


def require_consent(options: RestoreOptions, *, is_given: bool) -> None:
    """Deleting what a topic holds is never done on one option's word alone."""
    if options.purge_topics and not is_given:
        raise ConfigError("purge_topics deletes what the target topics hold: consent with purge_confirmed.")


@contextmanager
def open_preview(backup_id: str, target: str, repository_name: str) -> Iterator[RestoreWork]:
    """A restore that is only looked at: nothing is held while the body runs, and nothing is written."""
    with _opened(target, repository_name) as (flow, name, opened):
        point = opened.point(PointReference.parse(backup_id))
        yield RestoreWork(flow, target, name, point.set, point.seq, new_run_id(now_ms()))


@contextmanager
def open_restore(backup_id: str, target: str, repository_name: str) -> Iterator[RestoreWork]:
    """A new restore, whose lease is held and whose point is pinned while the body runs."""
    reference, restore = PointReference.parse(backup_id), new_run_id(now_ms())
    with _opened(target, repository_name) as (flow, name, opened):
        cache = flow_run_cache(flow)
        with (
            progress_artifact(cache.counter, f"Restoring {backup_id}", flow),
            restore_lease(opened, reference, restore, stop=cache.stop) as point,
            stop_on_failure(cache.stop),
        ):
            yield RestoreWork(flow, target, name, point.set, point.seq, restore)


@one_shot_task("plan")
def plan_restore(
    work: RestoreWork, topics: TopicSelection, options: RestoreOptions, *, is_preview: bool = False
) -> PlannedRestore:
    """Plan and preflight. Unless it is only a preview, or refused, the plan is written down; nothing else is."""
    opened, cache = repository(work.flow_run, work.repository), flow_run_cache(work.flow_run)
    request = RestoreRequest(
        restore=work.restore,
        connection=connection(work.flow_run, work.target),
        topics=topics,
        options=options,
        most_bins=MAX_BINS,
    )
    point = opened.point(PointReference(work.set_name, seq=work.seq))
    with Admin(request.connection, stop=cache.stop) as admin:
        preview = preview_restore(opened, point, request, admin)
    planned = PlannedRestore(preview.plan, tuple(preview.findings))
    if not is_preview and not planned.is_refused:
        cache.cached("started", lambda: begin_restore(opened, preview))
    return planned


@one_shot_task("prepare topics")
def prepare_topics(work: RestoreWork) -> None:
    """Make or stage the target topics, and write down which they are."""
    with _task_context(work) as at, _admin(work, at) as admin:
        prepare_restore(at.repository, _started(work, at).plan, admin, _connection(work), stop=at.stop)


@one_shot_task("replay", run_name="{bin_task.label}")
def replay_part(work: RestoreWork, bin_task: BinTask) -> ReplayedPart:
    """Write the partitions of one part to their targets, exactly once: not to be tried again after it began."""
    began = time.monotonic()
    with _task_context(work) as at:
        started = _started(work, at)
        replay_bin(
            started.reader,
            started.plan,
            targets_of(work),
            started.lines,
            bin_task.number,
            _connection(work),
            produce_timeout_ms=started.options.produce_timeout_ms,
            stop=at.stop,
            progress=at.progress,
        )
    return ReplayedPart(bin_task.number, time.monotonic() - began)


@repeatable_task("verify")
def verify_targets(work: RestoreWork, replayed: Sequence[ReplayedPart]) -> list[Mismatch]:
    """Compare every target partition with the backup, when all parts were replayed."""
    with _task_context(work) as at:
        return check_restore(at.repository, _started(work, at), targets_of(work), _connection(work), stop=at.stop)


@one_shot_task("finish")
def finish_topics(work: RestoreWork, mismatches: Sequence[Mismatch]) -> FinishedRestore:
    """Group positions, then the topics' own settings; neither where something does not verify."""
    with _task_context(work) as at, _admin(work, at) as admin:
        return finish_restore(at.repository, _started(work, at), targets_of(work), admin, mismatches)


def targets_of(work: RestoreWork) -> Targets:
    """The target partitions, as this process has read them, once."""
    opened = repository(work.flow_run, work.repository)
    return flow_run_cache(work.flow_run).cached("targets", lambda: restore_targets(opened, work.restore))


@contextmanager
def _opened(target: str, repository_name: str) -> Iterator[tuple[str, str, Repository]]:
    """(the flow run, the full name of the repository's block, the repository); no task has to ask for blocks again."""
    flow, name = str(flow_run.id), repository_reference(repository_name)
    with flow_process(flow):
        places(flow, target, name)
        connection(flow, target)
        yield flow, name, repository(flow, name)


def _task_context(work: RestoreWork) -> AbstractContextManager[TaskContext]:
    return task_context(work.flow_run, work.repository, lease=restore_lease_key(work.restore))


def _connection(work: RestoreWork) -> ConnectionOptions:
    return connection(work.flow_run, work.target)


def _admin(work: RestoreWork, at: TaskContext) -> Admin:
    return Admin(_connection(work), stop=at.stop)


def _started(work: RestoreWork, at: TaskContext) -> StartedRestore:
    return at.cache.cached("started", lambda: started_restore(at.repository, work.restore))
