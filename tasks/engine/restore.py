"""A restore in one process: plan, preflight, create, replay, verify, groups, finalize, each recorded when done."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tasks.broker.admin.admin import Admin
from tasks.engine.positions.positions import TranslatedPosition
from tasks.engine.progress import Progress, silent
from tasks.engine.replay.replay import replay_bin
from tasks.engine.replay.verify import Mismatch
from tasks.engine.restore_steps import (
    Preview,
    StartedRestore,
    begin_restore,
    check_restore,
    finish_restore,
    prepare_restore,
    preview_restore,
    restore_lease,
)
from tasks.engine.target.findings import Finding
from tasks.engine.target.restore_plan import RestoreRequest
from tasks.engine.workers import results_or_first_error
from tasks.model.errors import ConfigError
from tasks.repository.points import PointReference
from tasks.repository.repository import Repository
from tasks.repository.restores import RestorePlan, Targets


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreResult:
    """What a restore came to. `mismatches` and position failures mean that it is not what was asked for."""

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


def restore(
    repository: Repository,
    reference: PointReference,
    request: RestoreRequest,
    *,
    workers: int,
    stop: threading.Event,
    previewed: Callable[[Preview], None] = lambda preview: None,
    progress: Progress = silent,
) -> RestoreResult:
    """Restore a point. Raises `RefusedError`, or `AccessError` for want of a permission, with nothing changed when the
    preflight has errors.

    After any other error the topics stay staged as they are: nothing restored is ever finalized half-checked.
    """
    if request.options.dry_run:
        raise ConfigError("dry_run asks for a preview, not for a restore.")
    connection = request.connection
    with (
        restore_lease(repository, reference, request.restore, stop=stop) as point,
        Admin(connection, stop=stop) as admin,
    ):
        preview = preview_restore(repository, point, request, admin)
        previewed(preview)
        started = begin_restore(repository, preview)
        targets = prepare_restore(repository, started.plan, admin, connection, stop=stop)
        _replay(started, targets, request, workers=workers, stop=stop, progress=progress)
        mismatches = check_restore(repository, started, targets, connection, stop=stop)
        finished = finish_restore(repository, started, targets, admin, mismatches)
    return RestoreResult(
        plan=started.plan,
        findings=preview.findings,
        mismatches=mismatches,
        positions=finished.positions,
        positions_written=request.options.reset_consumer_offsets,
        deferred=finished.deferred,
    )


def _replay(
    started: StartedRestore,
    targets: Targets,
    request: RestoreRequest,
    *,
    workers: int,
    stop: threading.Event,
    progress: Progress,
) -> None:
    with ThreadPoolExecutor(max_workers=workers, thread_name_prefix="replay") as pool:
        futures = [
            pool.submit(
                replay_bin,
                started.reader,
                started.plan,
                targets,
                started.lines,
                number,
                request.connection,
                produce_timeout_ms=request.options.produce_timeout_ms,
                stop=stop,
                progress=progress,
            )
            for number in range(len(started.plan.bins))
        ]
        results_or_first_error(futures, stop)
