"""A restore in one process: plan, preflight, create, replay, verify, groups, finalize, each recorded when done."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass

from tasks.broker.admin import Admin
from tasks.engine.backup import results_or_first_error
from tasks.engine.finalize import finish_settings, record_finalized
from tasks.engine.findings import Finding, has_errors
from tasks.engine.frame_reader import FrameReader
from tasks.engine.positions import TranslatedPosition, translate, wanted_groups, write_positions
from tasks.engine.preflight import preflight
from tasks.engine.progress import Progress, silent
from tasks.engine.replay import replay_bin
from tasks.engine.restore_plan import RestoreRequest, RestoreSource, draft_restore, look_at_target, read_source
from tasks.engine.target_topics import prepare_targets
from tasks.engine.verify import Mismatch, verify_counts
from tasks.model.errors import ConfigError, RefusedError
from tasks.repository.entries import PointEntry
from tasks.repository.leases import acquire, kept
from tasks.repository.names import restore_lease_key
from tasks.repository.pins import pinned
from tasks.repository.points import PointReference
from tasks.repository.repository import Repository
from tasks.repository.restores import RestorePlan, StepDone, Targets, record_step, write_part

BINS_PER_WORKER = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What a restore would do and what speaks against it."""

    plan: RestorePlan
    findings: Sequence[Finding]
    source: RestoreSource


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreResult:
    """What a restore came to. `mismatches` and position failures mean that it is not what was asked for."""

    plan: RestorePlan
    findings: Sequence[Finding]
    mismatches: Sequence[Mismatch]
    positions: Sequence[TranslatedPosition]
    positions_written: bool
    deferred: Sequence[str]


def preview_restore(repository: Repository, point: PointEntry, request: RestoreRequest, admin: Admin) -> Preview:
    """Plan and preflight; nothing is written anywhere. Raises `RefusedError` when the point lacks what is wanted."""
    source = read_source(repository, point, request)
    view = look_at_target(admin, [topic.target for topic in source.chosen])
    plan = draft_restore(repository, request, source, view)
    findings = preflight(repository, plan, source, view, request.options, admin, request.connection)
    return Preview(plan=plan, findings=findings, source=source)


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
    """Restore a point. Raises `RefusedError` with nothing changed when the preflight has errors.

    After any other error the topics stay staged as they are: nothing restored is ever finalized half-checked.
    """
    if request.options.dry_run:
        raise ConfigError("dry_run asks for a preview, not for a restore.")
    store, set_name = repository.store, reference.set_name
    point = repository.point(reference)
    lease = acquire(store, restore_lease_key(request.restore), stop=stop)
    with (
        pinned(store, set_name, point.seq, purpose=f"restore {request.restore}", now_ms=repository.now_ms),
        kept(lease, stop),
        Admin(request.connection.bootstrap_servers) as admin,
    ):
        # The pin stands now: only what is live after it may be relied upon.
        point = repository.point(PointReference(set_name, seq=point.seq))
        preview = preview_restore(repository, point, request, admin)
        previewed(preview)
        if has_errors(preview.findings):
            raise RefusedError(_reasons(preview.findings))
        write_part(store, request.restore, "plan", preview.plan)
        targets = prepare_targets(preview.plan, admin, request.connection, stop=stop)
        write_part(store, request.restore, "targets", targets)
        reader = FrameReader(store)
        _replay(reader, preview, targets, request, workers=workers, stop=stop, progress=progress)
        _record(repository, preview.plan, "replayed", {})
        mismatches = verify_counts(reader, preview.plan, targets, preview.source.lines, request.connection, stop=stop)
        _record(repository, preview.plan, "verified", {"mismatches": [one.message for one in mismatches]})
        return _finish(repository, preview, targets, request, admin, reader, mismatches)


def _replay(
    reader: FrameReader,
    preview: Preview,
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
                reader,
                preview.plan,
                targets,
                preview.source.lines,
                number,
                request.connection,
                produce_timeout_ms=request.options.produce_timeout_ms,
                stop=stop,
                progress=progress,
            )
            for number in range(len(preview.plan.bins))
        ]
        results_or_first_error(futures, stop)


def _finish(
    repository: Repository,
    preview: Preview,
    targets: Targets,
    request: RestoreRequest,
    admin: Admin,
    reader: FrameReader,
    mismatches: Sequence[Mismatch],
) -> RestoreResult:
    """Groups, then settings. A restore that does not verify keeps its staging settings: nothing may expire before
    someone has looked."""
    positions: list[TranslatedPosition] = []
    deferred: list[str] = []
    options = request.options
    if not mismatches:
        positions = _positions(preview, targets, request, admin, reader)
        _record(repository, preview.plan, "groups", {"positions": [asdict(one) for one in positions]})
        deferred = [topic.target for topic in finish_settings(preview.plan, targets, admin)]
        if not deferred:
            record_finalized(repository, preview.plan)
    return RestoreResult(
        plan=preview.plan,
        findings=preview.findings,
        mismatches=mismatches,
        positions=positions,
        positions_written=options.reset_consumer_offsets,
        deferred=deferred,
    )


def _positions(
    preview: Preview, targets: Targets, request: RestoreRequest, admin: Admin, reader: FrameReader
) -> list[TranslatedPosition]:
    options, groups = request.options, preview.source.groups
    if options.consumer_group_strategy == "skip" or groups is None:
        return []
    wanted = wanted_groups(groups, options.consumer_groups)
    positions = translate(reader, preview.plan, targets, preview.source.lines, wanted)
    return write_positions(admin, positions) if options.reset_consumer_offsets else positions


def _record(repository: Repository, plan: RestorePlan, step: str, report: Mapping[str, object]) -> None:
    record_step(
        repository.store,
        StepDone(restore=plan.restore, step=step, time_ms=repository.now_ms(), report=dict(report)),
    )


def _reasons(findings: Sequence[Finding]) -> str:
    errors = [f"{finding.subject}: {finding.message}" for finding in findings if finding.level == "error"]
    return "The restore was refused and nothing was changed: " + " ".join(errors)
