"""A restore in one process: plan, preflight, create, replay, verify, groups, finalize, each recorded when done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tasks.engine.positions.translate import TranslatedPosition
from tasks.engine.replay.replay import replay_bin
from tasks.engine.replay.verify import Mismatch
from tasks.engine.restore_steps import (
    Preview,
    begin_restore,
    check_restore,
    finish_restore,
    prepare_restore,
    preview_restore,
    restore_lease,
)
from tasks.engine.run_context import ClusterContext
from tasks.engine.target.findings import Finding
from tasks.engine.target.restore_plan import RestoreRequest
from tasks.engine.workers import run_all
from tasks.model.errors import ConfigError
from tasks.repository.points import PointReference
from tasks.repository.restores import RestorePlan


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreResult:
    """The outcome of a restore. `mismatches` and position failures mean that it is not what was asked for."""

    plan: RestorePlan
    findings: Sequence[Finding]
    mismatches: Sequence[Mismatch]
    positions: Sequence[TranslatedPosition]
    positions_written: bool
    deferred: Sequence[str]

    @property
    def is_partial(self) -> bool:
        """Whether the point lacks something of what was restored, or positions could not be written."""
        lacks = any(finding.is_lack for finding in self.findings)
        return lacks or any(position.failure for position in self.positions)


def restore_locally(
    context: ClusterContext,
    reference: PointReference,
    request: RestoreRequest,
    *,
    workers: int,
    previewed: Callable[[Preview], None] = lambda preview: None,
) -> RestoreResult:
    """Restore a point by `workers` threads of this process.

    When the preflight has errors nothing is changed, and `RefusedError` is raised (`AccessError` when a permission is
    missing). After any other error the topics stay staged as they are: nothing restored is ever finalized half-checked.
    """
    if request.options.dry_run:
        raise ConfigError("dry_run asks for a preview, not for a restore.")
    repository = context.repository
    with restore_lease(context, reference, request.restore) as point, context.admin() as admin:
        preview = preview_restore(context, admin, point, request)
        previewed(preview)
        started = begin_restore(repository, preview)
        targets = prepare_restore(context, admin, started.plan)
        bins = range(len(started.plan.bins))
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
    )
