"""Makes `storage.path` of a configuration file absolute. `~` is the home folder. A relative path is relative to the
folder that contains the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tasks.config.yaml_tree import Tree
from tasks.model.errors import ConfigError
from tasks.store.local.settings import LocalSettings, folder_path

_PLACE = ("storage", "path")


def expand_storage_path(tree: Tree, value: dict[str, Any]) -> None:
    """Make `storage.path` in `value` absolute if the backend is a folder. If the home folder is not known, a problem is
    added to the tree."""
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
