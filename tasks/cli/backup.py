"""The command `kafka-backup backup`."""

from __future__ import annotations

import shlex
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from tasks.broker.kafka_access import KafkaAccess
from tasks.cli.continuous import run_continuous
from tasks.cli.exit_codes import ACCESS, INCOMPLETE, OK
from tasks.cli.inputs import log_notes
from tasks.cli.progress_bars import ProgressBar
from tasks.cli.session import Session, now_ms
from tasks.config.adapters import cluster_access, store_of
from tasks.config.load import load_backup
from tasks.config.models import BackupFile, StorageSection
from tasks.config.new_repository import opened_or_created, require_plannable
from tasks.engine.backup_steps import FinishedRun
from tasks.engine.bins import BINS_PER_WORKER
from tasks.engine.commit.completeness import (
    Completeness,
    MissingPositions,
    completeness,
    denied_reasons,
    missing_positions,
)
from tasks.engine.incremental import draft_backup, incremental_locally
from tasks.engine.options import BackupOptions
from tasks.engine.run_context import ClusterContext
from tasks.engine.snapshot import snapshot_locally
from tasks.engine.source.snapshot_plan import SnapshotRequest, draft_snapshot
from tasks.model.counting import counted
from tasks.model.errors import NotFoundError
from tasks.model.labels import check_labels, parse_labels
from tasks.model.quoting import some_of
from tasks.reports.backup import (
    finished_run_text,
    full_run_text,
    notable_events,
    partitions_to_read,
    point_document,
)
from tasks.reports.figures import duration_text, point_line, point_notes, size_text, table_text
from tasks.reports.shrinkage import MOST_TOPICS, shrinkage_lines
from tasks.repository.entries import PointEntry
from tasks.repository.names import check_set_name, new_run_id
from tasks.repository.plans import Plan
from tasks.repository.repository import Repository
from tasks.store.memory.memory_store import MemoryStore

_CODES: Mapping[Completeness, int] = {"complete": OK, "incomplete": INCOMPLETE, "denied": ACCESS}


def run_backup(session: Session, config: Path, *, dry_run: bool, labels: Sequence[str] = ()) -> int:
    """Make one snapshot or incremental backup with the configuration in the file, or back up continuously. With
    `dry_run` only print the plan. The points get the labels of the file and these `labels`, which win. Returns the exit
    code."""
    given = parse_labels(labels)
    loaded = load_backup(config)
    log_notes(session, loaded.notes)
    file = loaded.file
    request, cluster = _request(file, given), cluster_access(file.source, session.report_wait)
    if file.backup.continuous and not dry_run:
        stop = threading.Event()
        repository = _open_or_create(session, file.storage, cluster, request, stop)
        context = ClusterContext(repository=repository, cluster=cluster, stop=stop)
        return run_continuous(session, context, request, cycle_ms=file.backup.cycle_ms)
    is_incremental = file.offset_storage is not None or file.backup.continuous
    if dry_run:
        repository = _repository_for_dry_run(session, file.storage)
        context = ClusterContext(repository=repository, cluster=cluster, stop=session.stop)
        return _dry_run(session, context, request, is_incremental=is_incremental)
    repository = _open_or_create(session, file.storage, cluster, request, session.stop)
    context = ClusterContext(repository=repository, cluster=cluster, stop=session.stop)
    return _back_up(session, context, request, config, is_incremental=is_incremental)


def code_of(verdict: Completeness) -> int:
    """The exit code of a backup that committed a point."""
    return _CODES[verdict]


def _request(file: BackupFile, labels: Mapping[str, str]) -> SnapshotRequest:
    all_labels = {**file.backup.labels, **labels}
    check_labels(all_labels)
    options = BackupOptions.model_validate(
        {**{name: getattr(file.backup, name) for name in BackupOptions.model_fields}, "labels": all_labels}
    )
    return SnapshotRequest(
        set_name=check_set_name(file.backup_id),
        run=new_run_id(now_ms()),
        topics=file.source.topics,
        options=options,
        most_bins=options.max_concurrent_partitions * BINS_PER_WORKER,
    )


def _open_or_create(
    session: Session, storage: StorageSection, cluster: KafkaAccess, request: SnapshotRequest, stop: threading.Event
) -> Repository:
    """Open the repository. If there is none, it is created after the backup could be planned, so that nothing is left
    if the run cannot begin.

    The creation is logged, because a disk that is not mounted or a wrong prefix also looks like a missing repository.
    """
    repository, is_created = opened_or_created(
        storage,
        now_ms,
        before_creation=partial(require_plannable, cluster, request, now_ms, stop),
        stop=stop,
        on_waiting=session.report_wait,
        on_note=session.log_note,
    )
    if is_created:
        session.warn(f"There was no repository at {repository.store.location}. A new one was created.")
    return repository


def _repository_for_dry_run(session: Session, storage: StorageSection) -> Repository:
    """Open the repository. If there is none, use an empty one in memory, because a dry run creates nothing."""
    try:
        store = store_of(storage, on_waiting=session.report_wait)
    except NotFoundError:  # a missing folder: a backup creates it
        return Repository.open_or_create(MemoryStore(), now_ms)
    try:
        return Repository.open(store, now_ms)
    except NotFoundError:
        next(store.list(""), None)  # raises for a missing bucket, because a backup does not create buckets
        return Repository.open_or_create(MemoryStore(), now_ms)


def _dry_run(session: Session, context: ClusterContext, request: SnapshotRequest, *, is_incremental: bool) -> int:
    draft = draft_backup if is_incremental else draft_snapshot
    plan = draft(context, request, is_dry_run=True)
    log_notes(session, plan.notes)
    _print_plan(session, plan)
    return ACCESS if plan.denied else INCOMPLETE if plan.failures else OK


def _back_up(
    session: Session, context: ClusterContext, request: SnapshotRequest, config: Path, *, is_incremental: bool
) -> int:
    started = time.monotonic()
    session.stops_gracefully = True
    plans: list[Plan] = []
    finished: list[FinishedRun] = []
    with ProgressBar(session) as bar:

        def planned(plan: Plan) -> None:
            plans.append(plan)
            log_notes(session, plan.notes)
            total = sum(part.bytes for part in plan.partitions)
            if is_incremental and plan.kind == "snapshot":
                session.log(full_run_text(plan))
            count = counted(partitions_to_read(plan), "partition")
            session.log(f"{plan.set}: {count} to read, about {size_text(total)}.")
            bar.start("backing up", total)

        def waiting(owner: str) -> None:
            session.log(f"Another writer ({owner}) has the set's lease. Waiting to see whether it is alive.")

        back_up = incremental_locally if is_incremental else snapshot_locally
        point, captured = back_up(
            replace(context, progress=bar),
            request,
            workers=request.options.max_concurrent_partitions,
            planned=planned,
            waiting=waiting,
            finished=lambda run: _report_finished(session, run, finished),
        )
    groups = missing_positions(point)
    news = sum(one.records for bin_ in captured for one in bin_.ranges)
    for _, sentence in notable_events(point.entry):
        session.warn(sentence)
    _print_point(session, point.entry, groups, news, time.monotonic() - started, config)
    session.print_json(
        {
            **point_document(point.entry, groups, news),
            "adopted": [
                {"point": run.point.name, "run": run.point.entry.run, "objects": run.objects, "records": run.records}
                for run in finished
            ],
            "seconds": round(time.monotonic() - started, 3),
        }
    )
    return code_of(completeness(point.entry, groups, denied_reasons(plans[0], captured)))


def _print_plan(session: Session, plan: Plan) -> None:
    session.print(f"{plan.kind} of {plan.set}\n")
    rows = [(part.topic, part.partition, part.start, part.end, size_text(part.bytes)) for part in plan.partitions]
    session.print(table_text(("TOPIC", "PARTITION", "FROM", "TO", "ABOUT"), rows))
    session.print(f"\n{counted(len(rows), 'partition')} in {counted(len(plan.bins), 'bin')}. Nothing was written.")
    for failure in plan.failures:
        session.print(f"failure: {failure.topic}-{failure.partition}: {failure.reason}")
    if plan.not_selected:
        session.print(
            f"note: {plan.set}@{plan.based_on} contains topics that this file does not select: "
            f"{some_of(plan.not_selected, most=MOST_TOPICS)}"
        )
    for reason in plan.denied:
        session.print(f"failure: {reason}")
    session.print_json({"dry_run": True, "plan": plan.to_json()})


def _report_finished(session: Session, run: FinishedRun, finished: list[FinishedRun]) -> None:
    finished.append(run)
    session.log(finished_run_text(run))


def _print_point(
    session: Session, point: PointEntry, groups: MissingPositions, news: int, seconds: float, config: Path
) -> None:
    totals = point.totals
    session.print(
        f"{point_line(point, None if point.point_kind == 'snapshot' else news)}\n"
        f"{counted(totals.topics, 'topic')}, {counted(totals.partitions, 'partition')}, "
        f"{counted(totals.records, 'record')}; "
        f"{size_text(totals.log_bytes)} of log in {size_text(totals.stored_bytes)}, "
        f"{counted(totals.objects, 'object')}, {duration_text(seconds)}"
    )
    for text in (*point_notes(point), *groups.notes()):
        session.print(text)
    for text in shrinkage_lines(point):
        session.print(text)
    session.log(
        f"next: kafka-backup validate --config {shlex.quote(str(config))} --backup-id {point.set}@{point.seq}\n"
        f'      kafka-backup restore --config restore.yaml, with backup_id: "{point.set}@{point.seq}" in it'
    )
