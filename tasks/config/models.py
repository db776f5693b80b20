"""The YAML files as models: options as the engine has them, and where and as whom."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from tasks.engine.options import BackupOptions, RestoreOptions, TopicSelection


class Section(BaseModel):
    """A mapping of a file. Frozen; unknown keys are found before validation, with their lines."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


def _all_acks(value: object) -> object:
    if value not in ("all", -1, "-1"):
        raise ValueError("only 'all' (or -1) is safe for a restore")
    return "all"


def _only_snapshots(value: object) -> object:
    if value is not True:
        raise ValueError("this version makes snapshots only, which stop at the current offsets")
    return True


def _from_the_start(value: object) -> object:
    if value != "earliest":
        raise ValueError("this version reads from the log start only ('earliest')")
    return value


class ClusterSection(Section):
    """`source` or `target`."""

    bootstrap_servers: Annotated[tuple[str, ...], Field(min_length=1)]
    topics: TopicSelection = TopicSelection()


class StorageSection(Section):
    """Where the repository is."""

    backend: Literal["filesystem", "memory"]
    path: str | None = None
    prefix: str = ""

    @model_validator(mode="after")
    def _has_path(self) -> StorageSection:
        if self.backend == "filesystem" and not self.path:
            raise ValueError("backend filesystem needs a path")
        return self


class BackupSection(BackupOptions):
    """`backup`: the engine's options, and what is only said in files."""

    stop_at_current_offsets: Annotated[bool, BeforeValidator(_only_snapshots)] = True
    start_offset: Annotated[str, BeforeValidator(_from_the_start)] = "earliest"


class RestoreSection(RestoreOptions):
    """`restore`: the engine's options, and what is only said in files."""

    produce_acks: Annotated[str, BeforeValidator(_all_acks)] = "all"


class BackupFile(Section):
    """backup.yaml"""

    mode: Literal["backup"]
    backup_id: str
    source: ClusterSection
    storage: StorageSection
    backup: BackupSection = BackupSection()


class RestoreFile(Section):
    """restore.yaml; `backup_id` may name a point: `set@17`."""

    mode: Literal["restore"]
    backup_id: str
    target: ClusterSection
    storage: StorageSection
    restore: RestoreSection = RestoreSection()


class RepositoryFile(Section):
    """What every file has: enough to read a repository."""

    storage: StorageSection
    backup_id: str | None = None
