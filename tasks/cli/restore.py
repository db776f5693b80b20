"""`kafka-backup restore` and `kafka-backup validate-restore`"""

from __future__ import annotations

import shlex
import sys
import time
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.cli.exit_codes import ACCESS, FAILED, INCOMPLETE, OK, exit_code_of
from tasks.cli.options import chosen_point, log_notes
from tasks.cli.progress_bars import LateBar
from tasks.cli.session import Session, now_ms
from tasks.model.errors import ConfigError
from tasks.reports.figures import duration_text, size_text, table_text

if TYPE_CHECKING:
    from tasks.config.models import RestoreFile
    from tasks.engine.restore import RestoreResult
    from tasks.engine.restore_steps import Preview
    from tasks.engine.run_context import ClusterContext
    from tasks.engine.target.restore_plan import RestoreRequest


def run_restore(current: Session, config: Path, *, only_preview: bool, yes: bool) -> int:
    """Restore as the file says, or say what would be done. Returns the exit code."""
    from tasks.config.adapters import cluster_access, store_of
    from tasks.config.load import load_restore
    from tasks.engine.run_context import ClusterContext
    from tasks.repository.repository import Repository

    loaded = load_restore(config)
    log_notes(current, loaded.notes)
    request = _request(loaded.file)
    context = ClusterContext(
        repository=Repository.open(store_of(loaded.file.storage, stop=current.stop), now_ms),
        cluster=cluster_access(loaded.file.target),
        stop=current.stop,
    )
    if only_preview or request.options.dry_run:
        return _preview(current, context, loaded.file.backup_id, request)
    if request.options.purge_topics and not yes:
        _confirm_purge(current)
    return _restore(current, context, loaded.file.backup_id, request, config)


def _request(file: RestoreFile) -> RestoreRequest:
    from tasks.engine.options import RestoreOptions
    from tasks.engine.target.restore_plan import RestoreRequest
    from tasks.engine.workers import BINS_PER_WORKER
    from tasks.repository.names import new_run_id

    options = RestoreOptions.model_validate({name: getattr(file.restore, name) for name in RestoreOptions.model_fields})
    return RestoreRequest(
        restore=new_run_id(now_ms()),
        topics=file.target.topics,
        options=options,
        most_bins=options.max_concurrent_partitions * BINS_PER_WORKER,
    )


def _confirm_purge(current: Session) -> None:
    """Deleting what a topic holds is never done on a file's word alone."""
    if not sys.stdin.isatty():
        raise ConfigError("purge_topics deletes what the target topics hold: confirm with --yes.")
    current.log("purge_topics will delete everything that the target topics hold. Type 'yes' to go on:")
    if sys.stdin.readline().strip() != "yes":
        raise ConfigError("Not confirmed; nothing was changed.")


def _preview(current: Session, context: ClusterContext, backup_id: str, request: RestoreRequest) -> int:
    from tasks.engine.restore_steps import preview_restore
    from tasks.engine.target.findings import has_errors, refusal_of

    point = chosen_point(current, context.repository, backup_id)
    with context.admin() as admin:
        preview = preview_restore(context, admin, point, request)
    _show_preview(current, preview)
    current.print("Nothing was changed.")
    current.print_json({"plan": preview.plan.to_json(), "findings": [asdict(finding) for finding in preview.findings]})
    return exit_code_of(refusal_of(preview.findings)) if has_errors(preview.findings) else OK


def _show_preview(current: Session, preview: Preview) -> None:
    plan = preview.plan
    rows = [
        (
            f"{copy.topic}-{copy.partition}",
            f"{copy.target_topic}-{copy.target_partition}",
            copy.records,
            size_text(copy.log_bytes),
        )
        for copy in plan.partitions
    ]
    current.print(table_text(("FROM", "TO", "RECORDS", "LOG"), rows))
    for finding in preview.findings:
        current.log(str(finding))


def _restore(current: Session, context: ClusterContext, backup_id: str, request: RestoreRequest, config: Path) -> int:
    from tasks.engine.restore import restore_locally
    from tasks.repository.points import PointReference

    started = time.monotonic()
    point = chosen_point(current, context.repository, backup_id)
    current.stops_gracefully = True
    with ExitStack() as stack:
        bar = LateBar(stack)

        def previewed(preview: Preview) -> None:
            for finding in preview.findings:
                if finding.level != "error":  # errors are the message of the refusal that follows
                    current.log(str(finding))
            bar.begin("restoring", sum(copy.log_bytes for copy in preview.plan.partitions))

        result = restore_locally(
            replace(context, progress=bar),
            PointReference(point.set_name, seq=point.seq),
            request,
            workers=request.options.max_concurrent_partitions,
            previewed=previewed,
        )
    show_result(current, result, time.monotonic() - started, config)
    return code_of(result)


def code_of(result: RestoreResult) -> int:
    """A target that is not what was asked for is a failure; positions that could not be written, and what the point
    lacks, leave it incomplete, or want a permission."""
    if result.mismatches:
        return FAILED
    if any(position.is_denied for position in result.positions):
        return ACCESS
    return INCOMPLETE if result.is_partial else OK


def show_result(current: Session, result: RestoreResult, seconds: float, config: Path) -> None:
    """Print the verdict, what is wrong, the positions, and what waits for `finalize`."""
    plan = result.plan
    records = sum(copy.records for copy in plan.partitions)
    log_bytes = sum(copy.log_bytes for copy in plan.partitions)
    verdict = f"{len(result.mismatches)} MISMATCHES" if result.mismatches else "verified"
    current.print(
        f"restore {plan.restore} of {plan.set}@{plan.point}: {verdict}\n"
        f"{len(plan.topics)} topics, {len(plan.partitions)} partitions, {records:,} records, "
        f"{size_text(log_bytes)} of log, {duration_text(seconds)}"
    )
    for mismatch in result.mismatches:
        current.print(f"mismatch: {mismatch.target}: {mismatch.message}")
    _show_positions(current, result)
    if result.deferred:
        current.print(
            f"to finalize: {', '.join(result.deferred)} keep unlimited retention until "
            f"`kafka-backup finalize {plan.restore} --config {shlex.quote(str(config))}`"
        )
    current.print_json(
        {
            "restore": plan.restore,
            "point": f"{plan.set}@{plan.point}",
            "plan": plan.to_json(),
            "findings": [asdict(finding) for finding in result.findings],
            "mismatches": [{"target": str(one.target), "message": one.message} for one in result.mismatches],
            "positions": [asdict(position) for position in result.positions],
            "positions_written": result.positions_written and not result.mismatches,
            "to_finalize": list(result.deferred),
            "seconds": round(seconds, 3),
        }
    )


def _show_positions(current: Session, result: RestoreResult) -> None:
    if not result.positions:
        return
    rows = [
        (
            position.group,
            f"{position.source_topic}-{position.source_partition}",
            position.source_offset,
            f"{position.target_topic}-{position.target_partition}",
            position.target_offset,
            position.failure or ("written" if result.positions_written else "translated"),
        )
        for position in result.positions
    ]
    current.print(table_text(("GROUP", "FROM", "OFFSET", "TO", "OFFSET", ""), rows))
    if not result.positions_written:
        current.print("positions were translated and not written; reset_consumer_offsets: true writes them.")
