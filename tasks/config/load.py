"""Loads the files. All problems of a file are reported at once, one in a line. No key is ignored without a note. Notes
also name values that are accepted, but slow or limited."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from tasks.config.check import check
from tasks.config.classify_keys import classify_keys
from tasks.config.key_files import with_file_keys
from tasks.config.keys import NOT_YET
from tasks.config.models import BackupFile, DrillFile, PolicyFile, RepositoryFile, RestoreFile
from tasks.config.storage_path import expand_storage_path
from tasks.config.yaml_tree import Place, Tree, parse
from tasks.engine.options import LARGEST_FETCH_BYTES, SMALL_FETCH_BYTES, BackupOptions
from tasks.model.errors import ConfigError

FileT = TypeVar("FileT", BackupFile, RestoreFile, DrillFile, RepositoryFile, PolicyFile)

_FILES = (BackupFile, RestoreFile, DrillFile)
_TOP_KEYS = frozenset(
    [key for kind in _FILES for key in kind.model_fields] + [key for key in NOT_YET if "." not in key]
)


@dataclass(frozen=True, slots=True)
class Loaded(Generic[FileT]):
    """A valid file, and notes about its keys without a meaning and its unusual values, each with file and line."""

    file: FileT
    notes: tuple[str, ...]


def load_backup(path: Path, environment: Mapping[str, str] = os.environ) -> Loaded[BackupFile]:
    """Load a backup.yaml. Raises `ConfigError` with one line for each problem: file, line, key, problem."""
    return _load(path, BackupFile, "backup", environment)


def load_restore(path: Path, environment: Mapping[str, str] = os.environ) -> Loaded[RestoreFile]:
    """Load a restore.yaml. Raises `ConfigError` with one line for each problem: file, line, key, problem."""
    return _load(path, RestoreFile, "restore", environment)


def load_drill(path: Path, environment: Mapping[str, str] = os.environ) -> Loaded[DrillFile]:
    """Load a drill.yaml. Raises `ConfigError` with one line for each problem: file, line, key, problem."""
    return _load(path, DrillFile, "drill", environment)


def load_job(path: Path, environment: Mapping[str, str] = os.environ) -> Loaded[BackupFile] | Loaded[RestoreFile]:
    """Load a file of either kind; its `mode` selects the kind. Raises the same `ConfigError` as `load_backup`."""
    tree = read_tree(path, environment)
    mode = tree.value.get("mode")
    if mode == "restore":
        return load_restore(path, environment)
    if mode == "backup" or tree.problems:
        return load_backup(path, environment)
    raise ConfigError(f"{path}:{tree.line(('mode',))}: 'mode' has to be backup or restore.")


def load_repository(path: Path, environment: Mapping[str, str] = os.environ) -> Loaded[RepositoryFile]:
    """Load only the repository of a file of either kind.

    Checks only `storage`, `backup_id`, `mode` and the names of the top-level keys. So `list` works without the
    passwords of a cluster, and with a file whose other sections this version refuses. Raises `ConfigError` with one
    line for each problem.
    """
    return _load_part(path, RepositoryFile, environment)


def load_policy(path: Path, environment: Mapping[str, str] = os.environ) -> Loaded[PolicyFile]:
    """Load only the repository, the name of the set and its retention policy. Raises as `load_repository`."""
    return _load_part(path, PolicyFile, environment)


def _load_part(path: Path, kind: type[FileT], environment: Mapping[str, str]) -> Loaded[FileT]:
    tree = read_tree(path, environment)
    skipped = _TOP_KEYS - set(kind.model_fields)
    tree.problems = [problem for problem in tree.problems if not skipped & set(problem.place[:1])]
    return _checked(tree, kind, dict.fromkeys(skipped, ""))


def _load(path: Path, kind: type[FileT], mode: str, environment: Mapping[str, str]) -> Loaded[FileT]:
    tree = read_tree(path, environment)
    found = tree.value.get("mode")
    if found in ("backup", "restore", "drill") and found != mode:
        line = tree.line(("mode",))
        raise ConfigError(f"{path}:{line}: 'mode' is {found!r}, but this command needs a file with mode {mode!r}.")
    others = {key for file in _FILES for key in file.model_fields} - set(kind.model_fields)
    return _checked(tree, kind, {key: f"{key!r} is not a key of a file with mode {mode!r}." for key in others})


def read_tree(path: Path, environment: Mapping[str, str]) -> Tree:
    """Read and parse a file. Raises `ConfigError` if it cannot be read, is not UTF-8, or is not a YAML mapping. Other
    problems are in the tree."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or 'cannot be read'}.") from None
    text = data.decode("utf-8", errors="replace")
    if text.encode() != data or 0 in data[:4]:  # an exception of `decode` would contain the bytes of the file
        raise ConfigError(f"{path}: {_encoding_problem(data, text)}")
    return parse(text, file=str(path), environment=environment)


def _encoding_problem(data: bytes, text: str) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or 0 in data[:4]:
        return "this is UTF-16 text, as Windows writes it. Save the file as UTF-8."
    line = text.count("\n", 0, text.find("\ufffd")) + 1
    return f"line {line} is not UTF-8 text. Save the file as UTF-8."


def _checked(tree: Tree, kind: type[FileT], keys_of_other_files: Mapping[str, str]) -> Loaded[FileT]:
    value, notes = classify_keys(tree, kind, keys_of_other_files)
    expand_storage_path(tree, value)
    file = check(tree, kind, value)
    if file is not None and isinstance(file, RestoreFile):
        file = with_file_keys(tree, file)
    if tree.problems or file is None:
        raise ConfigError(tree.report())
    if isinstance(file, BackupFile):
        notes.extend(f"{tree.file}:{tree.line(place)}: {note}" for place, note in _notes_on_values(file))
    return Loaded(file, tuple(notes))


def _notes_on_values(file: BackupFile) -> Iterator[tuple[Place, str]]:
    """The notes on values that are accepted, but possibly have another effect than the user expects."""
    for name in ("segment_max_interval_ms", "checkpoint_interval_secs"):
        if not file.backup.continuous and getattr(file.backup, name) is not None:
            reason = "a backup that is not continuous commits once, at its end"
            yield ("backup", name), f"'backup.{name}' has no meaning here: {reason}."
    if not file.backup.stop_at_current_offsets and not file.backup.continuous:
        reason = "a backup that is not continuous always stops at the current offsets"
        sentence = f"'backup.stop_at_current_offsets' has no meaning here: {reason}."
        yield ("backup", "stop_at_current_offsets"), sentence
    fetch_bytes, place = file.backup.fetch_max_bytes, ("backup", "fetch_max_bytes")
    if fetch_bytes < SMALL_FETCH_BYTES:
        usual = BackupOptions.model_fields["fetch_max_bytes"].default
        yield place, f"'backup.fetch_max_bytes' below {SMALL_FETCH_BYTES} makes a backup slow. The default is {usual}."
    if fetch_bytes > LARGEST_FETCH_BYTES:
        yield place, f"'backup.fetch_max_bytes' is limited to {LARGEST_FETCH_BYTES}, because each worker holds a fetch."
