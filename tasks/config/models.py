"""The YAML files as models: the engine's options, the cluster, and the storage."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from tasks.broker.auth.security import UNPROTECTED, Security
from tasks.engine.options import BackupOptions, RestoreOptions, TopicSelection
from tasks.engine.topic_selection import compile_pattern
from tasks.model.addresses import parse_address
from tasks.model.errors import ConfigError
from tasks.model.setting_fields import checked_by
from tasks.model.waiting import CONNECT_TIMEOUT_MS
from tasks.repository.points import PointReference
from tasks.store.registry import StorageSettings


class Section(BaseModel):
    """A mapping of a file. Frozen. `classify_keys` finds unknown keys before validation, with their lines."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


def _check_set(text: str) -> None:
    reference = PointReference.parse(text)
    if "@" in text:
        raise ConfigError(f"a backup makes a new point of set {reference.set_name!r}: remove '@…'")


def _check_address(text: str) -> str:
    try:
        parse_address(text)
    except ConfigError as error:
        raise ValueError(str(error)) from None
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


class ConnectionSection(Section):
    """`source.connection` or `target.connection`."""

    connect_timeout_ms: Annotated[int, Field(ge=1_000, le=600_000)] = CONNECT_TIMEOUT_MS


class ClusterSection(Section):
    """`source` or `target`."""

    bootstrap_servers: Annotated[tuple[Annotated[str, AfterValidator(_check_address)], ...], Field(min_length=1)]
    security: Annotated[Security, BeforeValidator(_empty_section_if_none)] = UNPROTECTED
    connection: Annotated[ConnectionSection, BeforeValidator(_empty_section_if_none)] = ConnectionSection()
    topics: TopicsSection = TopicsSection()


class BackupSection(BackupOptions):
    """`backup`: the engine's options, and keys that only files have."""

    stop_at_current_offsets: bool = True
    start_offset: Annotated[str, BeforeValidator(_check_start_offset)] = "earliest"


class RestoreSection(RestoreOptions):
    """`restore`: the engine's options, and keys that only files have."""

    produce_acks: Annotated[str, BeforeValidator(_check_acks)] = "all"
    verify: Annotated[Literal["counts"], BeforeValidator(_check_verify)] = "counts"


class BackupFile(Section):
    """backup.yaml"""

    mode: Literal["backup"]
    backup_id: Annotated[str, checked_by(_check_set)]
    source: ClusterSection
    storage: StorageSection
    backup: BackupSection = BackupSection()


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
