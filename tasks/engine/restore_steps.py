"""The steps of a restore, the lease that protects them, and the records of completed steps. The command runs the steps
in one process; a flow runs each of them as a task.

preview → begin → prepare → replay each bin → check → finish. From `begin` on, a step reads from the repository
what it needs of the earlier steps, so any process can run it. Completed steps are recorded there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace

from tasks.broker.ports import ClusterAdmin
from tasks.engine.options import RestoreOptions
from tasks.engine.pattern_notes import pattern_notes
from tasks.engine.positions.translate import (
    LeftOutPosition,
    PlannedPosition,
    TranslatedPosition,
    left_out_positions,
    planned_positions,
    restored_groups,
    translate,
)
from tasks.engine.positions.write import write_positions
from tasks.engine.rate_limit import WriteLimit
from tasks.engine.replay.staged_settings import changed_settings
from tasks.engine.replay.verify import Mismatch, verify_counts
from tasks.engine.run_context import ClusterContext, RunContext
from tasks.engine.started_restore import StartedRestore
from tasks.engine.target.accepted_settings import accepted_restore
from tasks.engine.target.finalize import finish_settings, record_finalized
from tasks.engine.target.findings import Finding, has_errors, refusal_of
from tasks.engine.target.permissions import require_restorable
from tasks.engine.target.preflight import data_infos, preflight
from tasks.engine.target.prepare_topics import prepare_targets
from tasks.engine.target.record_selection import planned_filters
from tasks.engine.target.restore_plan import (
    RestoreRequest,
    RestoreSource,
    describe_target,
    draft_restore,
    read_source,
)
from tasks.model.errors import AccessError, KafkaBackupError, NotFoundError, StoreFullError
from tasks.repository.frame_reader import FrameReader
from tasks.repository.leases import Lease, acquire, kept
from tasks.repository.names import restore_lease_key
from tasks.repository.pins import pinned, restore_purpose
from tasks.repository.points import PointReference
from tasks.repository.repository import Repository
from tasks.repository.restore_point import RestorePoint
from tasks.repository.restores import (
    RestorePlan,
    StepDone,
    Targets,
    read_part,
    read_restore_plan,
    record_step,
    write_part,
)
from tasks.store.protocol import ObjectStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """The plan of a restore, and the findings of its preflight. Nothing was changed.

    `positions` are the group positions that the restore will translate, and write if its options say so. `left_out` are
    positions that have no place in the restored topics.
    """

    plan: RestorePlan
    findings: Sequence[Finding]
    source: RestoreSource
    positions: Sequence[PlannedPosition] = ()
    left_out: Sequence[LeftOutPosition] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedRestore:
    """The result of the last step. `deferred` are the target topics whose settings wait for `finalize`. `left_out` are
    positions that have no place in the restored topics."""

    positions: Sequence[TranslatedPosition] = ()
    left_out: Sequence[LeftOutPosition] = ()
    deferred: Sequence[str] = ()


@contextmanager
def restore_lease(context: RunContext, reference: PointReference, restore: str) -> Iterator[RestorePoint]:
    """Hold the restore's lease and a pin on the point while the body runs the steps. Yields the point. If the body
    stores no plan, for example because the preflight refuses the restore, the lease is deleted afterwards.

    Raises `NotFoundError` if there is no such point, and `LockedError` if another process holds the lease. If another
    process takes the lease while the body runs, `stop` is set, and the `InterruptedRunError` of the body is raised as
    `LockedError`. Raises `AccessError` or `StoreFullError` if the records of the restore cannot be written; nothing was
    changed then. If only the pin cannot be written, the point is read without one.
    """
    repository = context.repository
    point = repository.point(reference)
    lease = _acquired(context, restore)
    purpose = restore_purpose(restore)
    try:
        with (
            pinned(repository.store, point.set_name, point.seq, purpose=purpose, now_ms=repository.now_ms),
            kept(lease, context.stop),
        ):
            # The point is read again: it is protected from deletion only if it is still live after the pin was written.
            yield repository.point(PointReference(point.set_name, seq=point.seq))
    finally:
        _delete_unused_lease(repository.restore_state, restore)


def _delete_unused_lease(store: ObjectStore, restore: str) -> None:
    """Delete the lease of a restore without a plan, because nothing else exists of this restore. Errors are ignored:
    the lease is released and has no effect."""
    with suppress(KafkaBackupError):
        if read_part(store, restore, "plan", RestorePlan) is None:
            store.delete([restore_lease_key(restore)])


def _acquired(context: RunContext, restore: str) -> Lease:
    """The lease is the first object that a restore writes, so its place is tried before anything is changed."""
    store = context.repository.restore_state
    try:
        return acquire(store, restore_lease_key(restore), stop=context.stop, clock=context.clock)
    except AccessError as error:
        raise AccessError(_needs_place(store, error), code=error.code) from error
    except StoreFullError as error:
        raise StoreFullError(_needs_place(store, error), key=error.key) from error


def _needs_place(store: ObjectStore, error: KafkaBackupError) -> str:
    return (
        f"The restore has to keep its state (plan, targets, steps), and {store.location} cannot be written to: "
        f"{str(error).rstrip('.')}. Nothing was changed. Name another place for it with --state DIR."
    )


def preview_restore(
    context: ClusterContext, admin: ClusterAdmin, point: RestorePoint, request: RestoreRequest
) -> Preview:
    """Plan the restore and run its preflight. Nothing is written. Raises `RefusedError` if the point does not contain
    the selected topics or partitions, and `AccessError` if a permission on an existing target topic is missing."""
    source = read_source(context.repository, point, request)
    targets = [topic.target for topic in source.chosen]
    require_restorable(admin, targets, is_purging=request.options.purge_topics)
    view = describe_target(admin, targets)
    infos = data_infos(context.repository, source)
    is_readable = all(info is None or info.is_readable for info in infos.values())
    draft = draft_restore(context.repository, request, source, view, is_readable=is_readable)
    accepted = accepted_restore(draft, admin)
    notes = pattern_notes(request.topics, {topic.state.topic for topic in source.chosen})
    findings = [
        *preflight(context, admin, accepted, source, view, request.options, infos),
        *(Finding("note", "topics", note) for note in notes),
    ]
    groups = restored_groups(point.groups, request.options)
    return Preview(
        plan=accepted.plan,
        findings=findings,
        source=source,
        positions=planned_positions(accepted.plan, groups),
        left_out=left_out_positions(accepted.plan, groups),
    )


def begin_restore(
    repository: Repository, preview: Preview, *, clock: Callable[[], float] = time.monotonic
) -> StartedRestore:
    """Store the plan. `clock` is that of the rate limit. Raises `RefusedError` if the preflight found errors
    (`AccessError` if one of them is a missing permission); then nothing is stored."""
    if has_errors(preview.findings):
        raise refusal_of(preview.findings)
    write_part(repository.restore_state, preview.plan.restore, "plan", preview.plan)
    return _started(repository, preview.plan, preview.source.point, clock=clock)


def started_restore(repository: Repository, restore: str, *, is_one_of_several: bool = False) -> StartedRestore:
    """The restore that `begin_restore` started, for other processes. If several processes write at the same time, this
    one gets its share of the rate limit. Raises `NotFoundError` if there is no such restore, or its point was
    removed."""
    plan = read_restore_plan(repository.restore_state, restore)
    point = repository.point(PointReference(plan.set, seq=plan.point))
    return _started(repository, plan, point, is_one_of_several=is_one_of_several)


def prepare_restore(context: ClusterContext, admin: ClusterAdmin, plan: RestorePlan) -> Targets:
    """Create or stage the target topics, and store their ids and base offsets. Must not be called twice. Raises what
    `prepare_targets` raises."""
    targets = prepare_targets(context, admin, plan)
    write_part(context.repository.restore_state, plan.restore, "targets", targets)
    return targets


def restore_targets(repository: Repository, restore: str) -> Targets:
    """The targets that `prepare_restore` stored. Raises `NotFoundError` before that step is done."""
    targets = read_part(repository.restore_state, restore, "targets", Targets)
    if targets is None:
        raise NotFoundError(f"The target topics of restore {restore} have not been prepared.")
    return targets


def check_restore(context: ClusterContext, started: StartedRestore, targets: Targets) -> list[Mismatch]:
    """Record that all bins were replayed, compare every target partition with the backup, and record the result. A
    staged setting that somebody else changed is a mismatch too, and the first one, because it explains the others.

    May be called again; the first recorded result is kept. Raises what `verify_counts` raises; then no result is
    recorded.
    """
    _record(context.repository, started.plan, "replayed", {})
    changes = _changed_targets(context, started, targets)
    mismatches = verify_counts(context, started, targets)
    if mismatches and not changes:
        changes = _changed_targets(context, started, targets)
    mismatches = [*changes, *mismatches]
    _record(context.repository, started.plan, "verified", {"mismatches": [one.message for one in mismatches]})
    return mismatches


def _changed_targets(context: ClusterContext, started: StartedRestore, targets: Targets) -> list[Mismatch]:
    """A mismatch for each topic with a changed staged setting, named by its first partition."""
    first = {target.topic: target.target for target in reversed(targets.partitions)}
    return [Mismatch(first[one.target], str(one)) for one in changed_settings(context, started.plan.topics)]


def finish_restore(
    repository: Repository,
    admin: ClusterAdmin,
    started: StartedRestore,
    targets: Targets,
    mismatches: Sequence[Mismatch],
) -> FinishedRestore:
    """Write the group positions if `reset_consumer_offsets` is set, otherwise only translate them. Then give the topics
    their settings, except the deferred ones. If nothing is deferred, the restore is recorded as finalized.

    After mismatches it does nothing: the topics keep their staging settings, so that Kafka deletes no record before an
    operator has looked at them. Raises `RefusedError` if a topic is not the one that was restored; the positions can be
    written already then, but no setting is changed.
    """
    if mismatches:
        return FinishedRestore()
    plan = started.plan
    positions, left_out = _positions(admin, started, targets)
    report = {"positions": [asdict(one) for one in positions], "left_out": [asdict(one) for one in left_out]}
    _record(repository, plan, "groups", report)
    deferred = [topic.target for topic in finish_settings(plan, targets, admin)]
    _record(repository, plan, "settings", {"deferred": deferred})
    if not deferred:
        record_finalized(repository, plan)
    return FinishedRestore(positions=positions, left_out=left_out, deferred=deferred)


def _started(
    repository: Repository,
    plan: RestorePlan,
    point: RestorePoint,
    *,
    is_one_of_several: bool = False,
    clock: Callable[[], float] = time.monotonic,
) -> StartedRestore:
    planned, options = replace(point, drops=plan.drops), RestoreOptions.model_validate(plan.options)
    writers = min(options.max_concurrent_partitions, len(plan.bins))
    return StartedRestore(
        plan=plan,
        lines=planned.lines([point.rows[copy.source] for copy in plan.partitions]),
        groups=point.groups,
        reader=FrameReader(repository.store),
        filters=planned_filters(plan, options),
        limit=WriteLimit.of(
            options.rate_limit_bytes_per_sec,
            options.rate_limit_records_per_sec,
            processes=max(1, writers) if is_one_of_several else 1,
            clock=clock,
        ),
    )


def _positions(
    admin: ClusterAdmin, started: StartedRestore, targets: Targets
) -> tuple[list[TranslatedPosition], list[LeftOutPosition]]:
    options = started.options
    groups = restored_groups(started.groups, options)
    positions, left_out = translate(started, targets, groups), left_out_positions(started.plan, groups)
    return (write_positions(admin, positions) if options.reset_consumer_offsets else positions), left_out


def _record(repository: Repository, plan: RestorePlan, step: str, report: Mapping[str, object]) -> None:
    record_step(
        repository.restore_state,
        StepDone(restore=plan.restore, step=step, time_ms=repository.now_ms(), report=dict(report)),
    )
