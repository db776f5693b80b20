"""A drill in one process: a point is restored into scratch topics, compared with the backup, and everything that was
made is removed again, whatever happened before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from tasks.engine.bins import BINS_PER_WORKER
from tasks.engine.drill_steps import (
    BegunDrill,
    begin_drill,
    choose_point,
    compare_bin,
    compare_positions,
    compare_settings,
    objects_of,
    verify_log,
)
from tasks.engine.drilling.clean_up import clean_up
from tasks.engine.drilling.drill_findings import DrillFindings
from tasks.engine.drilling.drill_result import (
    ChosenData,
    CleanUp,
    DrillResult,
    DrillTimes,
)
from tasks.engine.drilling.left_drills import clean_left_drills
from tasks.engine.drilling.owner_checks import run_checks
from tasks.engine.evidence.evidence_context import ConfiguredEvidence
from tasks.engine.evidence.signing_keys import SigningKey
from tasks.engine.evidence.store_evidence import ObjectLock, StoredEvidence, evidence_context, store_evidence
from tasks.engine.options import DrillOptions, duration_ms
from tasks.engine.progress import noting_first
from tasks.engine.replay.replay import replay_bin
from tasks.engine.restore_steps import check_restore, restore_lease
from tasks.engine.run_context import ClusterContext
from tasks.engine.workers import run_all
from tasks.repository.drills import find_drill
from tasks.repository.points import PointReference
from tasks.repository.repository import Repository


def drill_locally(
    context: ClusterContext,
    set_name: str,
    options: DrillOptions,
    *,
    drill: str,
    requested_ms: int,
    bootstrap_servers: Sequence[str] = (),
    chosen: Callable[[ChosenData], None] = lambda data: None,
) -> DrillResult:
    """Remove what earlier drills have left that died, and carry out a drill. `drill` is its new id. `chosen` is called
    when the scratch topics exist.

    An error of the cluster, the store or the data becomes a problem of the result, and the drill has failed. Errors
    before the scratch topics exist are raised: `NotFoundError` if there is no such set or point, `RefusedError` if the
    preflight refuses the restore, `AccessError` for a missing permission. Raises `InterruptedRunError` on `stop`, after
    the clean-up.
    """
    repository = context.repository
    earlier = clean_left_drills(context, is_own_cluster_only=True)
    choice = choose_point(repository, set_name, options, drill)
    times = DrillTimes(requested_ms=requested_ms, started_ms=repository.now_ms())
    with restore_lease(context, PointReference(set_name, seq=choice.point.seq), drill) as point:
        found = DrillFindings(
            drill=drill,
            options=options,
            point=point.entry,
            newest_ms=choice.newest_ms,
            times=times,
            earlier=earlier,
        )
        try:
            with context.admin() as admin:
                most_bins = options.max_concurrent_partitions * BINS_PER_WORKER
                begun = begin_drill(context, admin, point, choice, options, drill=drill, most_bins=most_bins)
            found.target_cluster_id = begun.record.cluster_id
            found.objects = objects_of(point, begun.started)
            chosen(begun.data)
            with found.noting_errors():
                _restore(context, options, begun, found)
                _compare(context, options, begun, found)
                found.checks += run_checks(options.checks, begun.record, bootstrap_servers)
                found.log_chain = verify_log(repository, set_name)
                with context.admin() as admin:  # last: with its own retention a topic can lose its records
                    found.settings += compare_settings(admin, begun, point)
                found.times = replace(found.times, verified_ms=repository.now_ms())
        finally:
            found.clean_up = clean_drill(context, drill)
            found.times = replace(found.times, cleaned_up_ms=repository.now_ms())
    return found.result(begun.data)


def _restore(context: ClusterContext, options: DrillOptions, begun: BegunDrill, found: DrillFindings) -> None:
    """Replay all bins, and write and compare the group positions."""
    now_ms, started = context.repository.now_ms, begun.started

    def note_first() -> None:
        found.times = replace(found.times, first_record_ms=now_ms())

    replaying = replace(context, progress=noting_first(context.progress, note_first))
    workers = options.max_concurrent_partitions
    bins = range(len(started.plan.bins))
    run_all(lambda number: replay_bin(replaying, started, begun.targets, number), bins, workers, context.stop)
    found.times = replace(found.times, data_complete_ms=now_ms())
    with context.admin() as admin:
        found.groups += compare_positions(context, admin, begun)
    found.times = replace(found.times, groups_ready_ms=now_ms())


def _compare(context: ClusterContext, options: DrillOptions, begun: BegunDrill, found: DrillFindings) -> None:
    """Compare the bounds of all partitions, and then their records."""
    started, targets = begun.started, begun.targets
    found.problems += [f"{one.target}: {one.message}" for one in check_restore(context, started, targets)]
    bins, workers = range(len(started.plan.bins)), options.max_concurrent_partitions
    compared = run_all(lambda number: compare_bin(context, begun, options, number), bins, workers, context.stop)
    found.partitions += [one for bin_ in compared for one in bin_]


def keep_evidence(
    repository: Repository,
    result: DrillResult,
    options: DrillOptions,
    key: SigningKey | None,
    lock: ObjectLock | None = None,
) -> StoredEvidence:
    """Store the report of a drill in the repository, signed if there is a key. `lock` is that of the store's immutable
    objects. May be called again with the same arguments. Raises what `store_evidence` raises."""
    every = options.every
    configured = ConfiguredEvidence(
        **options.evidence.model_dump(), drill_every_ms=None if every is None else duration_ms(every)
    )
    return store_evidence(repository, result, evidence_context(repository, configured), key, lock)


def clean_drill(context: ClusterContext, drill: str) -> CleanUp | None:
    """Remove what the drill made. Returns None if it has recorded nothing, because then it has made nothing. May be
    called again."""
    record = find_drill(context.repository.restore_state, drill)
    return None if record is None else clean_up(context, record)
