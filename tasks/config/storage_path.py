"""The folder that a file names: `~` is the home folder, and a relative path counts from the folder of the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tasks.config.yaml_tree import Tree
from tasks.model.errors import ConfigError
from tasks.store.local.settings import LocalSettings, folder_path

_PLACE = ("storage", "path")


def expand_storage_path(tree: Tree, value: dict[str, Any]) -> None:
    """Make `storage.path` of a folder absolute in `value`. A path that cannot be expanded is a problem of the tree."""
    storage = value.get("storage")
    if not isinstance(storage, dict) or storage.get("backend") != LocalSettings.backend_name():
        return
    written = tree.texts.get(_PLACE, storage.get("path"))  # the text of `path: ${DAY}`, whose value can be a number
    if not isinstance(written, str) or not written:
        return
    try:
        storage["path"] = folder_path(written, base=Path(tree.file).parent)
    except ConfigError as error:
        tree.add_problem(_PLACE, f"'storage.path': {error}.")
