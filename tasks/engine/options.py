"""Options of a backup and a restore: values without connection or secret, shared by the YAML files and the flows."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator


def _check_topic(name: str) -> str:
    """Kafka's own rule (org.apache.kafka.common.internals.Topic)."""
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,249}", name) or name in (".", ".."):
        raise ValueError("should be a topic's name: letters, digits, '.', '_' and '-', at most 249 characters")
    return name


TopicName = Annotated[str, AfterValidator(_check_topic)]
PartitionNumber = Annotated[int, Field(ge=0)]


class Options(BaseModel):
    """Frozen, and strict about what is known."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class TopicSelection(Options):
    """Which topics: names, globs (`*`, `?`) or regular expressions after `~`."""

    include: tuple[str, ...] = Field((), title="Include", description="Topics to take; none given means all.")
    exclude: tuple[str, ...] = Field((), title="Exclude", description="Topics to leave out of those included.")


class BackupOptions(Options):
    """How a backup reads and stores."""

    compression: Literal["zstd", "lz4", "none"] = Field("zstd", title="Compression", description="Of data objects.")
    compression_level: int = Field(
        3, ge=1, le=19, title="Compression level", description="Of zstd; lz4 and none have no levels."
    )
    segment_max_bytes: int = Field(
        128 << 20,
        ge=1 << 10,
        le=1 << 30,
        title="Segment size",
        description="Log bytes after which a data object ends, with the 4 MiB frame that reaches them.",
    )
    segment_max_records: int | None = Field(
        None, ge=1, title="Segment records", description="Records after which a data object ends, if given."
    )
    fetch_max_bytes: int = Field(
        4 << 20, ge=1 << 20, le=64 << 20, title="Fetch size", description="Bytes asked for in one fetch."
    )
    max_concurrent_partitions: int = Field(
        4, ge=1, le=64, title="Workers", description="Partitions that are read side by side."
    )
    include_internal_topics: bool = Field(False, title="Internal topics", description="Take internal topics too.")
    internal_topics: tuple[str, ...] = Field((), title="Which internal topics", description="None given means all.")
    consumer_group_snapshot: bool = Field(
        False, title="Group positions", description="Also keep the positions of consumer groups."
    )
    source_cluster_id: str | None = Field(
        None, title="Cluster label", description="A name for the source cluster, kept in the point beside its id."
    )

    @model_validator(mode="after")
    def _internal_topics_are_asked_for(self) -> BackupOptions:
        if self.internal_topics and not self.include_internal_topics:
            raise ValueError("internal_topics needs include_internal_topics: true")
        return self


class RestoreOptions(Options):
    """What a restore writes and how."""

    topic_mapping: dict[str, TopicName] = Field(
        default_factory=dict, title="Topic mapping", description="Source to target."
    )
    source_partitions: tuple[PartitionNumber, ...] | None = Field(
        None, min_length=1, title="Source partitions", description="Only these partition numbers; none given means all."
    )
    consumer_group_strategy: Literal["skip", "header-based", "timestamp-based", "cluster-scan", "manual"] = Field(
        "skip", title="Group positions", description="`skip` leaves them alone; every other value translates exactly."
    )
    consumer_groups: tuple[str, ...] | None = Field(
        None, min_length=1, title="Groups", description="None given means all."
    )
    reset_consumer_offsets: bool = Field(
        False, title="Write positions", description="Commit the translated positions on the target."
    )
    create_topics: bool = Field(True, title="Create topics", description="Create target topics that do not exist.")
    default_replication_factor: int | None = Field(
        None,
        ge=1,
        le=32_767,
        title="Replication factor",
        description="Of created topics; none given means the source's.",
    )
    topic_configs: Literal["apply", "validate", "ignore"] = Field(
        "apply", title="Topic settings", description="Give the topics the backed-up settings, compare them, or neither."
    )
    purge_topics: bool = Field(
        False, title="Purge topics", description="Delete what the target topics hold before restoring."
    )
    finalize: Literal["apply", "defer"] | None = Field(
        None, title="Finalize", description="Settings that would delete restored records; none given: defer those."
    )
    dry_run: bool = Field(False, title="Dry run", description="Only plan and check.")
    max_concurrent_partitions: int = Field(
        4, ge=1, le=64, title="Workers", description="Partitions that are written side by side."
    )
    produce_timeout_ms: int = Field(
        30_000,
        ge=1_000,
        le=3_600_000,
        title="Produce timeout",
        description="Milliseconds a broker may take to acknowledge.",
    )
    verify: Literal["counts"] = Field("counts", title="Verify", description="Counts, bounds, first and last records.")

    @field_validator("reset_consumer_offsets")
    @classmethod
    def _has_positions(cls, value: bool, info: ValidationInfo) -> bool:
        """With `skip` nothing would be written, and nobody would be told."""
        if value and info.data.get("consumer_group_strategy") == "skip":
            raise ValueError("needs a consumer_group_strategy other than 'skip'")
        return value
