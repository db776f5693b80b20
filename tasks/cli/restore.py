"""The commands `kafka-backup restore` and `kafka-backup validate-restore`: the preview, the question before a purge,
the printed result, and the exit code."""

from __future__ import annotations

import shlex
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from tasks.cli.exit_codes import ACCESS, FAILED, INCOMPLETE, OK, exit_code_of
from tasks.cli.inputs import log_notes, log_point, open_storage, with_state
from tasks.cli.progress_bars import ProgressBar
from tasks.cli.session import Session, now_ms
from tasks.config.adapters import cluster_access
from tasks.config.load import load_restore
from tasks.config.models import RestoreFile
from tasks.engine.bins import BINS_PER_WORKER
from tasks.engine.options import RestoreOptions
from tasks.engine.positions.translate import TranslatedPosition
from tasks.engine.progress import Progress
from tasks.engine.restore import RestoreResult, restore_locally
from tasks.engine.restore_steps import Preview, choose, preview_restore
from tasks.engine.run_context import ClusterContext
from tasks.engine.target.continuation import RestoreChoice
from tasks.engine.target.findings import Finding, has_errors, refusal_of
from tasks.engine.target.restore_plan import RestoreRequest
from tasks.model.counting import counted
from tasks.model.errors import ConfigError, KafkaBackupError
from tasks.model.partition import Partition
from tasks.model.quoting import quoted
from tasks.reports.figures import duration_text, size_text, table_text
from tasks.reports.restore import (
    access_lines,
    estimate_text,
    left_out_records,
    left_out_text,
    positions_by_group,
    preview_lines,
    preview_verdict,
    selection_lines,
)
from tasks.repository.names import new_run_id
from tasks.repository.points import PointReference
from tasks.repository.repository import Repository
from tasks.repository.restores import StepDone, read_part

_MOST_GROUPS = 5


def run_restore(
    session: Session, config: Path, *, only_preview: bool, yes: bool, is_new: bool = False, state: str | None = None
) -> int:
    """Restore with the configuration in the file, or continue the unfinished restore of the same, unless `is_new`. With
    `only_preview`, or with `dry_run` in the file, only print the preview. `yes` confirms `purge_topics`. Returns the
    exit code. `state`: see `with_state`."""
    loaded = load_restore(config)
    log_notes(session, loaded.notes)
    request = restore_request(loaded.file)
    is_preview = only_preview or request.options.dry_run
    repository = open_storage(session, loaded.file.storage)
    cluster = cluster_access(loaded.file.target, session.report_wait)
    cluster.check_reachable(session.stop, is_writing=True)
    if not is_preview:
        repository = with_state(session, repository, state, create=True)
    context = ClusterContext(repository=repository, cluster=cluster, stop=session.stop)
    asked = _Asked(PointReference.parse(loaded.file.backup_id), request, is_new, config, state)
    if is_preview:
        return _preview(session, context, asked)
    if request.options.purge_topics and not yes:
        confirm_purge(session, _previewed(session, context, asked))
    return _restore(session, context, asked)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the command line asks for."""

    reference: PointReference
    request: RestoreRequest
    is_new: bool
    config: Path
    state: str | None


def restore_request(file: RestoreFile) -> RestoreRequest:
    """The request for a new restore with the options of the file. Each call makes another restore id."""
    options = RestoreOptions.model_validate({name: getattr(file.restore, name) for name in RestoreOptions.model_fields})
    return RestoreRequest(
        restore=new_run_id(now_ms()),
        topics=file.target.topics,
        options=options,
        most_bins=options.max_concurrent_partitions * BINS_PER_WORKER,
    )


def code_of(result: RestoreResult) -> int:
    """The exit code of a restore: `FAILED` if a target differs from the backup, `ACCESS` if a permission to write
    positions is missing, `INCOMPLETE` if another position could not be written or the point lacks data of the
    topics."""
    if result.mismatches:
        return FAILED
    if any(position.is_denied for position in result.positions):
        return ACCESS
    return INCOMPLETE if result.is_partial else OK


def print_result(
    session: Session, result: RestoreResult, seconds: float, config: Path, state: str | None = None
) -> None:
    """Print the result of the verification, the mismatches, the positions, and the topics that `finalize` has to
    change. `seconds` is the duration of the restore."""
    plan = result.plan
    records = sum(copy.records for copy in plan.partitions)
    log_bytes = sum(copy.log_bytes for copy in plan.partitions)
    verdict = counted(len(result.mismatches), "MISMATCH", "MISMATCHES") if result.mismatches else "verified"
    session.print(
        f"restore {plan.restore} of {plan.set}@{plan.point}: {verdict}\n"
        f"{counted(len(plan.topics), 'topic')}, {counted(len(plan.partitions), 'partition')}, "
        f"{counted(records, 'record')}, "
        f"{size_text(log_bytes)} of log, {duration_text(seconds)}"
    )
    for line in selection_lines(plan):
        session.print(line)
    for mismatch in result.mismatches:
        session.print(f"mismatch: {mismatch.target}: {mismatch.message}")
    _print_positions(session, result)
    _print_way_to_positions(session, result, config, state)
    for text in access_lines(result.access):
        session.print(text)
    if result.deferred:
        session.print(
            f"to finalize: {', '.join(result.deferred)} keep a longer retention until you run "
            f"`{_finalize_command(plan.restore, config, state)}`"
        )
    session.print_json(_result_document(result, seconds))


def print_preview(session: Session, preview: Preview) -> None:
    """Print what a restore would write, its findings, and that nothing was changed."""
    plan = preview.plan
    has_rules = any(copy.selection is not None for copy in plan.partitions)
    rows = [
        (
            f"{copy.topic}-{copy.partition}",
            f"{copy.target_topic}-{copy.target_partition}",
            copy.records,
            *([left_out_records(copy)] if has_rules else []),
            size_text(copy.log_bytes),
        )
        for copy in plan.partitions
    ]
    columns = ("FROM", "TO", "RECORDS", *(["LEFT OUT"] if has_rules else []), "LOG")
    session.print(f"{table_text(columns, rows)}\n")
    for line in preview_lines(plan, positions_by_group(preview.positions)):
        session.print(line)
    session.print(estimate_text(preview.estimate))
    for one in preview.left_out:
        session.print(f"position left out: group {left_out_text(one)}")
    for finding in preview.findings:
        _log_finding(session, finding)
    session.print(f"{preview_verdict(preview.findings)} Nothing was changed.")
    session.print_json(
        {
            "plan": plan.to_json(),
            "findings": _finding_documents(preview.findings),
            "is_refused": has_errors(preview.findings),
            "topics_to_create": [topic.target for topic in plan.topics if not topic.exists],
            "existing_topics": [topic.target for topic in plan.topics if topic.exists],
            "positions": [asdict(position) for position in preview.positions],
            "positions_left_out": [asdict(position) for position in preview.left_out],
            "estimate": asdict(preview.estimate),
            "would_write_positions": bool(preview.positions and plan.options.get("reset_consumer_offsets")),
        }
    )


@contextmanager
def count_written_records(
    repository: Repository, restore: Callable[[], str]
) -> Iterator[Callable[[Progress], Progress]]:
    """Count the records that the targets contain of the restore. If the body fails after some were written, its error
    also says how many, and how to go on. The body gets a function that returns a progress which counts them and reports
    to the given one. `restore` returns the id of the restore."""
    lock, written = threading.Lock(), 0

    def counting(report: Progress) -> Progress:
        def progress(partition: Partition, *, records: int, log_bytes: int) -> None:
            nonlocal written
            with lock:
                written += records
            report(partition, records=records, log_bytes=log_bytes)

        return progress

    try:
        yield counting
    except KafkaBackupError as error:
        if written:
            error.args = (f"{str(error).rstrip('.')}. {_written(repository, restore(), written)}",)
        raise


def _written(repository: Repository, restore: str, records: int) -> str:
    """What a failed restore has written, and how to go on."""
    text = f"Restore {restore} had written {counted(records, 'record')}"
    try:
        verified = read_part(repository.restore_state, restore, "verified", StepDone)
    except KafkaBackupError:
        verified = None
    if verified is not None and not verified.report.get("mismatches"):
        return f"{text}, and they are verified. To continue it, correct the cause and run the same command again."
    return (
        f"{text}, which are not verified; its topics keep the settings of the restore. To continue it, correct the "
        f"cause and run the same command again. To give it up: `kafka-backup abandon {restore}`."
    )


def _finalize_command(restore: str, config: Path, state: str | None) -> str:
    at_state = f" --state {shlex.quote(state)}" if state else ""
    return f"kafka-backup finalize {restore} --config {shlex.quote(str(config))}{at_state}"


def confirm_purge(session: Session, preview: Preview) -> None:
    """Ask before records are deleted, because the option in a file is not enough. The question names the topics and
    how much they contain. A restore that is refused, or that purges nothing any more, needs no answer.

    Raises `ConfigError` unless the answer is yes, and if stdin is not a terminal.
    """
    topics = [topic.target for topic in preview.plan.topics if topic.is_purged and not preview.is_prepared]
    if not topics or has_errors(preview.findings):
        return
    offsets = {finding.subject: finding.purged_offsets for finding in preview.findings if finding.purged_offsets}
    named = ", ".join(f"{topic} ({counted(offsets.get(topic, 0), 'offset')})" for topic in topics)
    sentence = f"purge_topics deletes all records of the restored partitions of {named}."
    if not sys.stdin.isatty():
        raise ConfigError(f"{sentence} Confirm this with --yes. Nothing was changed.")
    session.warn(f"{sentence} Type 'yes' to continue:")
    if sys.stdin.readline().strip() != "yes":
        raise ConfigError("The purge was not confirmed. Nothing was changed.")


def _previewed(session: Session, context: ClusterContext, asked: _Asked) -> Preview:
    with context.admin() as admin:
        choice = choose(context, admin, asked.reference, asked.request, since_ms=None if asked.is_new else 0)
        if choice.note:
            session.log(f"note: {choice.note}")
        point = context.repository.point(choice.point)
        if not choice.is_continued:
            log_point(session, asked.reference, point)
        return preview_restore(context, admin, point, replace(asked.request, restore=choice.restore))


def _preview(session: Session, context: ClusterContext, asked: _Asked) -> int:
    preview = _previewed(session, context, asked)
    print_preview(session, preview)
    return exit_code_of(refusal_of(preview.findings)) if has_errors(preview.findings) else OK


def _log_finding(session: Session, finding: Finding) -> None:
    (session.log if finding.level == "note" else session.warn)(str(finding))


def _restore(session: Session, context: ClusterContext, asked: _Asked) -> int:
    started, restore = time.monotonic(), asked.request.restore
    session.stops_gracefully = True
    with ProgressBar(session) as bar:

        def chosen(choice: RestoreChoice) -> None:
            nonlocal restore
            restore = choice.restore
            if choice.note:
                session.warn(choice.note)
            if not choice.is_continued:
                log_point(session, asked.reference, context.repository.point(choice.point))

        def waiting(owner: str) -> None:
            session.log(f"Another writer ({owner}) has the lease of the restore. Waiting to see whether it is alive.")

        def previewed(preview: Preview) -> None:
            for finding in preview.findings:
                if finding.level != "error":  # the message of the refusal contains the errors
                    _log_finding(session, finding)
            bar.start("restoring", sum(copy.log_bytes for copy in preview.plan.partitions))

        with count_written_records(context.repository, lambda: restore) as progress_to:
            result = restore_locally(
                replace(context, progress=progress_to(bar)),
                asked.reference,
                asked.request,
                workers=asked.request.options.max_concurrent_partitions,
                is_new=asked.is_new,
                chosen=chosen,
                waiting=waiting,
                previewed=previewed,
            )
    print_result(session, result, time.monotonic() - started, asked.config, asked.state)
    return code_of(result)


def _result_document(result: RestoreResult, seconds: float) -> dict[str, object]:
    plan = result.plan
    return {
        "restore": plan.restore,
        "point": f"{plan.set}@{plan.point}",
        "plan": plan.to_json(),
        "findings": _finding_documents(result.findings),
        "mismatches": [{"target": str(one.target), "message": one.message} for one in result.mismatches],
        "positions": [asdict(position) for position in result.positions],
        "positions_left_out": [asdict(position) for position in result.left_out],
        "positions_written": result.positions_written and not result.mismatches,
        "access": result.access.report(),
        "to_finalize": list(result.deferred),
        "seconds": round(seconds, 3),
    }


def _finding_documents(findings: Iterable[Finding]) -> list[dict[str, object]]:
    return [
        {
            "level": finding.level,
            "subject": finding.subject,
            "message": finding.message,
            "is_denied": finding.is_denied,
            "is_lack": finding.is_missing_data,
            "purged_offsets": finding.purged_offsets,
        }
        for finding in findings
    ]


def _print_positions(session: Session, result: RestoreResult) -> None:
    for one in result.left_out:
        session.print(f"position left out: group {left_out_text(one)}")
    if not result.positions:
        return
    rows = [
        (
            quoted(position.group),
            f"{position.source_topic}-{position.source_partition}",
            position.source_offset,
            f"{position.target_topic}-{position.target_partition}",
            position.target_offset,
            _position_state(position, result),
        )
        for position in result.positions
    ]
    session.print(table_text(("GROUP", "FROM", "OFFSET", "TO", "OFFSET", ""), rows))
    if not result.positions_written:
        session.print("The positions were translated but not written. reset_consumer_offsets: true writes them.")


def _print_way_to_positions(session: Session, result: RestoreResult, config: Path, state: str | None) -> None:
    """Print the command that writes the positions which could not be written, if there are any."""
    groups = sorted({position.group for position in result.positions if position.failure})
    if not groups:
        return
    named = " ".join(f"--group {shlex.quote(group)}" for group in groups) if len(groups) <= _MOST_GROUPS else "--all"
    command = f"kafka-backup offsets apply {result.plan.restore} {named} --config {shlex.quote(str(config))}"
    at_state = f" --state {shlex.quote(state)}" if state else ""
    session.print(
        f"To write the positions that are missing, stop the consumers of the group and run `{command}{at_state}`"
    )


def _position_state(position: TranslatedPosition, result: RestoreResult) -> str:
    state = position.failure or ("written" if result.positions_written else "translated")
    return f"{state}; {position.note}" if position.note else state
