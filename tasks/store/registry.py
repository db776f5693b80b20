"""The backends that this version has: from a YAML section, a URL or a block to an open store.

To add a backend: a folder with `settings.py` and an adapter, its settings in `StorageSettings`, and a case in
`open_store`. Keys, URL schemes, block types and messages follow from the settings.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import assert_never, get_args
from urllib.parse import urlsplit

from pydantic import ValidationError

from tasks.model.errors import ConfigError, UnsupportedError
from tasks.model.setting_fields import validation_problems
from tasks.store.local.settings import LocalSettings
from tasks.store.memory.settings import MemorySettings
from tasks.store.planned import PLANNED_BACKENDS
from tasks.store.protocol import ObjectStore, OnNote
from tasks.store.s3.settings import S3Settings
from tasks.store.text_values import control_character

StorageSettings = LocalSettings | MemorySettings | S3Settings
"""The registration. The field `backend` distinguishes its members."""

BACKENDS: Mapping[str, type[StorageSettings]] = {kind.backend_name(): kind for kind in get_args(StorageSettings)}
"""The settings by the names that YAML files give to the backends."""

BLOCK_TYPES: Mapping[str, type[StorageSettings]] = {
    kind.block_type: kind for kind in BACKENDS.values() if kind.block_type is not None
}
"""The settings by the slugs of their Prefect blocks."""

PLANNED_NAMES = frozenset(planned.name for planned in PLANNED_BACKENDS)
"""Names of backends that this version does not have yet."""

KEYS: Mapping[str, frozenset[str]] = {
    **{name: frozenset(kind.model_fields) for name, kind in BACKENDS.items()},
    **{planned.name: planned.keys | {"backend"} for planned in PLANNED_BACKENDS},
}
"""The keys that a `storage` section can have, by backend, of planned backends too."""

_BY_SCHEME: Mapping[str, type[StorageSettings]] = {kind.url_scheme: kind for kind in BACKENDS.values()}
_PLANNED_SCHEMES = frozenset[str]().union(*(planned.url_schemes for planned in PLANNED_BACKENDS))


def one_of(names: Iterable[str]) -> str:
    """`a, b or c`"""
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last


def recommended_backends() -> str:
    """The backends to name where another one is not available: those whose objects outlive the process."""
    return one_of(repr(kind.backend_name()) for kind in BLOCK_TYPES.values())


def settings_from_url(url: str) -> StorageSettings:
    """The settings that a `--storage` URL means.

    Raises `UnsupportedError` for the scheme of a planned backend, `ConfigError` for any other wrong URL. Messages show
    only the scheme, and a prefix that is not an object key, because the rest of a URL may be a secret.
    """
    if problem := control_character(url):  # urlsplit would drop line breaks
        raise ConfigError(f"The storage URL {problem}.")
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ConfigError(f"The storage URL cannot be parsed. Write {LocalSettings.url_example}.") from None
    if parts.scheme in _PLANNED_SCHEMES:
        usable = one_of(f"{kind.url_scheme}://" for kind in BLOCK_TYPES.values())
        raise UnsupportedError(f"Storage at {parts.scheme}:// is not available yet. Use {usable}.")
    if parts.scheme not in _BY_SCHEME:
        schemes = one_of(f"{scheme}://" for scheme in _BY_SCHEME)
        raise ConfigError(f"The storage URL must begin with {schemes}, as in {LocalSettings.url_example}.")
    try:
        return _BY_SCHEME[parts.scheme].from_url(parts)
    except ValidationError as error:
        raise ConfigError(f"The storage URL cannot be used: {validation_problems(error)}.") from None


def removed_on_failure(settings: StorageSettings) -> AbstractContextManager[None]:
    """If the body fails, what it made of the place of a store is removed, unless there are objects. Only a folder is
    ever made."""
    if not isinstance(settings, LocalSettings):
        return nullcontext()
    from tasks.store.local import new_folder

    return new_folder.removed_on_failure(settings.folder)


def open_store(settings: StorageSettings, *, create: bool = False, on_note: OnNote | None = None) -> ObjectStore:
    """Opens the store; `create` makes a missing folder. The store does not retry: see `RetryingStore`.

    Raises `NotFoundError` when the folder is missing, `ConfigError` when the settings cannot be used. A missing bucket
    is noticed at the first request. The adapter and its SDK are imported only here, so that no other backend's user
    waits for them.
    """
    match settings:
        case LocalSettings():
            from tasks.store.local.local_store import LocalStore

            return LocalStore(settings.folder, create=create, on_note=on_note)
        case MemorySettings():
            from tasks.store.memory.memory_store import shared_memory_store

            return shared_memory_store(settings.name)
        case S3Settings():
            from tasks.store.s3.s3_store import S3Store

            return S3Store(settings)
        case _:
            assert_never(settings)
