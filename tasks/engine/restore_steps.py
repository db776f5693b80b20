"""The steps of a restore, each for itself: the command composes them in one process, a flow task by task.

preview → begin → prepare → replay each bin → check → finish. From `begin` on they work from what is stored, so that any
process can take the next step; each records what it has done.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from tasks.broker.admin.admin import Admin
from tasks.broker.raw.connection import ConnectionOptions
from tasks.engine.options import RestoreOptions
from tasks.engine.positions.positions import TranslatedPosition, translate, wanted_groups, write_positions
from tasks.engine.replay.verify import Mismatch, verify_counts
from tasks.engine.target.finalize import finish_settings, record_finalized
from tasks.engine.target.findings import Finding, has_errors, refusal_of
from tasks.engine.target.permissions import require_restorable
from tasks.engine.target.preflight import preflight
from tasks.engine.target.restore_plan import RestoreRequest, RestoreSource, describe_target, draft_restore, read_source
from tasks.engine.target.target_topics import prepare_targets
from tasks.model.errors import NotFoundError
from tasks.model.partition import Partition
from tasks.repository.entries import PointEntry
from tasks.repository.frame_reader import FrameReader
from tasks.repository.leases import acquire, kept
from tasks.repository.lines import IndexLine
from tasks.repository.names import restore_lease_key
from tasks.repository.pins import pinned
from tasks.repository.points import PointReference, read_lines, read_rows
from tasks.repository.repository import Repository
from tasks.repository.restores import (
    RestorePlan,
    StepDone,
    Targets,
    read_part,
    read_restore_plan,
    record_step,
    write_part,
)
from tasks.repository.state_objects import GroupsState, read_state


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What a restore would do and what speaks against it."""

    plan: RestorePlan
    findings: Sequence[Finding]
    source: RestoreSource


@dataclass(frozen=True, slots=True, kw_only=True)
class StartedRestore:
    """A plan that is written down, and what there is to read for it. One per process: its reader keeps objects."""

    plan: RestorePlan
    lines: Mapping[Partition, Sequence[IndexLine]]
    groups: GroupsState | None
    reader: FrameReader

    @property
    def options(self) -> RestoreOptions:
        """As they were given."""
        return RestoreOptions.model_validate(self.plan.options)


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedRestore:
    """What was done after the records were verified. `deferred` are the targets that wait for `finalize`."""

    positions: Sequence[TranslatedPosition] = ()
    deferred: Sequence[str] = ()


@contextmanager
def restore_lease(
    repository: Repository, reference: PointReference, restore: str, *, stop: threading.Event
) -> Iterator[PointEntry]:
    """The point that is meant, pinned, and the restore's lease, while the body takes the steps."""
    store, set_name = repository.store, reference.set_name
    point = repository.point(reference)
    lease = acquire(store, restore_lease_key(restore), stop=stop)
    with (
        pinned(store, set_name, point.seq, purpose=f"restore {restore}", now_ms=repository.now_ms),
        kept(lease, stop),
    ):
        # The pin stands now: only what is live after it may be relied upon.
        yield repository.point(PointReference(set_name, seq=point.seq))


def preview_restore(repository: Repository, point: PointEntry, request: RestoreRequest, admin: Admin) -> Preview:
    """Plan and preflight; nothing is written anywhere. Raises `RefusedError` when the point lacks what is wanted, and
    `AccessError` when what exists may not be restored into."""
    source = read_source(repository, point, request)
    targets = [topic.target for topic in source.chosen]
    require_restorable(admin, targets, is_purging=request.options.purge_topics)
    view = describe_target(admin, targets)
    plan = draft_restore(repository, request, source, view)
    findings = preflight(repository, plan, source, view, request.options, admin, request.connection)
    return Preview(plan=plan, findings=findings, source=source)


def begin_restore(repository: Repository, preview: Preview) -> StartedRestore:
    """Write the plan down. Raises `RefusedError`, or `AccessError` for want of a permission, with nothing changed when
    the preflight has errors."""
    if has_errors(preview.findings):
        raise refusal_of(preview.findings)
    write_part(repository.store, preview.plan.restore, "plan", preview.plan)
    return StartedRestore(
        plan=preview.plan,
        lines=preview.source.lines,
        groups=preview.source.groups,
        reader=FrameReader(repository.store),
    )


def started_restore(repository: Repository, restore: str) -> StartedRestore:
    """What `begin_restore` gave, read back by another process."""
    store = repository.store
    plan = read_restore_plan(store, restore)
    point = repository.point(PointReference(plan.set, seq=plan.point))
    rows = read_rows(store, point)
    return StartedRestore(
        plan=plan,
        lines=read_lines(store, point, [rows[copy.source] for copy in plan.partitions]),
        groups=read_state(store, point.groups, GroupsState) if point.groups else None,
        reader=FrameReader(store),
    )


def prepare_restore(
    repository: Repository, plan: RestorePlan, admin: Admin, connection: ConnectionOptions, *, stop: threading.Event
) -> Targets:
    """Make or stage the target topics, and write down which they are. Not to be called again."""
    targets = prepare_targets(plan, admin, connection, stop=stop)
    write_part(repository.store, plan.restore, "targets", targets)
    return targets


def restore_targets(repository: Repository, restore: str) -> Targets:
    """What `prepare_restore` gave, read back by another process."""
    targets = read_part(repository.store, restore, "targets", Targets)
    if targets is None:
        raise NotFoundError(f"The target topics of restore {restore} have not been prepared.")
    return targets


def check_restore(
    repository: Repository,
    started: StartedRestore,
    targets: Targets,
    connection: ConnectionOptions,
    *,
    stop: threading.Event,
) -> list[Mismatch]:
    """Note that all bins were replayed, then compare every target partition with the backup."""
    plan = started.plan
    _record(repository, plan, "replayed", {})
    mismatches = verify_counts(started.reader, plan, targets, started.lines, connection, stop=stop)
    _record(repository, plan, "verified", {"mismatches": [one.message for one in mismatches]})
    return mismatches


def finish_restore(
    repository: Repository, started: StartedRestore, targets: Targets, admin: Admin, mismatches: Sequence[Mismatch]
) -> FinishedRestore:
    """Groups, then settings. A restore that does not verify keeps its staging settings: nothing may expire before
    someone has looked."""
    if mismatches:
        return FinishedRestore()
    plan = started.plan
    positions = _positions(started, targets, admin)
    _record(repository, plan, "groups", {"positions": [asdict(one) for one in positions]})
    deferred = [topic.target for topic in finish_settings(plan, targets, admin)]
    if not deferred:
        record_finalized(repository, plan)
    return FinishedRestore(positions=positions, deferred=deferred)


def _positions(started: StartedRestore, targets: Targets, admin: Admin) -> list[TranslatedPosition]:
    options, groups = started.options, started.groups
    if options.consumer_group_strategy == "skip" or groups is None:
        return []
    wanted = wanted_groups(groups, options.consumer_groups)
    positions = translate(started.reader, started.plan, targets, started.lines, wanted)
    return write_positions(admin, positions) if options.reset_consumer_offsets else positions


def _record(repository: Repository, plan: RestorePlan, step: str, report: Mapping[str, object]) -> None:
    record_step(
        repository.store,
        StepDone(restore=plan.restore, step=step, time_ms=repository.now_ms(), report=dict(report)),
    )
