"""`kafka-backup backup`"""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.cli.exit_codes import ACCESS, INCOMPLETE, OK
from tasks.cli.options import log_notes
from tasks.cli.progress_bars import LateBar
from tasks.cli.session import Session, now_ms
from tasks.reports.figures import duration_text, point_notes, size_text, table_text

if TYPE_CHECKING:
    from tasks.config.models import StorageSection
    from tasks.engine.commit.completeness import Completeness, GroupNotes
    from tasks.engine.run_context import ClusterContext
    from tasks.engine.source.snapshot_plan import SnapshotRequest
    from tasks.repository.entries import PointEntry
    from tasks.repository.plans import Plan
    from tasks.repository.repository import Repository
    from tasks.store.protocol import ObjectStore

_CODES: Mapping[Completeness, int] = {"complete": OK, "incomplete": INCOMPLETE, "denied": ACCESS}


def run_backup(current: Session, config: Path, *, dry_run: bool) -> int:
    """One snapshot as the file says, or its plan. Returns the exit code."""
    from tasks.config.adapters import cluster_access, store_of
    from tasks.config.load import load_backup
    from tasks.engine.options import BackupOptions
    from tasks.engine.run_context import ClusterContext
    from tasks.engine.source.snapshot_plan import SnapshotRequest, draft_snapshot
    from tasks.engine.workers import BINS_PER_WORKER
    from tasks.repository.names import check_set_name, new_run_id

    loaded = load_backup(config)
    log_notes(current, loaded.notes)
    file = loaded.file
    options = BackupOptions.model_validate({name: getattr(file.backup, name) for name in BackupOptions.model_fields})
    request = SnapshotRequest(
        set_name=check_set_name(file.backup_id),
        run=new_run_id(now_ms()),
        topics=file.source.topics,
        options=options,
        most_bins=options.max_concurrent_partitions * BINS_PER_WORKER,
    )
    cluster = cluster_access(file.source)
    if dry_run:
        context = ClusterContext(repository=_repository_to_read(file.storage), cluster=cluster, stop=current.stop)
        plan = draft_snapshot(context, request, is_dry_run=True)
        _show_plan(current, plan)
        return ACCESS if plan.denied else INCOMPLETE if plan.failures else OK
    repository = _opened_or_new(current, store_of(file.storage, create=True, stop=current.stop))
    return _snapshot(
        current, ClusterContext(repository=repository, cluster=cluster, stop=current.stop), request, config
    )


def _opened_or_new(current: Session, store: ObjectStore) -> Repository:
    """Says so when it makes one: a disk that is not mounted, or another prefix, looks like a place for a new one."""
    from tasks.model.errors import NotFoundError
    from tasks.repository.repository import Repository

    try:
        return Repository.open(store, now_ms)
    except NotFoundError:
        made = Repository.open_or_create(store, now_ms)
        current.log(f"There was no repository at {store.location}; a new one was made.")
        return made


def _repository_to_read(storage: StorageSection) -> Repository:
    """The repository, or an empty one in memory where there is none yet: a dry run creates nothing."""
    from tasks.config.adapters import store_of
    from tasks.model.errors import NotFoundError
    from tasks.repository.repository import Repository
    from tasks.store.memory.memory_store import MemoryStore

    nothing = MemoryStore()
    try:
        store = store_of(storage)
    except NotFoundError:  # a folder, which the backup itself would make
        return Repository.open_or_create(nothing, now_ms)
    try:
        return Repository.open(store, now_ms)
    except NotFoundError:
        next(store.list(""), None)  # raises it again for a bucket that is missing: no backup makes one
        return Repository.open_or_create(nothing, now_ms)


def _snapshot(current: Session, context: ClusterContext, request: SnapshotRequest, config: Path) -> int:
    from tasks.engine.commit.completeness import completeness, denied_reasons, group_notes
    from tasks.engine.snapshot import snapshot_locally

    started = time.monotonic()
    current.stops_gracefully = True
    plans: list[Plan] = []
    with ExitStack() as stack:
        tell = LateBar(stack)

        def planned(plan: Plan) -> None:
            plans.append(plan)
            total = sum(part.bytes for part in plan.partitions)
            current.log(f"{plan.set}: {len(plan.partitions)} partitions to read, about {size_text(total)}.")
            tell.begin("backing up", total)

        def waiting(owner: str) -> None:
            current.log(f"Another writer ({owner}) has the set's lease; waiting to see whether it is alive.")

        point, captured = snapshot_locally(
            replace(context, progress=tell),
            request,
            workers=request.options.max_concurrent_partitions,
            planned=planned,
            waiting=waiting,
        )
    groups = group_notes(point)
    _show_point(current, point.entry, groups, time.monotonic() - started, config)
    return code_of(completeness(point.entry, groups, denied_reasons(plans[0], captured)))


def code_of(verdict: Completeness) -> int:
    """The exit code of a backup that made a point."""
    return _CODES[verdict]


def _show_plan(current: Session, plan: Plan) -> None:
    rows = [(part.topic, part.partition, part.start, part.end, size_text(part.bytes)) for part in plan.partitions]
    current.print(table_text(("TOPIC", "PARTITION", "FROM", "TO", "ABOUT"), rows))
    current.print(f"\n{len(rows)} partitions in {len(plan.bins)} bins. Nothing was written.")
    for failure in plan.failures:
        current.print(f"failure: {failure.topic}-{failure.partition}: {failure.reason}")
    for reason in plan.denied:
        current.print(f"failure: {reason}")
    current.print_json({"dry_run": True, "plan": plan.to_json()})


def _show_point(current: Session, point: PointEntry, groups: GroupNotes, seconds: float, config: Path) -> None:
    from tasks.repository.points import format_time

    totals = point.totals
    current.print(
        f"{point.set}@{point.seq}  {format_time(point.time_ms)}  {point.status}\n"
        f"{totals.topics} topics, {totals.partitions} partitions, {totals.records:,} records; "
        f"{size_text(totals.log_bytes)} of log in {size_text(totals.stored_bytes)}, {totals.objects} objects, "
        f"{duration_text(seconds)}"
    )
    for text in (*point_notes(point), *groups.failures, *(f"not covered: {name}" for name in groups.not_covered)):
        current.print(text)
    current.log(
        f"next: kafka-backup validate --config {shlex.quote(str(config))} --backup-id {point.set}@{point.seq}\n"
        f'      kafka-backup restore --config restore.yaml, with backup_id: "{point.set}@{point.seq}" in it'
    )
    current.print_json({"point": point.to_json(), "groups": groups._asdict(), "seconds": round(seconds, 3)})
