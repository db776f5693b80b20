"""The tasks of a restore. Each receives names and numbers, runs one step of the engine, and returns a small value."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tasks.engine import restore_steps
from tasks.engine.options import RestoreOptions, ThawOptions, TopicSelection
from tasks.engine.replay import replay
from tasks.engine.replay.verify import Mismatch
from tasks.engine.restore_steps import FinishedRestore
from tasks.engine.run_context import ClusterContext
from tasks.engine.started_restore import StartedRestore
from tasks.engine.thaw_objects import Thawed, data_of_restore, thaw_data
from tasks.flow_support.bin_tasks import BinTask
from tasks.flow_support.flow_run_cache import flow_run_cache
from tasks.flow_support.restore_work import (
    PlannedRestore,
    ReplayedBin,
    RestoreWork,
    restore_request,
    targets_of,
)
from tasks.flow_support.retries import is_retry, one_shot_task, repeatable_task
from tasks.flow_support.task_context import task_context
from tasks.flow_support.wiring import archive, cluster_access, repository
from tasks.reports.restore import positions_by_group
from tasks.repository.names import restore_lease_key
from tasks.repository.repository import Repository

_STARTED = "started"
"""The key of the started restore in the cache of a flow run."""


@one_shot_task("plan")
def plan_restore(
    work: RestoreWork, topics: TopicSelection, options: RestoreOptions, *, is_preview: bool = False
) -> PlannedRestore:
    """Plan the restore and check the target; of a restore that is continued, read the plan and check the backup. The
    plan is stored unless the restore is a preview or is refused. Nothing else is written."""
    cache, opened = flow_run_cache(work.flow_run), repository(work.flow_run, work.repository)
    request, point = restore_request(topics, options, restore=work.restore), opened.point(work.point)
    context = cache.run_context(opened).on(cluster_access(work.flow_run, work.target))
    with context.admin() as admin:
        preview = restore_steps.preview_restore(context, admin, point, request)
    planned = PlannedRestore(preview.plan, tuple(preview.findings), positions_by_group(preview.positions))
    if not is_preview and not planned.is_refused:
        cache.cached(_STARTED, lambda: restore_steps.begin_restore(opened, preview))
    return planned


@repeatable_task("ask for archived objects")
def ask_for_objects(work: RestoreWork, topics: TopicSelection, options: RestoreOptions, thaw: ThawOptions) -> Thawed:
    """Ask the store for the archived objects that the restore reads, except those that are on their way back."""
    cache, opened = flow_run_cache(work.flow_run), repository(work.flow_run, work.repository)
    needed = data_of_restore(opened, opened.point(work.point), restore_request(topics, options, restore=work.restore))
    context = cache.run_context(opened)
    return thaw_data(context, archive(work.flow_run, work.repository), needed, days=thaw.days, tier=thaw.tier)


@repeatable_task("prepare topics")
def prepare_topics(work: RestoreWork) -> None:
    """Create or stage the target topics, and write their ids and base offsets into the repository. If that is done
    already, wait until no request of an earlier writer arrives any more."""
    is_repeated = work.is_continued or is_retry()
    with _cluster_context(work) as context, context.admin() as admin:
        plan = _started(work, context.repository).plan
        restore_steps.prepare_restore(context, admin, plan, is_repeated=is_repeated)


@repeatable_task("replay", run_name="{bin_task.label}")
def replay_bin(work: RestoreWork, bin_task: BinTask) -> ReplayedBin:
    """Write the partitions of one bin to their targets, each record exactly once, also if an earlier attempt wrote a
    part of them."""
    began, is_repeated = time.monotonic(), is_retry()
    with _cluster_context(work) as context:
        started = _started(work, context.repository)
        if not started.is_replayed:
            replay.replay_bin(context, started, targets_of(work), bin_task.number, is_repeated=is_repeated)
    return ReplayedBin(bin_task.number, time.monotonic() - began)


@repeatable_task("verify")
def verify_targets(work: RestoreWork, replayed: Sequence[ReplayedBin]) -> list[Mismatch]:
    """Compare every target partition with the backup. Call it after all bins were replayed."""
    with _cluster_context(work) as context:
        return restore_steps.check_restore(context, _started(work, context.repository), targets_of(work))


@one_shot_task("finish")
def finish_topics(work: RestoreWork, mismatches: Sequence[Mismatch]) -> FinishedRestore:
    """Write the group positions if this is configured, then give the topics their settings. After a mismatch nothing is
    written."""
    with _cluster_context(work) as context, context.admin() as admin:
        started = _started(work, context.repository)
        return restore_steps.finish_restore(context.repository, admin, started, targets_of(work), mismatches)


@contextmanager
def _cluster_context(work: RestoreWork) -> Iterator[ClusterContext]:
    with task_context(work.flow_run, work.repository, lease=restore_lease_key(work.restore)) as context:
        yield context.run.on(cluster_access(work.flow_run, work.target))


def _started(work: RestoreWork, opened: Repository) -> StartedRestore:
    cache = flow_run_cache(work.flow_run)
    return cache.cached(
        _STARTED,
        lambda: restore_steps.started_restore(
            opened, work.restore, options=work.options, is_one_of_several=not cache.is_flow_process
        ),
    )
