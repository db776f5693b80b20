"""Reads the files of keys that the rules of a restore name. Their keys become part of the options, so that a restore
that is continued keeps the same records. A relative path is relative to the folder that contains the configuration."""

from __future__ import annotations

from pathlib import Path

from tasks.config.models import RestoreFile
from tasks.config.yaml_tree import Tree, path_text
from tasks.engine.record_rules import RecordRule
from tasks.model.errors import ConfigError

MOST_KEYS = 100_000
MOST_BYTES = 8 << 20


def with_file_keys(tree: Tree, file: RestoreFile) -> RestoreFile:
    """The file with the keys of its key files. Problems are added to the tree."""
    found: dict[str, tuple[RecordRule, ...]] = {}
    for kind in ("select", "exclude"):
        rules: tuple[RecordRule, ...] = getattr(file.restore, kind)
        found[kind] = tuple(_with_keys(tree, kind, number, rule) for number, rule in enumerate(rules))
    return file.model_copy(update={"restore": file.restore.model_copy(update=found)})


def _with_keys(tree: Tree, kind: str, number: int, rule: RecordRule) -> RecordRule:
    if rule.key is None:
        return rule
    place = ("restore", kind, number, "key")
    if rule.key.file_keys:
        tree.add_problem(
            (*place, "file_keys"), f"{path_text((*place, 'file_keys'))!r} is set by the command: use file."
        )
    if rule.key.file is None:
        return rule
    try:
        keys = read_keys(Path(tree.file).parent / Path(rule.key.file).expanduser())
    except ConfigError as error:
        tree.add_problem((*place, "file"), f"{path_text((*place, 'file'))!r}: {error}")
        return rule
    return rule.model_copy(update={"key": rule.key.model_copy(update={"file_keys": keys})})


def read_keys(path: Path) -> tuple[str, ...]:
    """The keys of a file, one in each line, each once, in the order of the file. Empty lines are left out. Raises
    `ConfigError` if the file cannot be read, is not UTF-8, has no keys or too many."""
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or 'cannot be read'}.") from None
    if len(data) > MOST_BYTES:
        raise ConfigError(f"{path} has more than {MOST_BYTES:,} bytes. Use a shorter list, or prefixes of keys.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not UTF-8 text. Write other keys with base64 or hex in the rule.") from None
    keys = tuple(dict.fromkeys(line for one in text.split("\n") if (line := one.removesuffix("\r"))))
    if not keys:
        raise ConfigError(f"{path} has no keys: write one in each line.")
    if len(keys) > MOST_KEYS:
        raise ConfigError(f"{path} has {len(keys):,} keys, more than {MOST_KEYS:,}. Use prefixes of keys.")
    return keys
