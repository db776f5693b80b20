"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tasks.cli.session import Session, now_ms
from tasks.model.errors import ConfigError

if TYPE_CHECKING:
    from tasks.repository.repository import Repository
    from tasks.repository.restore_point import RestorePoint

ConfigFile = Annotated[Path, typer.Option("--config", "-c", help="The YAML file.", show_default=False)]
MaybeConfig = Annotated[
    Path | None, typer.Option("--config", "-c", help="A backup or restore YAML file.", show_default=False)
]
Storage = Annotated[
    str | None, typer.Option("--storage", help="Instead of a file: the repository, file:///path.", show_default=False)
]
BackupId = Annotated[
    str | None,
    typer.Option(
        "--backup-id", help="A set (its latest point), set@17 or set@2026-11-22T10:00:00Z.", show_default=False
    ),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Details and tracebacks on stderr.")]


def open_repository(current: Session, config: Path | None, storage: str | None) -> tuple[Repository, str | None]:
    """(repository, the file's backup_id) for a command that only reads. Raises `ConfigError` unless one was named."""
    from tasks.config.adapters import store_at, store_of
    from tasks.config.load import load_repository
    from tasks.repository.repository import Repository

    if (config is None) == (storage is None):
        raise ConfigError("Name the repository: either --config FILE or --storage URL.")
    if config is None:
        assert storage is not None
        return Repository.open(store_at(storage, stop=current.stop), now_ms), None
    loaded = load_repository(config)
    log_notes(current, loaded.notes)
    return Repository.open(store_of(loaded.file.storage, stop=current.stop), now_ms), loaded.file.backup_id


def chosen_point(current: Session, repository: Repository, backup_id: str | None) -> RestorePoint:
    """The point that was asked for; says which one a bare set's name came to."""
    from tasks.repository.points import PointReference, format_time

    if backup_id is None:
        raise ConfigError("Name what is meant: --backup-id SET, SET@NUMBER or SET@TIME.")
    reference = PointReference.parse(backup_id)
    point = repository.point(reference)
    if reference.seq is None:
        current.log(f"{backup_id} is {point.name} of {format_time(point.entry.time_ms)}, {point.entry.status}.")
    return point


def log_notes(current: Session, notes: tuple[str, ...]) -> None:
    """Say what the file's keys without a meaning here are replaced by."""
    for note in notes:
        current.log(f"note: {note}")
