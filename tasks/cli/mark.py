"""The command `kafka-backup mark`: sets and removes marks."""

from __future__ import annotations

from pathlib import Path

from tasks.cli.exit_codes import OK
from tasks.cli.inputs import log_notes, open_repository, open_storage
from tasks.cli.session import Session
from tasks.config.adapters import cluster_access
from tasks.config.load import load_backup
from tasks.engine.marks import remove_mark, set_mark
from tasks.engine.run_context import ClusterContext
from tasks.model.counting import counted
from tasks.model.errors import ConfigError
from tasks.repository.points import PointReference


def run_mark(session: Session, config: Path, name: str, *, note: str | None, remove: bool) -> int:
    """Set the mark, or with `remove` remove it. Returns the exit code."""
    return _remove(session, config, name, note) if remove else _set(session, config, name, note)


def _set(session: Session, config: Path, name: str, note: str | None) -> int:
    loaded = load_backup(config)
    log_notes(session, loaded.notes)
    file = loaded.file
    context = ClusterContext(
        repository=open_storage(session, file.storage),
        cluster=cluster_access(file.source, session.report_wait),
        stop=session.stop,
    )
    made = set_mark(context, file.backup_id, name, topics=file.source.topics, options=file.backup, note=note)
    entry, offsets = made.entry, made.offsets
    session.print(
        f"{entry.set}: the mark {name} is set, on {counted(offsets.topics, 'topic')} with "
        f"{counted(len(offsets.partitions), 'partition')}."
    )
    session.print_json(
        {
            "mark": name,
            "set": entry.set,
            "seq": entry.seq,
            "time_ms": entry.time_ms,
            "cluster_id": entry.cluster_id,
            "note": entry.note,
            "topics": offsets.topics,
            "partitions": [part.to_json() for part in offsets.partitions],
        }
    )
    return OK


def _remove(session: Session, config: Path, name: str, note: str | None) -> int:
    if note is not None:
        raise ConfigError("--note and --remove cannot be combined: a note belongs to a new mark.")
    repository, backup_id = open_repository(session, config, None)
    if backup_id is None:
        raise ConfigError(f"{config} names no backup set: it has no backup_id.")
    set_name = PointReference.parse(backup_id).set_name
    remove_mark(repository, set_name, name)
    session.print(f"{set_name}: the mark {name} is removed.")
    session.print_json({"mark": name, "set": set_name, "is_removed": True})
    return OK
