"""The tasks of a drill. Each receives names and numbers, runs one step of the engine, and returns a small value."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from tasks.engine import drill_steps
from tasks.engine.bins import MAX_BINS
from tasks.engine.drill import clean_drill, keep_evidence
from tasks.engine.drilling.drill_result import CleanUp, DrillResult, GroupComparison, OwnerCheck, SettingsComparison
from tasks.engine.drilling.owner_checks import run_checks
from tasks.engine.evidence.store_evidence import ObjectLock, StoredEvidence
from tasks.engine.progress import noting_first
from tasks.engine.replay import replay
from tasks.engine.restore_steps import check_restore
from tasks.engine.run_context import ClusterContext
from tasks.flow_support.bin_tasks import BinTask
from tasks.flow_support.drill_work import ComparedBin, DrillWork, NewDrill, PlannedDrill, RestoredBin, begun_drill
from tasks.flow_support.flow_run_cache import flow_run_cache
from tasks.flow_support.retries import one_shot_task, repeatable_task
from tasks.flow_support.states import with_state_name
from tasks.flow_support.task_context import task_context
from tasks.flow_support.wiring import (
    cluster_access,
    cluster_section,
    load_signing_key,
    now_ms,
    repository,
    storage_section,
)
from tasks.repository.names import restore_lease_key
from tasks.repository.points import PointReference


@one_shot_task("plan")
def plan_drill(work: DrillWork) -> NewDrill:
    """Choose the topics, check the target, and make the scratch topics."""
    with _cluster_context(work) as context, context.admin() as admin:
        point = context.repository.point(PointReference(work.set_name, seq=work.choice.point.seq))
        begun = drill_steps.begin_drill(
            context,
            admin,
            point,
            work.choice,
            work.options,
            drill=work.drill,
            most_bins=MAX_BINS,
            bins_are_tasks=True,
        )
    flow_run_cache(work.flow_run).cached("drill", lambda: begun)
    planned = PlannedDrill(begun.data, begun.started.plan, begun.findings)
    return NewDrill(planned, drill_steps.objects_of(point, begun.started))


@one_shot_task("restore", run_name="restore {bin_task.label}")
def restore_bin(work: DrillWork, planned: PlannedDrill, bin_task: BinTask) -> RestoredBin:
    """Write the partitions of one bin into their scratch topics. The task is never retried."""
    began, first_ms = time.monotonic(), list[int]()
    with _cluster_context(work) as context:
        progress = noting_first(context.progress, lambda: first_ms.append(now_ms()))
        begun = begun_drill(work, planned)
        replay.replay_bin(replace(context, progress=progress), begun.started, begun.targets, bin_task.number)
    return RestoredBin(bin_task.number, first_ms[0] if first_ms else None, time.monotonic() - began)


@repeatable_task("positions")
def compare_positions(work: DrillWork, planned: PlannedDrill) -> list[GroupComparison]:
    """Write the translated group positions into scratch groups, read them back and compare them."""
    with _cluster_context(work) as context, context.admin() as admin:
        return drill_steps.compare_positions(context, admin, begun_drill(work, planned))


@repeatable_task("compare", run_name="compare {bin_task.label}")
def compare_bin(work: DrillWork, planned: PlannedDrill, bin_task: BinTask) -> ComparedBin:
    """Compare the scratch partitions of one bin with the backup. If one differs, the state of the task is named
    `Differs`."""
    with _cluster_context(work) as context:
        found = drill_steps.compare_bin(context, begun_drill(work, planned), work.options, bin_task.number)
    problems = [f"{one.source}: {one.problem}" for one in found if one.problem]
    return with_state_name("Differs", problems, ComparedBin(bin_task.number, found))


@repeatable_task("bounds")
def compare_bounds(work: DrillWork, planned: PlannedDrill) -> list[str]:
    """Compare the bounds, counts and edges of all scratch partitions with the backup. Returns a sentence for each
    difference."""
    with _cluster_context(work) as context:
        begun = begun_drill(work, planned)
        return [f"{one.target}: {one.message}" for one in check_restore(context, begun.started, begun.targets)]


@repeatable_task("settings")
def compare_settings(work: DrillWork, planned: PlannedDrill) -> list[SettingsComparison]:
    """Give the scratch topics their settings, and compare them with the backup. Call it after the records."""
    with _cluster_context(work) as context, context.admin() as admin:
        point = context.repository.point(PointReference(work.set_name, seq=work.choice.point.seq))
        return drill_steps.compare_settings(admin, begun_drill(work, planned), point)


@repeatable_task("log")
def verify_log(work: DrillWork) -> str:
    """Verify the chain of the set's log. Returns which entries were verified."""
    with _cluster_context(work) as context:
        return drill_steps.verify_log(context.repository, work.set_name)


@one_shot_task("owner's checks")
def check_by_owner(work: DrillWork, planned: PlannedDrill) -> list[OwnerCheck]:
    """Run the checks of the owner of the data, one after the other."""
    servers = cluster_section(work.target).bootstrap_servers
    return run_checks(work.options.checks, begun_drill(work, planned).record, servers)


@repeatable_task("clean up")
def clean_scratch(work: DrillWork) -> CleanUp | None:
    """Remove what the drill has made. None if there is nothing of it any more."""
    with _cluster_context(work) as context:
        return clean_drill(context, work.drill)


@repeatable_task("report")
def store_report(work: DrillWork, result: DrillResult, signing_key: str | None) -> StoredEvidence:
    """Store the report of the drill in the repository, signed with the key of the Secret block of this name."""
    key = None if signing_key is None else load_signing_key(signing_key)
    lock = ObjectLock.of(storage_section(work.repository))
    return keep_evidence(repository(work.flow_run, work.repository), result, work.options, key, lock)


@contextmanager
def _cluster_context(work: DrillWork) -> Iterator[ClusterContext]:
    with task_context(work.flow_run, work.repository, lease=restore_lease_key(work.drill)) as context:
        yield context.run.on(cluster_access(work.flow_run, work.target))
