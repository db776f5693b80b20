"""The YAML files as models: the engine's options, the cluster, and the storage."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from tasks.broker.auth.security import UNPROTECTED, Security
from tasks.engine.options import BackupOptions, RestoreOptions, TopicSelection
from tasks.engine.topic_selection import compile_pattern
from tasks.model.errors import ConfigError
from tasks.model.setting_fields import checked_by
from tasks.repository.points import PointReference
from tasks.store.registry import StorageSettings

_ADDRESS = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[^\s@/,:\[\]]+):[0-9]{1,5}")


class Section(BaseModel):
    """A mapping of a file. Frozen. `classify_keys` finds unknown keys before validation, with their lines."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


def _check_set(text: str) -> None:
    reference = PointReference.parse(text)
    if "@" in text:
        raise ConfigError(f"a backup makes a new point of set {reference.set_name!r}: remove '@…'")


def _check_address(text: str) -> str:
    """Checks only the form, because the broker's modules import Kafka libraries. The message does not show the value,
    because a URL with a password may be in its place."""
    if not _ADDRESS.fullmatch(text) or not 0 < int(text.rpartition(":")[2]) < 65536:
        raise ValueError("should be one host:port")
    return text


def _check_acks(value: object) -> object:
    if value not in ("all", -1, "-1"):
        raise ValueError("only 'all' (or -1) is safe for a restore")
    return "all"


def _empty_section_if_none(value: object) -> object:
    return {} if value is None else value


def _check_start_offset(value: object) -> object:
    if value != "earliest":
        raise ValueError("this version reads from the log start only ('earliest')")
    return value


def _check_verify(value: object) -> object:
    if value == "full":
        raise ValueError("'full' is not available yet: this version compares counts, bounds, first and last records")
    return value


Pattern = Annotated[str, Field(min_length=1), checked_by(compile_pattern)]
Reference = Annotated[str, checked_by(PointReference.parse)]

StorageSection = Annotated[StorageSettings, Field(discriminator="backend")]
"""Where the repository is: the settings of one backend. Keys of other backends are refused."""


class TopicsSection(TopicSelection):
    """The engine's selection. Every pattern compiles."""

    include: tuple[Pattern, ...] = ()
    exclude: tuple[Pattern, ...] = ()


class ClusterSection(Section):
    """`source` or `target`."""

    bootstrap_servers: Annotated[tuple[Annotated[str, AfterValidator(_check_address)], ...], Field(min_length=1)]
    security: Annotated[Security, BeforeValidator(_empty_section_if_none)] = UNPROTECTED
    topics: TopicsSection = TopicsSection()


class BackupSection(BackupOptions):
    """`backup`: the engine's options, and keys that only files have."""

    stop_at_current_offsets: bool = True
    start_offset: Annotated[str, BeforeValidator(_check_start_offset)] = "earliest"


class RestoreSection(RestoreOptions):
    """`restore`: the engine's options, and keys that only files have."""

    produce_acks: Annotated[str, BeforeValidator(_check_acks)] = "all"
    verify: Annotated[Literal["counts"], BeforeValidator(_check_verify)] = "counts"


class OffsetStorageSection(Section):
    """`offset_storage`: its presence makes the backup incremental. Its keys have no meaning here."""


class BackupFile(Section):
    """backup.yaml"""

    mode: Literal["backup"]
    backup_id: Annotated[str, checked_by(_check_set)]
    source: ClusterSection
    storage: StorageSection
    backup: BackupSection = BackupSection()
    offset_storage: OffsetStorageSection | None = None


class RestoreFile(Section):
    """restore.yaml. `backup_id` is a set or a point: `set@17`."""

    mode: Literal["restore"]
    backup_id: Reference
    target: ClusterSection
    storage: StorageSection
    restore: RestoreSection = RestoreSection()


class RepositoryFile(Section):
    """The part of either file that is enough to read a repository."""

    mode: Literal["backup", "restore"] | None = None
    storage: StorageSection
    backup_id: Reference | None = None
