"""Loads the files. All problems of a file are reported at once, a line each; nothing is ever ignored."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from tasks.config.keys import NOT_YET, NOTED, STORAGE_KEYS, STORAGE_NOT_YET, is_off, treatment
from tasks.config.models import BackupFile, RepositoryFile, RestoreFile
from tasks.config.yaml_tree import Place, Tree, parse, path_text
from tasks.engine.topic_patterns import compile_pattern
from tasks.model.errors import ConfigError
from tasks.repository.points import PointReference

FileT = TypeVar("FileT", BackupFile, RestoreFile, RepositoryFile)


@dataclass(frozen=True, slots=True)
class Loaded(Generic[FileT]):
    """A file that is right, and what is to be said about it nevertheless."""

    file: FileT
    notes: tuple[str, ...]


def load_backup(path: Path, environment: Mapping[str, str] = os.environ) -> Loaded[BackupFile]:
    """backup.yaml. Raises `ConfigError` with one line per problem: file, line, key, what is wrong."""
    return _load(path, BackupFile, environment)


def load_restore(path: Path, environment: Mapping[str, str] = os.environ) -> Loaded[RestoreFile]:
    """restore.yaml. Raises `ConfigError` likewise."""
    return _load(path, RestoreFile, environment)


def load_repository(path: Path, environment: Mapping[str, str] = os.environ) -> Loaded[RepositoryFile]:
    """What either file says of the repository; the whole file has to be right."""
    tree = _read(path, environment)
    loaded: Loaded[RestoreFile] | Loaded[BackupFile]
    loaded = _checked(tree, RestoreFile) if tree.value.get("mode") == "restore" else _checked(tree, BackupFile)
    return Loaded(RepositoryFile(storage=loaded.file.storage, backup_id=loaded.file.backup_id), loaded.notes)


def _load(path: Path, kind: type[FileT], environment: Mapping[str, str]) -> Loaded[FileT]:
    return _checked(_read(path, environment), kind)


def _read(path: Path, environment: Mapping[str, str]) -> Tree:
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not UTF-8 text.") from None
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or 'cannot be read'}.") from None
    return parse(text, file=str(path), environment=environment)


def _checked(tree: Tree, kind: type[FileT]) -> Loaded[FileT]:
    notes: list[str] = []
    value = _sift(tree, tree.value, kind, (), notes)
    _check_storage(tree)
    file = _validated(tree, kind, value)
    if tree.problems or file is None:
        raise ConfigError("\n".join(dict.fromkeys(tree.problems)))
    return Loaded(file, tuple(notes))


def _sift(
    tree: Tree, value: Mapping[str, Any], model: type[BaseModel], path: Place, notes: list[str]
) -> dict[str, Any]:
    """What the model is asked to validate: without the keys that only get a note or a refusal."""
    kept: dict[str, Any] = {}
    for key, member in value.items():
        place = (*path, key)
        dotted = ".".join(map(str, place))
        field = model.model_fields.get(key)
        section = _section_of(field.annotation) if field else None
        if field is not None:
            inner = section is not None and isinstance(member, Mapping)
            kept[key] = _sift(tree, member, section, place, notes) if inner and section else member
        elif (note := treatment(dotted, NOTED)) is not None:
            notes.append(f"{tree.file}:{tree.line(place)}: {dotted!r} has no meaning here: {note}.")
        elif (reason := treatment(dotted, NOT_YET)) is not None:
            if not is_off(member):
                tree.complain(place, f"{dotted!r} is not available yet: {reason}.")
        elif not (path == ("storage",) and key in STORAGE_KEYS):
            _unknown(tree, place, {*model.model_fields, *_told_of(path)})
    return kept


def _told_of(path: Place) -> Iterable[str]:
    """Keys of a section that the tables know."""
    prefix = ".".join(map(str, path))
    for dotted in (*NOTED, *NOT_YET):
        section, _, key = dotted.rpartition(".")
        if section == prefix:
            yield key


def _section_of(annotation: object) -> type[BaseModel] | None:
    candidates = [annotation, *get_args(annotation)]
    return next((one for one in candidates if isinstance(one, type) and issubclass(one, BaseModel)), None)


def _unknown(tree: Tree, place: Place, known: set[str]) -> None:
    near = difflib.get_close_matches(str(place[-1]), sorted(known), n=1)
    where = f" in {path_text(place[:-1])!r}" if place[:-1] else ""
    hint = f"; did you mean {near[0]!r}?" if near else "."
    tree.complain(place, f"unknown key {place[-1]!r}{where}{hint}")


def _check_storage(tree: Tree) -> None:
    storage = tree.value.get("storage")
    if not isinstance(storage, Mapping):
        return
    backend = storage.get("backend")
    if backend in STORAGE_NOT_YET:
        tree.complain(
            ("storage", "backend"), f"backend {backend!r} is not available yet: this version stores in a filesystem."
        )
        return
    for key in storage:
        if key in STORAGE_KEYS:
            tree.complain(("storage", key), f"{key!r} is not a key of backend {backend!r}.")


def _validated(tree: Tree, kind: type[FileT], value: Mapping[str, Any]) -> FileT | None:
    try:
        file = kind.model_validate(value)
    except ValidationError as error:
        for one in error.errors(include_input=False, include_url=False, include_context=False):
            _explain(tree, tuple(one["loc"]), one["type"], one["msg"])
        return None
    _check_meaning(tree, file)
    return file


def _explain(tree: Tree, path: Place, kind: str, message: str) -> None:
    """A validation error in a sentence that never shows the value."""
    storage = tree.value.get("storage")
    if path == ("storage", "backend") and isinstance(storage, Mapping) and storage.get("backend") in STORAGE_NOT_YET:
        return
    name = path_text(path) or "the file"
    if kind == "missing":
        tree.complain(path, f"{name!r} is missing.")
        return
    if any(place[: len(path)] == path for place in tree.spoiled):
        return  # a consequence of what was said already
    found = "" if kind == "value_error" else _found(tree.value, path)
    text = message.removeprefix("Value error, ").removeprefix("Input ").rstrip(".")
    tree.complain(path, f"{name!r}: {text}{found}.")


def _found(value: Any, path: Place) -> str:
    """What kind of thing stands there, when its kind is the trouble."""
    for part in path:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            return ""
    kinds = {bool: "true or false", int: "a number", float: "a number", str: "text", list: "a list", dict: "a mapping"}
    return f", found {kinds.get(type(value), 'nothing')}"


def _check_meaning(tree: Tree, file: BackupFile | RestoreFile | RepositoryFile) -> None:
    """What a model cannot say: names of sets, patterns."""
    try:
        reference = PointReference.parse(file.backup_id or "")
        if isinstance(file, BackupFile) and "@" in (file.backup_id or ""):
            tree.complain(("backup_id",), f"a backup makes a new point of set {reference.set_name!r}: leave '@…' out.")
    except ConfigError as error:
        tree.complain(("backup_id",), str(error))
    if isinstance(file, RepositoryFile):
        return
    side = "source" if isinstance(file, BackupFile) else "target"
    topics = file.source.topics if isinstance(file, BackupFile) else file.target.topics
    for name, patterns in (("include", topics.include), ("exclude", topics.exclude)):
        for index, pattern in enumerate(patterns):
            try:
                compile_pattern(pattern)
            except ConfigError as error:
                tree.complain((side, "topics", name, index), str(error))
