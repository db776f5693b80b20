"""The steps of a restore, the lease that protects them, and the records of completed steps. The command runs the steps
in one process; a flow runs each of them as a task.

choose → preview → begin → prepare → replay each bin → check → finish. From `begin` on, a step reads from the repository
what it needs of the earlier steps, so any process can run it. Completed steps are recorded there and not repeated, so
that the same steps continue a restore that ended early.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace

from tasks.broker.ports import ClusterAdmin
from tasks.engine.options import RestoreOptions
from tasks.engine.pattern_notes import pattern_notes
from tasks.engine.positions.previous import committed_positions, readable_positions, store_previous
from tasks.engine.positions.shared_targets import one_for_each_target
from tasks.engine.positions.translate import (
    LeftOutPosition,
    PlannedPosition,
    TranslatedPosition,
    left_out_positions,
    planned_positions,
    recorded_positions,
    restored_groups,
    translate,
)
from tasks.engine.positions.write import write_positions
from tasks.engine.rate_limit import WriteLimit
from tasks.engine.replay.log_ends import still_ends
from tasks.engine.replay.staged_settings import changed_settings
from tasks.engine.replay.verify import Mismatch, verify_counts
from tasks.engine.run_context import ClusterContext, RunContext
from tasks.engine.started_restore import StartedRestore
from tasks.engine.target.accepted_settings import accepted_restore
from tasks.engine.target.access import (
    NOTHING_RESTORED,
    AccessResult,
    access_findings,
    apply_access,
    is_wanted,
)
from tasks.engine.target.continuation import RestoreChoice, choose_restore, ways_out, with_speed_of
from tasks.engine.target.estimate import Estimate, estimated, measured_rates
from tasks.engine.target.finalize import finish_settings, record_finalized
from tasks.engine.target.findings import Finding, has_errors, refusal_of
from tasks.engine.target.permissions import require_restorable
from tasks.engine.target.preflight import data_findings, data_infos, preflight
from tasks.engine.target.prepare_topics import prepare_targets
from tasks.engine.target.record_selection import planned_filters
from tasks.engine.target.recorded_restore import RecordedRestore, read_recorded
from tasks.engine.target.restore_plan import (
    RestoreRequest,
    RestoreSource,
    describe_target,
    draft_restore,
    read_source,
)
from tasks.model.errors import AccessError, KafkaBackupError, NotFoundError, RefusedError, StoreFullError
from tasks.repository.frame_reader import FrameReader
from tasks.repository.leases import Lease, acquire, kept
from tasks.repository.names import restore_lease_key
from tasks.repository.pins import pinned, restore_purpose
from tasks.repository.points import PointReference
from tasks.repository.repository import Repository
from tasks.repository.restore_point import RestorePoint
from tasks.repository.restores import (
    RestorePlan,
    Step,
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
    positions that have no place in the restored topics. `is_continued`: the plan is that of an unfinished restore.
    `is_prepared`: its target topics exist already, so nothing is purged any more.
    """

    plan: RestorePlan
    findings: Sequence[Finding]
    source: RestoreSource
    estimate: Estimate
    positions: Sequence[PlannedPosition] = ()
    left_out: Sequence[LeftOutPosition] = ()
    is_continued: bool = False
    is_prepared: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedRestore:
    """The result of the last step. `deferred` are the target topics whose settings wait for `finalize`. `left_out` are
    positions that have no place in the restored topics. `access` is about ACLs and quotas."""

    positions: Sequence[TranslatedPosition] = ()
    left_out: Sequence[LeftOutPosition] = ()
    deferred: Sequence[str] = ()
    access: AccessResult = NOTHING_RESTORED


def choose(
    context: ClusterContext,
    admin: ClusterAdmin,
    reference: PointReference,
    request: RestoreRequest,
    *,
    since_ms: int | None = 0,
) -> RestoreChoice:
    """Find out whether the request continues an unfinished restore, that was begun since `since_ms`; None: it does not.
    Call it before `restore_lease`. Raises what `choose_restore` raises."""
    return choose_restore(context.repository, admin.cluster_id(), reference, request, since_ms=since_ms)


@contextmanager
def restore_lease(
    context: RunContext,
    reference: PointReference,
    restore: str,
    *,
    waiting: Callable[[str], None] = lambda owner: None,
) -> Iterator[RestorePoint]:
    """Hold the restore's lease and a pin on the point while the body runs the steps. Yields the point. If the body
    stores no plan, for example because the preflight refuses the restore, the lease is deleted afterwards.

    `waiting` is called with the owner of the lease if this process has to wait to see whether the owner is alive.
    Raises `NotFoundError` if there is no such point, and `LockedError` if another process holds the lease. If another
    process takes the lease while the body runs, `stop` is set, and the `InterruptedRunError` of the body is raised as
    `LockedError`. Raises `AccessError` or `StoreFullError` if the records of the restore cannot be written; nothing was
    changed then. If only the pin cannot be written, the point is read without one.
    """
    repository = context.repository
    point = repository.point(reference)
    lease = _acquired(context, restore, waiting)
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


def _acquired(context: RunContext, restore: str, waiting: Callable[[str], None]) -> Lease:
    """The lease is the first object that a restore writes, so its place is tried before anything is changed."""
    store = context.repository.restore_state
    try:
        return acquire(store, restore_lease_key(restore), stop=context.stop, clock=context.clock, waiting=waiting)
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
    """Plan the restore and run its preflight. If a plan with the request's id is stored, that restore is continued: its
    plan is used, and only the backup is checked. Nothing is written.

    Raises `RefusedError` if the point does not contain the selected topics or partitions, or if the stored restore was
    abandoned, and `AccessError` if a permission on an existing target topic is missing.
    """
    if read_part(context.repository.restore_state, request.restore, "plan", RestorePlan) is not None:
        return _continued_preview(context, point, request)
    source = read_source(context.repository, point, request)
    targets = [target.name for target in source.targets]
    require_restorable(admin, targets, is_purging=request.options.purge_topics)
    view = describe_target(admin, targets)
    infos = data_infos(context, source)
    is_readable = all(info is None or info.is_readable for info in infos.values())
    draft = draft_restore(context.repository, request, source, view, is_readable=is_readable)
    accepted = accepted_restore(draft, admin)
    notes = pattern_notes(request.topics, {topic.state.topic for topic in source.chosen})
    findings = [
        *preflight(context, admin, accepted, source, view, request.options, infos),
        *access_findings(admin, point, request.options, accepted.plan.topics),
        *(Finding("note", "topics", note) for note in notes),
    ]
    groups = restored_groups(point.groups, request.options)
    rates = measured_rates(context.repository.restore_state, view.cluster_id)
    return Preview(
        plan=accepted.plan,
        estimate=estimated(accepted.plan, rates),
        findings=findings,
        source=source,
        positions=planned_positions(accepted.plan, groups),
        left_out=left_out_positions(accepted.plan, groups),
    )


def _continued_preview(context: RunContext, point: RestorePoint, request: RestoreRequest) -> Preview:
    """The preview of a restore whose plan is stored, with the findings about its backup."""
    recorded = read_recorded(context.repository.restore_state, request.restore)
    if "abandoned" in recorded.steps:
        raise RefusedError(
            f"The restore {request.restore} was abandoned meanwhile. Nothing was changed. Restore again."
        )
    plan = with_speed_of(recorded.plan, request.options)
    source = read_source(context.repository, replace(point, drops=plan.drops), request, plan=plan)
    groups = restored_groups(point.groups, request.options)
    return Preview(
        plan=plan,
        findings=data_findings(context, source, plan, request.options),
        source=source,
        estimate=estimated(plan, measured_rates(context.repository.restore_state, plan.cluster_id)),
        positions=planned_positions(plan, groups),
        left_out=left_out_positions(plan, groups),
        is_continued=True,
        is_prepared=recorded.targets is not None,
    )


def begin_restore(
    repository: Repository, preview: Preview, *, clock: Callable[[], float] = time.monotonic
) -> StartedRestore:
    """Store the plan, unless the restore is continued. `clock` is that of the rate limit. Raises `RefusedError` if the
    preflight found errors (`AccessError` if one of them is a missing permission); then nothing is stored."""
    if has_errors(preview.findings):
        raise refusal_of(preview.findings)
    if not preview.is_continued:
        write_part(repository.restore_state, preview.plan.restore, "plan", preview.plan)
    return _started(repository, preview.plan, preview.source.point, clock=clock)


def started_restore(
    repository: Repository, restore: str, *, options: RestoreOptions | None = None, is_one_of_several: bool = False
) -> StartedRestore:
    """The restore that `begin_restore` started or continued, for other processes. `options` are those of this run, for
    the values that do not change what is written. If several processes write at the same time, this one gets its share
    of the rate limit. Raises `NotFoundError` if there is no such restore, or its point was removed."""
    plan = read_restore_plan(repository.restore_state, restore)
    point = repository.point(PointReference(plan.set, seq=plan.point))
    current = plan if options is None else with_speed_of(plan, options)
    return _started(repository, current, point, is_one_of_several=is_one_of_several)


def prepare_restore(
    context: ClusterContext, admin: ClusterAdmin, plan: RestorePlan, *, is_repeated: bool = False
) -> Targets:
    """Create or stage the target topics, and store their ids and base offsets. If that is done already, wait until no
    request of an earlier writer arrives any more, and return them.

    May be called again. `is_repeated`: an earlier call can have created topics. Raises what `prepare_targets` and
    `still_ends` raise, and `RefusedError` if a prepared topic was deleted or created again.
    """
    store = context.repository.restore_state
    targets = read_part(store, plan.restore, "targets", Targets)
    if targets is not None:
        if read_part(store, plan.restore, "replayed", StepDone) is None:
            _require_prepared(admin, plan, targets)
            with context.reader() as log:
                still_ends(context, log, [target.target for target in targets.partitions])
        return targets
    targets = prepare_targets(
        context, admin, plan, is_repeated=is_repeated, undone=lambda error: _record_undone(context, plan, error)
    )
    write_part(store, plan.restore, "targets", targets)
    return targets


def _require_prepared(admin: ClusterAdmin, plan: RestorePlan, targets: Targets) -> None:
    present = {topic.name: topic.topic_id for topic in admin.describe_topics([topic.target for topic in plan.topics])}
    for target in targets.partitions:
        if present.get(target.topic) != target.topic_id:
            what = "deleted" if target.topic not in present else "deleted and created again"
            raise RefusedError(
                f"{target.topic} was {what} since restore {plan.restore} began, so it cannot be continued. "
                f"{ways_out(plan.restore)}"
            )


def _record_undone(context: RunContext, plan: RestorePlan, error: KafkaBackupError) -> None:
    """Record that the restore has left nothing, so that the next request does not continue it. If this cannot be
    recorded, the next request continues it and finds nothing."""
    with suppress(KafkaBackupError):
        _record(context.repository, plan, "abandoned", {"reason": str(error), "kept": {}})


def restore_targets(repository: Repository, restore: str) -> Targets:
    """The targets that `prepare_restore` stored. Raises `NotFoundError` before that step is done."""
    targets = read_part(repository.restore_state, restore, "targets", Targets)
    if targets is None:
        raise NotFoundError(f"The target topics of restore {restore} have not been prepared.")
    return targets


def check_restore(context: ClusterContext, started: StartedRestore, targets: Targets) -> list[Mismatch]:
    """Record that all bins were replayed, compare every target partition with the backup, and record the result. A
    staged setting that somebody else changed is a mismatch too, and the first one, because it explains the others.

    May be called again; the first recorded result is kept, and a good one is not checked again. Raises what
    `verify_counts` raises; then no result is recorded.
    """
    verified = read_part(context.repository.restore_state, started.plan.restore, "verified", StepDone)
    if verified is not None and not verified.report.get("mismatches"):
        return []
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
    """Write the group positions if `reset_consumer_offsets` is set, otherwise only translate them. Add ACLs and quotas
    if the options say so. Then give the topics their settings, except the deferred ones. If nothing is deferred, the
    restore is recorded as finalized.

    May be called again: recorded steps are not repeated. After mismatches it does nothing: the topics keep their
    staging settings, so that Kafka deletes no record before an operator has looked at them. Raises `RefusedError` if a
    topic is not the one that was restored; the positions can be written already then, but no setting is changed.
    """
    if mismatches:
        return FinishedRestore()
    plan = started.plan
    positions, left_out = _written_positions(repository, admin, started, targets)
    access = _access(repository, admin, started)
    deferred = _finished_settings(repository, admin, plan, targets)
    if not deferred:
        record_finalized(repository, plan)
    return FinishedRestore(positions=positions, left_out=left_out, deferred=deferred, access=access)


def _written_positions(
    repository: Repository, admin: ClusterAdmin, started: StartedRestore, targets: Targets
) -> tuple[list[TranslatedPosition], list[LeftOutPosition]]:
    """Write or only translate the positions, and record them. If they are recorded, return these."""
    recorded = read_part(repository.restore_state, started.plan.restore, "groups", StepDone)
    if recorded is not None:
        return recorded_positions(recorded.report)
    positions, left_out = _positions(repository, admin, started, targets)
    report = {"positions": [asdict(one) for one in positions], "left_out": [asdict(one) for one in left_out]}
    _record(repository, started.plan, "groups", report)
    return positions, left_out


def _finished_settings(
    repository: Repository, admin: ClusterAdmin, plan: RestorePlan, targets: Targets
) -> Sequence[str]:
    """Give the topics their settings, and record it. Returns the topics with deferred settings."""
    recorded = read_part(repository.restore_state, plan.restore, "settings", StepDone)
    if recorded is not None:
        return RecordedRestore(plan, targets, {"settings": recorded}).deferred
    deferred = [topic.target for topic in finish_settings(plan, targets, admin)]
    _record(repository, plan, "settings", {"deferred": deferred})
    return deferred


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
        is_replayed=read_part(repository.restore_state, plan.restore, "replayed", StepDone) is not None,
        limit=WriteLimit.of(
            options.rate_limit_bytes_per_sec,
            options.rate_limit_records_per_sec,
            processes=max(1, writers) if is_one_of_several else 1,
            clock=clock,
        ),
    )


def _positions(
    repository: Repository, admin: ClusterAdmin, started: StartedRestore, targets: Targets
) -> tuple[list[TranslatedPosition], list[LeftOutPosition]]:
    options = started.options
    groups = restored_groups(started.groups, options)
    positions = one_for_each_target(translate(started, targets, groups), started.plan, targets)
    left_out = left_out_positions(started.plan, groups)
    if options.reset_consumer_offsets:
        return _write(repository, admin, started.plan.restore, positions), left_out
    return positions, left_out


def _write(
    repository: Repository, admin: ClusterAdmin, restore: str, positions: Sequence[TranslatedPosition]
) -> list[TranslatedPosition]:
    """Store what the groups have now, and write the positions. Those of a group whose present positions cannot be read
    are not written, because a rollback could not put them back."""
    answers = committed_positions(admin, {one.group for one in positions})
    readable = [one for one in positions if not isinstance(answers[one.group], KafkaBackupError)]
    store_previous(repository, restore, readable, readable_positions(answers))
    unread = [
        replace(
            one,
            failure=f"not written, because the present positions cannot be read: {error}",
            is_denied=isinstance(error, AccessError),
        )
        for one in positions
        if isinstance(error := answers[one.group], KafkaBackupError)
    ]
    return [*write_positions(admin, readable), *unread]


def _access(repository: Repository, admin: ClusterAdmin, started: StartedRestore) -> AccessResult:
    """Add ACLs and quotas, and record the result. If it is recorded already, nothing is written again: somebody can
    have removed an ACL since then."""
    if not is_wanted(started.options):
        return NOTHING_RESTORED
    plan = started.plan
    done = read_part(repository.restore_state, plan.restore, "access", StepDone)
    if done is not None:
        return AccessResult.from_report(done.report)
    point = repository.point(PointReference(plan.set, seq=plan.point))
    result = apply_access(admin, point, started.options, plan)
    _record(repository, plan, "access", result.report())
    return result


def _record(repository: Repository, plan: RestorePlan, step: Step, report: Mapping[str, object]) -> None:
    record_step(
        repository.restore_state,
        StepDone(restore=plan.restore, step=step, time_ms=repository.now_ms(), report=dict(report)),
    )
