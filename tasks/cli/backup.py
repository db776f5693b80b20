"""`kafka-backup backup`"""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.cli.exit_codes import INCOMPLETE, OK
from tasks.cli.figures import duration_text, size_text, table_text, time_text
from tasks.cli.options import tell_notes
from tasks.cli.progress_bars import LateBar
from tasks.cli.session import Session, now_ms

if TYPE_CHECKING:
    from tasks.config.models import StorageSection
    from tasks.engine.plan import SnapshotRequest
    from tasks.repository.entries import PartitionNote, PointEntry
    from tasks.repository.plans import Plan
    from tasks.repository.repository import Repository


def run_backup(current: Session, config: Path, *, dry_run: bool) -> int:
    """One snapshot as the file says, or its plan. Returns the exit code."""
    from tasks.config.adapters import connection_options, store_of
    from tasks.config.load import load_backup
    from tasks.engine.backup import BINS_PER_WORKER
    from tasks.engine.options import BackupOptions
    from tasks.engine.plan import SnapshotRequest, draft_snapshot
    from tasks.repository.names import check_set_name, new_run_id
    from tasks.repository.repository import Repository

    loaded = load_backup(config)
    tell_notes(current, loaded.notes)
    file = loaded.file
    options = BackupOptions.model_validate({name: getattr(file.backup, name) for name in BackupOptions.model_fields})
    request = SnapshotRequest(
        set_name=check_set_name(file.backup_id),
        run=new_run_id(now_ms()),
        connection=connection_options(file.source),
        topics=file.source.topics,
        options=options,
        most_bins=options.max_concurrent_partitions * BINS_PER_WORKER,
    )
    if dry_run:
        plan = draft_snapshot(_repository_to_look_at(file.storage), request, stop=current.stop, is_dry_run=True)
        _show_plan(current, plan)
        return INCOMPLETE if plan.failures else OK
    repository = Repository.open_or_create(store_of(file.storage, create=True), now_ms)
    return _snapshot(current, repository, request, config)


def _repository_to_look_at(storage: StorageSection) -> Repository:
    """The repository, or an empty one in memory where there is none yet: a dry run creates nothing."""
    from tasks.config.adapters import store_of
    from tasks.model.errors import NotFoundError
    from tasks.repository.repository import Repository
    from tasks.store.memory import MemoryStore

    try:
        return Repository.open(store_of(storage), now_ms)
    except NotFoundError:
        return Repository.open_or_create(MemoryStore(), now_ms)


def _snapshot(current: Session, repository: Repository, request: SnapshotRequest, config: Path) -> int:
    from tasks.engine.backup import snapshot

    started = time.monotonic()
    with ExitStack() as stack:
        tell = LateBar(stack)

        def planned(plan: Plan) -> None:
            total = sum(part.bytes for part in plan.partitions)
            current.say(f"{plan.set}: {len(plan.partitions)} partitions to read, about {size_text(total)}.")
            tell.begin("backing up", total)

        def waiting(owner: str) -> None:
            current.say(f"Another writer ({owner}) has the set's lease; waiting to see whether it is alive.")

        point, _ = snapshot(
            repository,
            request,
            workers=request.options.max_concurrent_partitions,
            stop=current.stop,
            planned=planned,
            waiting=waiting,
            progress=tell,
        )
    _show_point(current, point, time.monotonic() - started, config)
    return OK if point.status == "complete" else INCOMPLETE


def _show_plan(current: Session, plan: Plan) -> None:
    rows = [(part.topic, part.partition, part.start, part.end, size_text(part.bytes)) for part in plan.partitions]
    current.show(table_text(("TOPIC", "PARTITION", "FROM", "TO", "ABOUT"), rows))
    current.show(f"\n{len(rows)} partitions in {len(plan.bins)} bins. Nothing was written.")
    for failure in plan.failures:
        current.show(f"failure: {failure.topic}-{failure.partition}: {failure.reason}")
    current.give({"dry_run": True, "plan": plan.to_json()})


def _show_point(current: Session, point: PointEntry, seconds: float, config: Path) -> None:
    totals = point.totals
    current.show(
        f"{point.set}@{point.seq}  {time_text(point.time_ms)}  {point.status}\n"
        f"{totals.topics} topics, {totals.partitions} partitions, {totals.records:,} records; "
        f"{size_text(totals.log_bytes)} of log in {size_text(totals.stored_bytes)}, {totals.objects} objects, "
        f"{duration_text(seconds)}"
    )
    for kind, notes in (("trimmed", point.trimmed), ("gap", point.gaps), ("failure", point.failures)):
        for note in notes:
            current.show(note_text(kind, note))
    if point.groups_failure:
        current.show(f"group positions are not in this point: {point.groups_failure}")
    current.say(f"next: kafka-backup validate --config {config} --backup-id {point.set}@{point.seq}")
    current.give({"point": point.to_json(), "seconds": round(seconds, 3)})


def note_text(kind: str, note: PartitionNote) -> str:
    """A gap, a trimmed range or a failure, with its offsets."""
    place = f"{note.topic}-{note.partition}"
    if note.first is None or note.next is None:
        return f"{kind}: {place}: {note.reason}"
    return f"{kind}: {place}: offsets {note.first} to {note.next - 1}: {note.reason}"
