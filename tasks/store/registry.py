"""The backends of this version: their settings by names in YAML files, by URLs and by block types. Opens their stores.
Makes the errors for wrong URLs and backends.

To add a backend: a folder with `settings.py` and an adapter, its settings in `StorageSettings`, and a case in
`open_store`. If its settings have a `block_type`, `blocks` needs a block
with this slug. Keys, URL schemes and messages follow from the settings. docs/ARCHITECTURE.md lists the other files.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import assert_never, get_args
from urllib.parse import urlsplit

from pydantic import ValidationError

from tasks.model.control_characters import control_character_problem
from tasks.model.errors import ConfigError
from tasks.model.setting_fields import validation_problems
from tasks.store.azure.settings import AzureSettings
from tasks.store.gcs.settings import GcsSettings
from tasks.store.local.settings import LocalSettings
from tasks.store.memory.settings import MemorySettings
from tasks.store.protocol import IsData, IsImmutable, ObjectStore, OnNote, nothing_is_data, nothing_is_immutable
from tasks.store.s3.settings import S3Settings
from tasks.store.sdk import required_sdk
from tasks.store.split import SplitStore

AZURE_SDK = ("azure", "azure.core", "azure.storage.blob", "azure.identity", "requests")
"""The backend `azure` and the modules of its SDK, for `required_sdk`."""

GCS_SDK = ("gcs", "google.cloud.storage", "google.auth", "google.api_core", "requests")
"""The backend `gcs` and the modules of its SDK, for `required_sdk`."""

StorageSettings = LocalSettings | MemorySettings | S3Settings | AzureSettings | GcsSettings
"""The settings of all backends. Their field `backend` has different values."""

BACKENDS: Mapping[str, type[StorageSettings]] = {kind.backend_name(): kind for kind in get_args(StorageSettings)}
"""The settings classes by the names of the backends in YAML files."""

BLOCK_TYPES: Mapping[str, type[StorageSettings]] = {
    kind.block_type: kind for kind in BACKENDS.values() if kind.block_type is not None
}
"""The settings classes by the slugs of their Prefect blocks."""

KEYS: Mapping[str, frozenset[str]] = {name: frozenset(kind.model_fields) for name, kind in BACKENDS.items()}
"""The keys that a `storage` section can have, by the name of the backend."""

_BY_SCHEME: Mapping[str, type[StorageSettings]] = {kind.url_scheme: kind for kind in BACKENDS.values()}
_BY_SIMILAR_SCHEME: Mapping[str, type[StorageSettings]] = {
    scheme: kind for kind in BACKENDS.values() for scheme in kind.similar_schemes
}


def one_of(names: Iterable[str]) -> str:
    """The names as alternatives for a message: `a, b or c`. There has to be at least one."""
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last


def settings_from_url(url: str) -> StorageSettings:
    """The settings for a `--storage` URL.

    Raises `ConfigError` for a wrong URL. Messages contain only the scheme, and a prefix that is not an object key,
    because the rest of a URL can be a secret.
    """
    problem = control_character_problem(url)
    if problem is not None:
        raise ConfigError(f"The storage URL {problem}: remove it.")
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ConfigError(f"The storage URL cannot be parsed. Write {LocalSettings.url_example}.") from None
    if parts.scheme in _BY_SIMILAR_SCHEME:
        example = _BY_SIMILAR_SCHEME[parts.scheme].url_example
        raise ConfigError(f"A storage URL does not begin with {parts.scheme}://. Write {example}.")
    if parts.scheme not in _BY_SCHEME:
        schemes = one_of(f"{scheme}://" for scheme in _BY_SCHEME)
        raise ConfigError(f"The storage URL must begin with {schemes}, as in {LocalSettings.url_example}.")
    try:
        return _BY_SCHEME[parts.scheme].from_url(parts)
    except ValidationError as error:
        raise ConfigError(f"The storage URL cannot be used: {validation_problems(error)}.") from None


def removed_on_failure(settings: StorageSettings) -> AbstractContextManager[None]:
    """A context that removes the new folders of a local store again if its body raises an error. A folder that contains
    objects stays. For other backends it does nothing, because nothing is made for them."""
    if not isinstance(settings, LocalSettings):
        return nullcontext()
    from tasks.store.local import new_folder

    return new_folder.removed_on_failure(settings.folder)


def open_store(
    settings: StorageSettings,
    *,
    create: bool = False,
    on_note: OnNote | None = None,
    is_immutable: IsImmutable = nothing_is_immutable,
    is_data: IsData = nothing_is_data,
) -> ObjectStore:
    """Open the store. With `create` a missing folder is made. The store does not retry: see `RetryingStore`.

    Raises `NotFoundError` if the folder is missing, `ConfigError` if the settings cannot be used, `AccessError` if the
    folder cannot be made or read or the credentials cannot be obtained, and `StoreError` for any other failure to make
    or read the folder. A missing bucket is found only by the first request. The adapter and its SDK are imported here,
    so that users of other backends do not wait for the import.
    """

    def opened(place: StorageSettings) -> ObjectStore:
        return _opened(place, create=create, on_note=on_note, is_immutable=is_immutable, is_data=is_data)

    mutable = settings.mutable_settings()
    return opened(settings) if mutable is None else SplitStore(opened(settings), opened(mutable), is_immutable)


def _opened(
    settings: StorageSettings, *, create: bool, on_note: OnNote | None, is_immutable: IsImmutable, is_data: IsData
) -> ObjectStore:
    """The store of one place."""
    match settings:
        case LocalSettings():
            from tasks.store.local.local_store import LocalStore

            return LocalStore(settings.folder, create=create, on_note=on_note)
        case MemorySettings():
            from tasks.store.memory.memory_store import shared_memory_store

            return shared_memory_store(settings.name)
        case S3Settings():
            from tasks.store.s3.s3_store import S3Store

            return S3Store(settings, is_immutable=is_immutable, is_data=is_data)
        case AzureSettings():
            with required_sdk(*AZURE_SDK):
                from tasks.store.azure.azure_store import AzureStore

                return AzureStore(settings)
        case GcsSettings():
            with required_sdk(*GCS_SDK):
                from tasks.store.gcs.gcs_store import GcsStore

                return GcsStore(settings)
        case _:
            assert_never(settings)
