"""The pydantic models of the YAML files: the cluster, the storage, and the engine's options. Contains the rules and
defaults of keys that only files have, such as `bootstrap_servers`, `start_offset` and `produce_acks`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from tasks.broker.auth.security import UNPROTECTED, Security
from tasks.engine.options import (
    CYCLE_MS,
    BackupOptions,
    DrillOptions,
    RestoreOptions,
    RetentionPolicy,
    TopicSelection,
    lock_problem,
)
from tasks.engine.topic_patterns import compile_pattern
from tasks.model.addresses import parse_address
from tasks.model.errors import ConfigError
from tasks.model.setting_fields import ConnectTimeoutMs, checked_by
from tasks.model.waiting import CONNECT_TIMEOUT_MS
from tasks.repository.points import PointReference
from tasks.store.registry import StorageSettings


class Section(BaseModel):
    """The base of all sections of a file. Frozen. `classify_keys` reports unknown keys with their lines before
    validation."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


def _check_set(text: str) -> None:
    reference = PointReference.parse(text)
    if "@" in text:
        raise ConfigError(f"a backup makes a new point of set {reference.set_name!r}: remove '@…'")


def _check_drilled_set(text: str) -> None:
    reference = PointReference.parse(text)
    if "@" in text:
        raise ConfigError(f"a drill chooses its point of set {reference.set_name!r} by drill.point: remove '@…'")


def _check_address(text: str) -> str:
    try:
        parse_address(text)
    except ConfigError as error:
        raise ValueError(str(error)) from None
    return text


def _split_servers(value: object) -> object:
    """Split a text with commas into a list of servers, because other programs write several servers as one text."""
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, (list, tuple)) or not all(isinstance(item, str) for item in items):
        return tuple(items) if isinstance(items, list) else items
    return tuple(part.strip() for item in items for part in item.split(",") if part.strip() or "," not in item)


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
"""The section `storage`: the settings of one backend. `backend` selects the backend. Keys of other backends are
refused."""


class TopicsSection(TopicSelection):
    """The engine's selection of topics. Validation refuses patterns that are not valid."""

    include: tuple[Pattern, ...] = Field((), description=TopicSelection.model_fields["include"].description)
    exclude: tuple[Pattern, ...] = Field((), description=TopicSelection.model_fields["exclude"].description)


class ConnectionSection(Section):
    """The section `source.connection` or `target.connection`."""

    connect_timeout_ms: ConnectTimeoutMs = Field(
        CONNECT_TIMEOUT_MS,
        description="How long to wait for the cluster's first answer, in ms. Later failures are retried longer.",
    )


class ClusterSection(Section):
    """The section `source` or `target`."""

    bootstrap_servers: Annotated[
        tuple[Annotated[str, AfterValidator(_check_address)], ...],
        Field(min_length=1, description="Brokers for the first connection, each as host:port."),
        BeforeValidator(_split_servers),
    ]
    security: Annotated[
        Security,
        Field(description="How connections are encrypted and authenticated."),
        BeforeValidator(_empty_section_if_none),
    ] = UNPROTECTED
    connection: Annotated[
        ConnectionSection,
        Field(description="How long to wait for the first answer of the cluster."),
        BeforeValidator(_empty_section_if_none),
    ] = ConnectionSection()
    rack: str = Field(
        "",
        max_length=255,
        description="The rack of this program. Records are read from a replica in this rack instead of the leader, if "
        "the brokers have `broker.rack` and the `RackAwareReplicaSelector`.",
    )
    topics: TopicsSection = Field(TopicsSection(), description="The topics to back up, or to restore.")


class BackupSection(BackupOptions):
    """The section `backup`: the engine's options, and keys that only files have."""

    continuous: bool = Field(
        False, description="Goes on until it is told to end, and makes a restore point in each cycle that has news."
    )
    segment_max_interval_ms: int | None = Field(
        None, ge=1_000, description="With `continuous`: time between the begins of two cycles, in ms."
    )
    checkpoint_interval_secs: int | None = Field(
        None,
        ge=1,
        description="The same in seconds. It counts only without `segment_max_interval_ms`. Without both: 30 seconds.",
    )
    stop_at_current_offsets: bool = Field(
        True,
        description="Accepted. Without `continuous` a backup always stops at the offsets that it found at its start.",
    )
    start_offset: Annotated[str, BeforeValidator(_check_start_offset)] = Field(
        "earliest", description="Only `earliest`: a backup reads from the start of the log."
    )

    @property
    def cycle_ms(self) -> int:
        """The time between the begins of two cycles of a continuous backup."""
        if self.segment_max_interval_ms is not None:
            return self.segment_max_interval_ms
        return CYCLE_MS if self.checkpoint_interval_secs is None else self.checkpoint_interval_secs * 1000


class RestoreSection(RestoreOptions):
    """The section `restore`: the engine's options, and keys that only files have."""

    produce_acks: Annotated[str, BeforeValidator(_check_acks)] = Field(
        "all", description="Only `all` (or -1), because nothing else is safe for a restore."
    )
    verify: Annotated[Literal["counts"], BeforeValidator(_check_verify)] = Field(
        "counts", description=str(RestoreOptions.model_fields["verify"].description)
    )


class OffsetStorageSection(Section):
    """`offset_storage`: its presence makes the backup incremental. Its keys have no meaning here."""


class RetentionSection(RetentionPolicy):
    """The section `retention`: the engine's policy."""


def _check_lock(policy: RetentionSection | None, info: ValidationInfo) -> RetentionSection | None:
    """Raises `ValueError` if the lock of the storage is longer than `maximum_age`. A wrong `storage` is absent here."""
    problem = lock_problem(info.data["storage"].lock_ms, policy) if "storage" in info.data else None
    if problem is not None:
        raise ValueError(problem)
    return policy


class BackupFile(Section):
    """The file backup.yaml."""

    mode: Literal["backup"] = Field(description="The kind of the file.")
    backup_id: Annotated[str, checked_by(_check_set)] = Field(
        description="The name of the backup set. Each run makes a new point of it."
    )
    source: ClusterSection = Field(description="The cluster to back up.")
    storage: StorageSection = Field(description="Where the repository is.")
    backup: BackupSection = Field(BackupSection(), description="How the backup reads topics and stores them.")
    offset_storage: OffsetStorageSection | None = Field(
        None, description="If it is present, also without keys, a backup reads only what is new since the newest point."
    )
    retention: RetentionSection | None = Field(
        None, description="Which points `kafka-backup prune` keeps. A backup itself removes nothing."
    )

    _lock_ends_in_time = field_validator("retention")(_check_lock)


class RestoreFile(Section):
    """The file restore.yaml. `backup_id` is a point reference: see `PointReference`."""

    mode: Literal["restore"] = Field(description="The kind of the file.")
    backup_id: Reference = Field(
        description="The point to restore: `set@17`, `set@2026-11-22T10:00:00Z`, or `set` for its newest point."
    )
    target: ClusterSection = Field(description="The cluster to restore into.")
    storage: StorageSection = Field(description="Where the repository is.")
    restore: RestoreSection = Field(RestoreSection(), description="How the restore writes topics and group positions.")


class DrillSection(DrillOptions):
    """The section `drill`: the engine's options."""

    topics: TopicsSection = Field(TopicsSection(), description=DrillOptions.model_fields["topics"].description)
    signing_key_file: str | None = Field(
        None, description="File with the private Ed25519 key that signs the report: `kafka-backup evidence keygen`."
    )


class DrillFile(Section):
    """The file drill.yaml."""

    mode: Literal["drill"] = Field(description="The kind of the file.")
    backup_id: Annotated[str, checked_by(_check_drilled_set)] = Field(
        description="The backup set whose points are drilled."
    )
    target: ClusterSection = Field(description="The cluster with the scratch topics. The topics are those of `drill`.")
    storage: StorageSection = Field(description="Where the repository is.")
    drill: DrillSection = Field(DrillSection(), description="What is restored, how it is compared, and the objectives.")

    @model_validator(mode="after")
    def _has_one_selection(self) -> DrillFile:
        if self.target.topics != TopicsSection():
            raise ValueError("a drill selects topics with drill.topics: remove target.topics")
        return self


class RepositoryFile(Section):
    """The keys of a file of either kind that are needed to read a repository."""

    mode: Literal["backup", "restore", "drill"] | None = None
    storage: StorageSection
    backup_id: Reference | None = None


class PolicyFile(RepositoryFile):
    """The keys of backup.yaml that a prune needs."""

    backup_id: Annotated[str, checked_by(_check_set)]
    retention: RetentionSection

    _lock_ends_in_time = field_validator("retention")(_check_lock)
