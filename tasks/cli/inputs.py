"""Finds the repository and the restore point that the options and the file of a command name, and the place of
`--state`. Prints the freeze of a repository, and logs the notes about a file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError

from tasks.cli.session import Session, now_ms
from tasks.config.adapters import store_at, store_of
from tasks.config.load import load_repository
from tasks.config.models import StorageSection
from tasks.model.errors import ConfigError
from tasks.model.setting_fields import validation_problems
from tasks.repository.freeze import freeze_text
from tasks.repository.points import PointReference, format_time
from tasks.repository.repository import Repository
from tasks.repository.restore_point import RestorePoint
from tasks.repository.root import require_conditions
from tasks.repository.set_state import Freeze
from tasks.store.local.settings import LocalSettings, folder_path
from tasks.store.registry import settings_from_url


def open_repository(session: Session, config: Path | None, storage: str | None) -> tuple[Repository, str | None]:
    """(the repository that a file or a URL names, the `backup_id` of the file; None for a URL).

    Raises `ConfigError` unless exactly one of `config` and `storage` is given, or for a wrong file or URL;
    `NotFoundError` if there is no repository; and the errors of the store.
    """
    if (config is None) == (storage is None):
        raise ConfigError("Name the repository: either --config FILE or --storage URL.")
    if config is None:
        assert storage is not None
        store = store_at(storage, stop=session.stop, on_waiting=session.report_wait)
        return Repository.open(store, now_ms).noted(session.log_note), None
    loaded = load_repository(config)
    log_notes(session, loaded.notes)
    return open_storage(session, loaded.file.storage), loaded.file.backup_id


def open_storage(session: Session, storage: StorageSection) -> Repository:
    """Open the repository of a storage section. Raises `NotFoundError` if there is none, and the errors of the
    store."""
    store = store_of(storage, stop=session.stop, on_waiting=session.report_wait, on_note=session.log_note)
    return Repository.open(store, now_ms).noted(session.log_note)


def with_state(session: Session, repository: Repository, state: str | None, *, create: bool = False) -> Repository:
    """The repository with another place for the state of restores: `state` is a folder or a URL. With None the
    repository is unchanged.

    With `create`, a missing folder is made, and the store there is tested. Without it, raises `NotFoundError` if the
    folder is missing. Raises `ConfigError` if the place cannot be used, and the errors of `require_conditions`.
    """
    if state is None:
        return repository
    if not state:
        raise ConfigError("--state is empty: give a folder or a URL, or leave the option out.")
    settings = settings_from_url(state) if "://" in state else _folder_settings(state)
    store = store_of(
        settings, create=create, stop=session.stop, on_waiting=session.report_wait, on_note=session.log_note
    )
    if create:
        require_conditions(store)
    return replace(repository, restore_store=store)


def _folder_settings(path: str) -> StorageSection:
    try:
        return LocalSettings(path=folder_path(path, base=Path.cwd()))
    except ValidationError as error:
        raise ConfigError(f"--state cannot be used: {validation_problems(error)}.") from None


def find_point(session: Session, repository: Repository, backup_id: str | None) -> RestorePoint:
    """Find the restore point that `backup_id` selects. If `backup_id` contains no seq, the name of the point is logged.

    Raises `ConfigError` if `backup_id` is None or not a point reference, and `NotFoundError` if there is no such point.
    """
    if backup_id is None:
        raise ConfigError("Name the restore point: --backup-id SET, SET@NUMBER or SET@TIME.")
    reference = PointReference.parse(backup_id)
    point = repository.point(reference)
    log_point(session, reference, point)
    return point


def log_point(session: Session, reference: PointReference, point: RestorePoint) -> None:
    """Log the name of the point that a reference without a seq selects."""
    if reference.seq is not None:
        return
    asked = reference.set_name
    if reference.time_ms is not None:
        asked = f"{asked}@{format_time(reference.time_ms)}"
    session.log(f"{asked} is {point.name} of {format_time(point.entry.time_ms)}, {point.entry.status}.")


def print_freeze(session: Session, freeze: Freeze | None) -> None:
    """Print since when, by whom and why the repository is frozen. Nothing if it is not."""
    if freeze is not None:
        session.print(f"{freeze_text(freeze)}.")


def freeze_json(freeze: Freeze | None) -> dict[str, object] | None:
    """A freeze as JSON members, with its time in Unix milliseconds."""
    return None if freeze is None else {"since_ms": freeze.since_ms, "by": freeze.by, "reason": freeze.reason}


def log_notes(session: Session, notes: Iterable[str]) -> None:
    """Log the notes about a file, for example about keys that have no effect."""
    for note in notes:
        session.log(f"note: {note}")
