"""Makes the paths in `storage` of a configuration file absolute: the folder of a repository, and the key file of a
service account. `~` is the home folder. A relative path is relative to the folder that contains the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tasks.config.yaml_tree import Tree
from tasks.model.errors import ConfigError
from tasks.store.gcs.settings import GcsSettings
from tasks.store.local.settings import LocalSettings, folder_path

_PATHS = {LocalSettings.backend_name(): "path", GcsSettings.backend_name(): "service_account_path"}
"""The key of the path by the name of the backend."""


def expand_storage_path(tree: Tree, value: dict[str, Any]) -> None:
    """Make the path in the section `storage` of `value` absolute. If the home folder is not known, a problem is added
    to the tree."""
    storage = value.get("storage")
    backend = storage.get("backend") if isinstance(storage, dict) else None
    if not isinstance(storage, dict) or not isinstance(backend, str) or backend not in _PATHS:
        return
    key = _PATHS[backend]
    place = ("storage", key)
    written = tree.texts.get(place, storage.get(key))  # the text of `path: ${DAY}`, whose value can be a number
    if not isinstance(written, str) or not written:
        return
    try:
        storage[key] = folder_path(written, base=Path(tree.file).parent)
    except ConfigError as error:
        tree.add_problem(place, f"'storage.{key}': {error}.")
