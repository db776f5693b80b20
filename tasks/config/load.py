"""Loads the files. All problems of a file are reported at once, one line each. No key is ignored without a note."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from tasks.config.check import check
from tasks.config.classify_keys import classify_keys
from tasks.config.keys import NOT_YET
from tasks.config.models import BackupFile, RepositoryFile, RestoreFile
from tasks.config.yaml_tree import Tree, parse
from tasks.model.errors import ConfigError

FileT = TypeVar("FileT", BackupFile, RestoreFile, RepositoryFile)

_TOP_KEYS = frozenset(
    [*BackupFile.model_fields, *RestoreFile.model_fields, *(key for key in NOT_YET if "." not in key)]
)


@dataclass(frozen=True, slots=True)
class Loaded(Generic[FileT]):
    """A valid file, and notes about keys that have no meaning in this program."""

    file: FileT
    notes: tuple[str, ...]


def load_backup(path: Path, environment: Mapping[str, str] = os.environ) -> Loaded[BackupFile]:
    """backup.yaml. Raises `ConfigError` with one line per problem: file, line, key, problem."""
    return _load(path, BackupFile, "backup", environment)


def load_restore(path: Path, environment: Mapping[str, str] = os.environ) -> Loaded[RestoreFile]:
    """restore.yaml. Raises `ConfigError` with one line per problem: file, line, key, problem."""
    return _load(path, RestoreFile, "restore", environment)


def load_job(path: Path, environment: Mapping[str, str] = os.environ) -> Loaded[BackupFile] | Loaded[RestoreFile]:
    """The file of a backup or of a restore, whichever its `mode` says. Raises `ConfigError` as the other two do."""
    tree = read_tree(path, environment)
    mode = tree.value.get("mode")
    if mode == "restore":
        return load_restore(path, environment)
    if mode == "backup" or tree.problems:
        return load_backup(path, environment)
    raise ConfigError(f"{path}:{tree.line(('mode',))}: 'mode' has to be backup or restore.")


def load_repository(path: Path, environment: Mapping[str, str] = os.environ) -> Loaded[RepositoryFile]:
    """The repository of either file.

    Checks only `storage`, `backup_id`, `mode` and the names of the top-level keys, so that `list` works without the
    passwords of a cluster, and with a file that this version cannot restore from.
    """
    tree = read_tree(path, environment)
    skipped = _TOP_KEYS - set(RepositoryFile.model_fields)
    tree.problems = [problem for problem in tree.problems if not skipped & set(problem.place[:1])]
    return _checked(tree, RepositoryFile, dict.fromkeys(skipped, ""))


def _load(path: Path, kind: type[FileT], mode: str, environment: Mapping[str, str]) -> Loaded[FileT]:
    tree = read_tree(path, environment)
    found = tree.value.get("mode")
    if found in ("backup", "restore") and found != mode:
        line = tree.line(("mode",))
        raise ConfigError(f"{path}:{line}: 'mode' is {found!r}, but this command needs a file with mode {mode!r}.")
    others = {*BackupFile.model_fields, *RestoreFile.model_fields} - set(kind.model_fields)
    return _checked(tree, kind, {key: f"{key!r} is not a key of a file with mode {mode!r}." for key in others})


def read_tree(path: Path, environment: Mapping[str, str]) -> Tree:
    """The YAML mapping of a file. Raises `ConfigError` if the file cannot be read or is not a mapping; the tree keeps
    other problems."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or 'cannot be read'}.") from None
    text = data.decode("utf-8", errors="replace")
    if text.encode() != data:  # a decoding error would hold the file's bytes in its attributes
        raise ConfigError(f"{path}: not UTF-8 text.")
    return parse(text, file=str(path), environment=environment)


def _checked(tree: Tree, kind: type[FileT], keys_of_other_files: Mapping[str, str]) -> Loaded[FileT]:
    value, notes = classify_keys(tree, kind, keys_of_other_files)
    file = check(tree, kind, value)
    if tree.problems or file is None:
        raise ConfigError(tree.report())
    if isinstance(file, BackupFile) and not file.backup.stop_at_current_offsets:
        place = ("backup", "stop_at_current_offsets")
        reason = "a backup that is not continuous is one snapshot, which stops at the current offsets"
        notes.append(f"{tree.file}:{tree.line(place)}: 'backup.stop_at_current_offsets' has no meaning here: {reason}.")
    return Loaded(file, tuple(notes))
