"""The steps of a restore, each for itself: the command takes them in one process, a flow task by task.

preview → begin → prepare → replay each bin → check → finish. From `begin` on they work from what is stored, so that any
process can take the next step; each records what it has done.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from tasks.broker.ports import ClusterAdmin
from tasks.engine.positions.translate import TranslatedPosition, translate, wanted_groups
from tasks.engine.positions.write import write_positions
from tasks.engine.replay.verify import Mismatch, verify_counts
from tasks.engine.run_context import ClusterContext, RunContext
from tasks.engine.started_restore import StartedRestore
from tasks.engine.target.finalize import finish_settings, record_finalized
from tasks.engine.target.findings import Finding, has_errors, refusal_of
from tasks.engine.target.permissions import require_restorable
from tasks.engine.target.preflight import preflight
from tasks.engine.target.restore_plan import (
    RestoreRequest,
    RestoreSource,
    describe_target,
    draft_restore,
    read_source,
)
from tasks.engine.target.target_topics import prepare_targets
from tasks.model.errors import NotFoundError
from tasks.repository.frame_reader import FrameReader
from tasks.repository.leases import acquire, kept
from tasks.repository.names import restore_lease_key
from tasks.repository.pins import pinned
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What a restore would do, and everything that speaks against it."""

    plan: RestorePlan
    findings: Sequence[Finding]
    source: RestoreSource


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedRestore:
    """What was done after the records were verified. `deferred` are the targets that wait for `finalize`."""

    positions: Sequence[TranslatedPosition] = ()
    deferred: Sequence[str] = ()


@contextmanager
def restore_lease(context: RunContext, reference: PointReference, restore: str) -> Iterator[RestorePoint]:
    """The point that is meant, pinned, and the restore's lease, while the body takes the steps."""
    repository = context.repository
    point = repository.point(reference)
    lease = acquire(repository.store, restore_lease_key(restore), stop=context.stop, clock=context.clock)
    purpose = f"restore {restore}"
    with (
        pinned(repository.store, point.set_name, point.seq, purpose=purpose, now_ms=repository.now_ms),
        kept(lease, context.stop),
    ):
        # Only a point that is still live after the pin was written is safe from removal.
        yield repository.point(PointReference(point.set_name, seq=point.seq))


def preview_restore(
    context: ClusterContext, admin: ClusterAdmin, point: RestorePoint, request: RestoreRequest
) -> Preview:
    """Plan and preflight; nothing is written anywhere. Raises `RefusedError` when the point lacks what is wanted, and
    `AccessError` when the user is not allowed to restore into a topic that exists."""
    source = read_source(context.repository, point, request)
    targets = [topic.target for topic in source.chosen]
    require_restorable(admin, targets, is_purging=request.options.purge_topics)
    view = describe_target(admin, targets)
    plan = draft_restore(context.repository, request, source, view)
    findings = preflight(context, admin, plan, source, view, request.options)
    return Preview(plan=plan, findings=findings, source=source)


def begin_restore(repository: Repository, preview: Preview) -> StartedRestore:
    """Write the plan down. When the preflight has errors nothing is changed, and `RefusedError` is raised
    (`AccessError` when a permission is missing)."""
    if has_errors(preview.findings):
        raise refusal_of(preview.findings)
    write_part(repository.store, preview.plan.restore, "plan", preview.plan)
    return _started(repository, preview.plan, preview.source.point)


def started_restore(repository: Repository, restore: str) -> StartedRestore:
    """What `begin_restore` returned, read back by another process."""
    plan = read_restore_plan(repository.store, restore)
    return _started(repository, plan, repository.point(PointReference(plan.set, seq=plan.point)))


def prepare_restore(context: ClusterContext, admin: ClusterAdmin, plan: RestorePlan) -> Targets:
    """Make or stage the target topics, and write down which they are. Not to be called again."""
    targets = prepare_targets(context, admin, plan)
    write_part(context.repository.store, plan.restore, "targets", targets)
    return targets


def restore_targets(repository: Repository, restore: str) -> Targets:
    """What `prepare_restore` returned, read back by another process."""
    targets = read_part(repository.store, restore, "targets", Targets)
    if targets is None:
        raise NotFoundError(f"The target topics of restore {restore} have not been prepared.")
    return targets


def check_restore(context: ClusterContext, started: StartedRestore, targets: Targets) -> list[Mismatch]:
    """Note that all bins were replayed, then compare every target partition with the backup."""
    _record(context.repository, started.plan, "replayed", {})
    mismatches = verify_counts(context, started, targets)
    _record(context.repository, started.plan, "verified", {"mismatches": [one.message for one in mismatches]})
    return mismatches


def finish_restore(
    repository: Repository,
    admin: ClusterAdmin,
    started: StartedRestore,
    targets: Targets,
    mismatches: Sequence[Mismatch],
) -> FinishedRestore:
    """Group positions, then settings. A restore that does not verify keeps its staging settings, so that nothing
    expires before someone has looked at it."""
    if mismatches:
        return FinishedRestore()
    plan = started.plan
    positions = _positions(admin, started, targets)
    _record(repository, plan, "groups", {"positions": [asdict(one) for one in positions]})
    deferred = [topic.target for topic in finish_settings(plan, targets, admin)]
    if not deferred:
        record_finalized(repository, plan)
    return FinishedRestore(positions=positions, deferred=deferred)


def _started(repository: Repository, plan: RestorePlan, point: RestorePoint) -> StartedRestore:
    return StartedRestore(
        plan=plan,
        lines=point.lines([point.rows[copy.source] for copy in plan.partitions]),
        groups=point.groups,
        reader=FrameReader(repository.store),
    )


def _positions(admin: ClusterAdmin, started: StartedRestore, targets: Targets) -> list[TranslatedPosition]:
    options, groups = started.options, started.groups
    if options.consumer_group_strategy == "skip" or groups is None:
        return []
    positions = translate(started, targets, wanted_groups(groups, options.consumer_groups))
    return write_positions(admin, positions) if options.reset_consumer_offsets else positions


def _record(repository: Repository, plan: RestorePlan, step: str, report: Mapping[str, object]) -> None:
    record_step(
        repository.store,
        StepDone(restore=plan.restore, step=step, time_ms=repository.now_ms(), report=dict(report)),
    )
