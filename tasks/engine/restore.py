"""A restore in one process, begun or continued: preview, prepare, replay, verify, write positions, finish the settings.
Decides whether its result is partial."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from tasks.engine.positions.translate import LeftOutPosition, TranslatedPosition
from tasks.engine.replay.replay import replay_bin
from tasks.engine.replay.verify import Mismatch
from tasks.engine.restore_steps import (
    Preview,
    begin_restore,
    check_restore,
    choose,
    finish_restore,
    prepare_restore,
    preview_restore,
    restore_lease,
)
from tasks.engine.run_context import ClusterContext
from tasks.engine.target.access import NOTHING_RESTORED, AccessResult
from tasks.engine.target.continuation import RestoreChoice
from tasks.engine.target.findings import Finding
from tasks.engine.target.restore_plan import RestoreRequest
from tasks.engine.workers import run_all
from tasks.model.errors import ConfigError
from tasks.repository.points import PointReference
from tasks.repository.restores import RestorePlan


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreResult:
    """The result of a restore. It is complete if there are no mismatches and `is_partial` is false.

    `deferred` are the target topics whose settings wait for `finalize`. `positions_written` is false if the positions
    were only translated. `left_out` are positions that have no place in the restored topics. `access` is about ACLs and
    quotas.
    """

    plan: RestorePlan
    findings: Sequence[Finding]
    mismatches: Sequence[Mismatch]
    positions: Sequence[TranslatedPosition]
    positions_written: bool
    deferred: Sequence[str]
    left_out: Sequence[LeftOutPosition] = ()
    access: AccessResult = NOTHING_RESTORED

    @property
    def is_partial(self) -> bool:
        """Whether the point does not contain all data of the restored topics, or a position, an ACL or a quota could
        not be written."""
        has_missing_data = any(finding.is_missing_data for finding in self.findings)
        has_failures = any(position.failure for position in self.positions) or bool(self.access.failures)
        return has_missing_data or has_failures


def restore_locally(
    context: ClusterContext,
    reference: PointReference,
    request: RestoreRequest,
    *,
    workers: int,
    is_new: bool = False,
    chosen: Callable[[RestoreChoice], None] = lambda choice: None,
    waiting: Callable[[str], None] = lambda owner: None,
    previewed: Callable[[Preview], None] = lambda preview: None,
) -> RestoreResult:
    """Restore a point with `workers` threads of this process. An unfinished restore of the same request is continued,
    unless `is_new` is set.

    `chosen` is called with the restore that is begun or continued, `waiting` with the owner of its lease if this
    process has to wait to see whether the owner is alive, and `previewed` before anything is changed.

    Raises `ConfigError` if `dry_run` is set, and `RefusedError` if the preflight finds errors (`AccessError` if one of
    them is a missing permission); then nothing was changed. Also raises `RefusedError` if the request differs from an
    unfinished restore into the same topics, and what the steps raise. If that happens before the restore is verified,
    topics that were staged keep their staging settings, so that Kafka deletes no restored record. The same call then
    continues the restore.
    """
    if request.options.dry_run:
        raise ConfigError("With dry_run only a preview is possible, not a restore.")
    repository = context.repository
    with context.admin() as admin:
        choice = choose(context, admin, reference, request, since_ms=None if is_new else 0)
        chosen(choice)
    with (
        restore_lease(context, choice.point, choice.restore, waiting=waiting) as point,
        context.admin() as admin,
    ):
        preview = preview_restore(context, admin, point, replace(request, restore=choice.restore))
        previewed(preview)
        started = begin_restore(repository, preview, clock=context.clock)
        targets = prepare_restore(context, admin, started.plan, is_repeated=preview.is_continued)
        bins = range(0 if started.is_replayed else len(started.plan.bins))
        run_all(lambda number: replay_bin(context, started, targets, number), bins, workers, context.stop)
        mismatches = check_restore(context, started, targets)
        finished = finish_restore(repository, admin, started, targets, mismatches)
    return RestoreResult(
        plan=started.plan,
        findings=preview.findings,
        mismatches=mismatches,
        positions=finished.positions,
        positions_written=request.options.reset_consumer_offsets,
        deferred=finished.deferred,
        left_out=finished.left_out,
        access=finished.access,
    )
