"""Options of a backup and a restore: values without connection or secret, with defaults, limits and the texts of forms.
The YAML files and the flows share them."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Annotated, Literal, get_args

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from tasks.engine.option_base import Options as Options
from tasks.engine.option_base import PartitionNumber, TopicName, TopicPattern
from tasks.engine.record_rules import RecordSelection
from tasks.engine.topic_patterns import check_target, is_literal, is_topic_name
from tasks.model.durations import DAY_MS as DAY_MS
from tasks.model.durations import Duration as Duration
from tasks.model.durations import duration_ms as duration_ms
from tasks.model.errors import ConfigError
from tasks.model.labels import check_label_rule, check_labels
from tasks.store.archive import RetrievalTier

SMALL_FETCH_BYTES = 1 << 20
"""Fetches below this size make a backup slow."""

LARGEST_FETCH_BYTES = 64 << 20

CYCLE_MS = 30_000
"""The usual time from the begin of one cycle of a continuous backup to the begin of the next."""


WrittenBytesPerSecond = Annotated[
    int | None,
    Field(
        ge=100_000,
        exclude_if=lambda limit: limit is None,
        title="Most bytes per second",
        description="Bytes of record batches that all workers together write in a second, on average. Empty means no "
        "limit.",
    ),
]
WrittenRecordsPerSecond = Annotated[
    int | None,
    Field(
        ge=1_000,
        exclude_if=lambda limit: limit is None,
        title="Most records per second",
        description="Records that all workers together write in a second, on average. Empty means no limit.",
    ),
]


def _check_labels(labels: dict[str, str]) -> dict[str, str]:
    try:
        check_labels(labels)
    except ConfigError as error:
        raise ValueError(str(error)) from None
    return labels


def _check_label_rule(rule: str) -> str:
    try:
        check_label_rule(rule)
    except ConfigError as error:
        raise ValueError(str(error)) from None
    return rule


def _check_mapping(mapping: dict[str, str]) -> dict[str, str]:
    """Return the mapping. Raises `ValueError` for a target that is not the name of a topic, or that its pattern cannot
    fill."""
    for source, target in mapping.items():
        try:
            check_target(source, target)
        except ConfigError as error:
            raise ValueError(str(error)) from None
        if is_literal(source) and not is_topic_name(target):
            raise ValueError(f"{target!r} is not the name of a topic")
    return mapping


LabelRule = Annotated[str, AfterValidator(_check_label_rule)]


class TopicSelection(Options):
    """The topics to use: names, globs (`*`, `?`) or regular expressions after `~`."""

    include: tuple[str, ...] = Field(
        (),
        title="Topics to include",
        description="Names of topics, patterns with * and ?, or regular expressions after ~. Empty means all topics.",
    )
    exclude: tuple[str, ...] = Field(
        (),
        title="Topics to exclude",
        description="Topics to leave out although they are included. Names and patterns are written in the same way.",
    )


class BackupOptions(Options):
    """How a backup reads topics and stores them. The form in Prefect's UI shows the fields in this order: the usual
    ones first."""

    consumer_group_snapshot: bool = Field(
        False, title="Group positions", description="Also stores the positions of the consumer groups of these topics."
    )
    max_concurrent_partitions: int = Field(
        4, ge=1, le=64, title="Workers", description="Number of partitions that are read at the same time."
    )
    compression: Literal["zstd", "lz4", "none"] = Field(
        "zstd", title="Compression", description="Compression of the data objects in the repository."
    )
    full_every: Duration | None = Field(
        None,
        title="New base",
        description="Age of the last snapshot after which an incremental run reads everything again: 7d, 12h. Empty "
        "means never.",
    )
    labels: Annotated[dict[str, str], AfterValidator(_check_labels)] = Field(
        default_factory=dict,
        title="Labels",
        description="Labels of the restore point, for example release: 1.2.3. Lists and retention rules can select "
        "points by them.",
    )
    client_state_snapshot: bool = Field(
        False,
        title="Quotas and users",
        description="Also stores the client quotas of the cluster, and the names of its SCRAM users without secrets.",
    )
    max_bytes_per_second: int | None = Field(
        None,
        ge=1_000,
        title="Most bytes per second",
        description="Bytes per second that all workers of a process together read from the brokers, on average. Empty "
        "means no limit.",
    )
    compression_level: int = Field(
        3,
        ge=1,
        le=19,
        title="Compression level",
        description="Level of zstd: 1 is fast, 19 is small. The other compressions have no levels.",
    )
    include_internal_topics: bool = Field(
        False, title="Internal topics", description="Also includes topics that are internal to Kafka."
    )
    internal_topics: tuple[str, ...] = Field(
        (),
        title="Which internal topics",
        description="Names of the internal topics to include. Empty means all internal topics.",
    )
    source_cluster_id: str | None = Field(
        None,
        title="Cluster label",
        description="Your name for the source cluster. The restore point keeps it beside the cluster's id.",
    )
    segment_max_bytes: int = Field(
        128 << 20,
        ge=1 << 10,
        le=1 << 30,
        title="Segment size",
        description="Bytes of log after which a data object ends. The last frame of 4 MiB may exceed it.",
    )
    segment_max_records: int | None = Field(
        None,
        ge=1,
        title="Segment records",
        description="Records after which a data object ends. Empty means that records do not end it.",
    )
    index_timestamps: bool = Field(
        False,
        title="Index timestamps",
        description="Also stores the smallest timestamp of each frame, so that a restore of a time window reads "
        "little. The backup decodes all records for it.",
    )
    fetch_max_bytes: int = Field(
        4 << 20,
        ge=1,
        title="Fetch size",
        description="Bytes that a worker asks a broker for in one request, at most 64 MiB. Less than 1 MiB makes a "
        "backup slow.",
    )

    @property
    def fetch_bytes(self) -> int:
        """The bytes of a fetch request: `fetch_max_bytes`, but at most `LARGEST_FETCH_BYTES`, because each worker holds
        an answer in memory. With `max_bytes_per_second` also at most the bytes of one second, so that they are not sent
        all at once, but not less than `SMALL_FETCH_BYTES`, which would be slow."""
        second = max(self.max_bytes_per_second or LARGEST_FETCH_BYTES, SMALL_FETCH_BYTES)
        return min(self.fetch_max_bytes, second, LARGEST_FETCH_BYTES)

    @model_validator(mode="after")
    def _internal_topics_are_asked_for(self) -> BackupOptions:
        if self.internal_topics and not self.include_internal_topics:
            raise ValueError("internal_topics needs include_internal_topics: true")
        return self


TierClass = Literal["STANDARD_IA", "INTELLIGENT_TIERING", "ONEZONE_IA", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE"]
"""The storage classes of S3 that a lifecycle rule can move objects to. S3 moves an object only downwards in this
order."""

_TIER_CLASSES: tuple[str, ...] = get_args(TierClass)
_LEAST_DAYS = {"STANDARD_IA": 30, "ONEZONE_IA": 30}
"""S3 refuses rules that move objects to these classes earlier."""


class Tier(Options):
    """A storage class that data objects move to when they are so old."""

    model_config = ConfigDict(serialize_by_alias=True)

    after: Duration = Field(title="Age", description="Age of a data object at which it moves, in whole days: 30d, 8w.")
    storage_class: TierClass = Field(
        alias="class", title="Storage class", description="Storage class of S3 that the object moves to."
    )

    @property
    def days(self) -> int:
        """The age in days."""
        return duration_ms(self.after) // DAY_MS

    @model_validator(mode="after")
    def _is_in_days(self) -> Tier:
        if duration_ms(self.after) % DAY_MS:
            raise ValueError(f"after: {self.after} is not a number of whole days, and S3 counts days: write 30d")
        least = _LEAST_DAYS.get(self.storage_class, 1)
        if self.days < least:
            raise ValueError(f"after: {self.after} is too early, because S3 allows {self.storage_class} from {least}d")
        return self


def _check_tiers(tiers: tuple[Tier, ...]) -> tuple[Tier, ...]:
    """Return the tiers. Raises `ValueError` unless both ages and classes ascend."""
    for one, following in pairwise(tiers):
        if following.days <= one.days:
            raise ValueError(f"{following.after} follows {one.after}: each tier needs a higher age than the one before")
        if _TIER_CLASSES.index(following.storage_class) <= _TIER_CLASSES.index(one.storage_class):
            raise ValueError(
                f"{following.storage_class} follows {one.storage_class}: S3 moves objects only in the order "
                f"{', '.join(_TIER_CLASSES)}"
            )
    return tiers


_SAMPLE = r"sample ([1-9][0-9]?)%"


def _check_comparison(value: object) -> object:
    """Accepts `sample: 5%` as YAML reads it. Raises `ValueError` for another text."""
    if isinstance(value, dict) and list(value) == ["sample"]:
        value = f"sample {value['sample']}"
    if isinstance(value, str) and (value in ("full", "counts") or re.fullmatch(_SAMPLE, value)):
        return value
    raise ValueError("should be full, counts, or a sample such as 'sample 5%'")


Comparison = Annotated[str, BeforeValidator(_check_comparison)]


class OwnerCheckOption(Options):
    """A check of the owner of the data: a command or an HTTP call, with the coordinates of the scratch cluster."""

    name: str = Field(min_length=1, max_length=100, title="Name", description="The name of the check in the report.")
    command: tuple[str, ...] = Field(
        (),
        title="Command",
        description="Program and arguments. It succeeds with exit code 0. The environment has the scratch topics.",
    )
    url: str | None = Field(
        None, title="URL", description="Is called with POST and the coordinates as JSON. It succeeds with status 2xx."
    )
    timeout: Duration = Field("5m", title="Timeout", description="The check fails if it takes longer.")

    @model_validator(mode="after")
    def _is_one_of_both(self) -> OwnerCheckOption:
        if bool(self.command) == (self.url is not None):
            raise ValueError("give either a command or a url")
        return self


class RetentionPolicy(Options):
    """Which restore points are kept, and for how long, and which storage classes their data moves to. A point is kept
    if one of the rules keeps it. Days, weeks, months and years are those of UTC."""

    keep_last: int | None = Field(
        None, ge=1, title="Newest points", description="Keeps so many of the newest points that captured something."
    )
    keep_hourly: int | None = Field(
        None, ge=1, title="Hours", description="Keeps the newest point of each of the last so many hours with a point."
    )
    keep_daily: int | None = Field(
        None, ge=1, title="Days", description="Keeps the newest point of each of the last so many days with a point."
    )
    keep_weekly: int | None = Field(
        None, ge=1, title="Weeks", description="Keeps the newest point of each of the last so many weeks with a point."
    )
    keep_monthly: int | None = Field(
        None, ge=1, title="Months", description="Keeps the newest point of each of the last so many months with one."
    )
    keep_yearly: int | None = Field(
        None, ge=1, title="Years", description="Keeps the newest point of each of the last so many years with a point."
    )
    keep_within: Duration | None = Field(
        None,
        title="Within",
        description="Keeps all points that are at most this much older than the newest point: 7d, 12h.",
    )
    keep_tag: tuple[LabelRule, ...] | None = Field(
        None,
        min_length=1,
        title="Labels",
        description="Keeps all points with one of these labels: release=1.2.3, or release for any value.",
    )
    minimum_points: int = Field(
        1, ge=1, title="Fewest points", description="So many of the newest points stay, whatever the other rules say."
    )
    minimum_age: Duration | None = Field(
        None, title="Lowest age", description="A younger point stays, whatever the other rules say: 30d."
    )
    maximum_age: Duration | None = Field(
        None,
        title="Highest age",
        description="Older data leaves the set, also from points that stay: 365d. Counted from the backup's reading.",
    )
    grace: Duration = Field(
        "24h",
        title="Grace",
        description="How long an expired point can be brought back before its data is deleted.",
    )
    tiers: Annotated[tuple[Tier, ...], AfterValidator(_check_tiers)] = Field(
        (),
        exclude_if=lambda tiers: not tiers,
        title="Storage classes",
        description="Storage classes of S3 that data objects move to by their age. `kafka-backup lifecycle apply` "
        "writes the rules.",
    )

    @model_validator(mode="after")
    def _keeps_something(self) -> RetentionPolicy:
        if all(getattr(self, name) is None for name in KEEP_RULES):
            raise ValueError(f"is empty: give at least one of {', '.join(KEEP_RULES)}")
        return self

    @model_validator(mode="after")
    def _ages_are_in_order(self) -> RetentionPolicy:
        highest = duration_ms(self.maximum_age) if self.maximum_age else None
        for name in ("minimum_age", "grace"):
            lowest = getattr(self, name)
            if highest is not None and lowest is not None and duration_ms(lowest) > highest:
                raise ValueError(f"maximum_age {self.maximum_age} is shorter than {name} {lowest}")
        return self


def lock_problem(lock_ms: int | None, policy: RetentionPolicy | None) -> str | None:
    """The problem, without a full stop, if objects are locked for longer than the policy allows data to exist.
    `lock_ms` is None if nothing is locked."""
    if lock_ms is None or policy is None or policy.maximum_age is None or lock_ms <= duration_ms(policy.maximum_age):
        return None
    return (
        f"maximum_age {policy.maximum_age} is shorter than object_lock_for of the storage, so the store would not "
        "delete data when it has to be deleted: make object_lock_for shorter"
    )


KEEP_RULES = tuple(name for name in RetentionPolicy.model_fields if name.startswith("keep_"))


class ThawOptions(Options):
    """How a flow asks the store for archived objects, and how it waits for them."""

    tier: RetrievalTier = Field(
        "Standard",
        title="Retrieval",
        description="How fast S3 brings the objects back, and at which price. Bulk is slow and cheap.",
    )
    days: int = Field(
        7, ge=1, le=365, title="Days", description="How many days the objects can be read once they are back."
    )
    check_every: Duration = Field(
        "1h", title="Check every", description="How long the run waits, without a process, before it looks again."
    )
    give_up_after: Duration = Field(
        "4d", title="Give up after", description="The run fails if the objects are not back after this time."
    )

    @field_validator("check_every")
    @classmethod
    def _is_within_a_day(cls, value: str) -> str:
        if not 10_000 <= duration_ms(value) <= DAY_MS:
            raise ValueError("should be between 10s and 24h")
        return value


AccessMode = Literal["ignore", "plan", "apply"]
"""What a restore does with ACLs or quotas: nothing · show what the target lacks · add it after the verification."""


class WriteOptions(Options):
    """How a restore writes topics, their settings and group positions. The form in Prefect's UI shows the fields in
    this order: the usual ones first, and those of `RecordSelection` last."""

    topic_mapping: Annotated[dict[str, str], AfterValidator(_check_mapping)] = Field(
        default_factory=dict,
        title="Topic mapping",
        description="Target topic for each source topic. Patterns are allowed: orders-*: copy-* or ~(.*)-eu: $1. A "
        "topic that no rule matches keeps its name. Topics with the same target are written one after the other.",
    )
    consumer_group_strategy: Literal["skip", "header-based", "timestamp-based", "cluster-scan", "manual"] = Field(
        "skip",
        title="Group positions",
        description="With skip, group positions are not restored. Every other value translates them exactly.",
    )
    reset_consumer_offsets: bool = Field(
        False,
        title="Write positions",
        description="Commits the translated positions on the target. Otherwise they are only shown.",
    )
    consumer_groups: tuple[str, ...] | None = Field(
        None, min_length=1, title="Groups", description="Groups whose positions are translated. Empty means all groups."
    )
    source_partitions: tuple[PartitionNumber, ...] | None = Field(
        None,
        min_length=1,
        title="Source partitions",
        description="Numbers of the partitions to restore. Empty means all partitions.",
    )
    partition_mapping: dict[PartitionNumber, PartitionNumber] = Field(
        default_factory=dict,
        exclude_if=lambda mapping: not mapping,
        title="Partition mapping",
        description="Target partition for each source partition, of all topics. A partition that is not named keeps "
        "its number. Partitions with the same target are written one after the other.",
    )
    topic_ids: dict[TopicName, str] = Field(
        default_factory=dict,
        exclude_if=lambda ids: not ids,
        title="Topic ids",
        description="Which topic to restore if the point has several of one name, because it was deleted and created "
        "again: the id that a refusal lists.",
    )
    order: tuple[TopicPattern, ...] = Field(
        (),
        exclude_if=lambda patterns: not patterns,
        title="Order",
        description="Source topics that are restored first: names or patterns, the most important first. The others "
        "follow.",
    )
    topic_configs: Literal["apply", "validate", "ignore"] = Field(
        "apply",
        title="Topic settings",
        description="With apply, target topics get the settings of the backup. With validate, they are only compared.",
    )
    finalize: Literal["apply", "defer"] | None = Field(
        None,
        title="Finalize",
        description="When topics get their retention back: at once with apply, later with defer. Empty defers it only "
        "if it would delete restored records.",
    )
    acls: AccessMode = Field(
        "ignore",
        exclude_if=lambda mode: mode == "ignore",
        title="ACLs",
        description="With plan, the ACLs of the backup that the target lacks are shown. With apply, they are also "
        "added. Nothing is removed.",
    )
    quotas: AccessMode = Field(
        "ignore",
        exclude_if=lambda mode: mode == "ignore",
        title="Client quotas",
        description="With plan, the quotas of the backup that the target lacks are shown. With apply, they are also "
        "set. Other values of the target stay.",
    )
    create_topics: bool = Field(
        True, title="Create topics", description="Creates target topics that do not exist. Otherwise they are refused."
    )
    default_replication_factor: int | None = Field(
        None,
        ge=1,
        le=32_767,
        title="Replication factor",
        description="Replication factor of created topics. Empty means that of the source topic.",
    )
    purge_topics: bool = Field(
        False,
        title="Purge topics",
        description="Deletes all records of existing target topics before the restore. It must be confirmed.",
    )
    dry_run: bool = Field(False, title="Dry run", description="Plans and checks the restore, and changes nothing.")
    max_concurrent_partitions: int = Field(
        4, ge=1, le=64, title="Workers", description="Number of partitions that are written at the same time."
    )
    rate_limit_bytes_per_sec: WrittenBytesPerSecond = None
    rate_limit_records_per_sec: WrittenRecordsPerSecond = None
    produce_timeout_ms: int = Field(
        30_000,
        ge=1_000,
        le=3_600_000,
        title="Produce timeout",
        description="Milliseconds in which a broker must acknowledge written records.",
    )
    verify: Literal["counts"] = Field(
        "counts",
        title="Verify",
        description="After the restore, compares the counts and bounds of every partition, and its first and last "
        "records.",
    )

    @field_validator("reset_consumer_offsets")
    @classmethod
    def _has_positions(cls, value: bool, info: ValidationInfo) -> bool:
        """Raises `ValueError` with the strategy `skip`, because then no position would be written."""
        if value and info.data.get("consumer_group_strategy") == "skip":
            raise ValueError("needs a consumer_group_strategy other than 'skip'")
        return value


class RestoreOptions(RecordSelection, WriteOptions):
    """The options of a restore."""


class EvidenceOptions(Options):
    """What the report of a drill says about the organisation and the people, as it is stated here. A field that is
    empty is `unknown` in the report, with the reason that it is not configured."""

    organisation: str | None = Field(
        None, title="Organisation", description="The organisation whose backup is drilled."
    )
    environment: str | None = Field(None, title="Environment", description="The environment: production, staging.")
    business_function: str | None = Field(
        None, title="Business function", description="The function of the business that needs the data."
    )
    criticality: str | None = Field(
        None, title="Criticality", description="How critical this function is, in your own terms."
    )
    policy_id: str | None = Field(None, title="Policy", description="The id of the policy that asks for the drill.")
    policy_version: str | None = Field(None, title="Policy version", description="The version of this policy.")
    requested_by: str | None = Field(
        None, title="Requested by", description="Who has asked for the drill. It is not checked."
    )
    approved_by: str | None = Field(
        None, title="Approved by", description="Who has approved the drill. It is not checked."
    )
    reviewed_by: str | None = Field(None, title="Reviewed by", description="Who reviews the report. It is not checked.")
    ticket: str | None = Field(None, title="Ticket", description="The ticket or change of the drill.")
    account: str | None = Field(
        None, title="Account", description="The account of the scratch cluster, apart from that of the source."
    )
    network: str | None = Field(
        None, title="Network", description="The network of the scratch cluster, apart from that of the source."
    )
    identity: str | None = Field(
        None, title="Identity", description="The identity with which the drill runs, apart from that of the backup."
    )
    region: str | None = Field(None, title="Region", description="The region of the store.")
    copy_used: str | None = Field(
        None, title="Copy used", description="Which copy of the backup was used, if there are several."
    )
    kept: str | None = Field(None, title="Kept", description="How long reports are kept, in words.")
    controls: dict[str, tuple[str, ...]] = Field(
        default_factory=dict,
        title="Controls",
        description="For each control of your standards the parts of the report that serve it.",
    )


class DrillOptions(Options):
    """What a restore drill restores, how it compares, and its objectives. The form in Prefect's UI shows the fields in
    this order: the usual ones first."""

    point: Literal["latest", "random", "oldest", "tiers"] = Field(
        "latest",
        title="Point",
        description="The restore point that is drilled: the latest, one at random, the oldest. With tiers each drill "
        "takes the next of: the newest point, and the newest of the last earlier day, week, month and year.",
    )
    within: Duration | None = Field(
        None, title="Within", description="For random, oldest and tiers: only points that are at most so old. 30d."
    )
    topics: TopicSelection = Field(
        TopicSelection(), title="Topics", description="The topics of the point that are restored. Empty means all."
    )
    sample_topics_percent: int | None = Field(
        None,
        ge=1,
        le=100,
        title="Share of topics",
        description="Percentage of the selected topics that is drawn for each drill. Empty means all of them.",
    )
    always_include: tuple[TopicName, ...] = Field(
        (), title="Always included", description="Selected topics that are restored in each drill, whatever is drawn."
    )
    compare: Comparison = Field(
        "full",
        title="Compare",
        description="With full all records are compared, with sample 5% a share of them, with counts their number.",
    )
    rto: Duration | None = Field(
        None, title="RTO", description="Longest time until data and group positions are ready: 30m. Empty means none."
    )
    rpo: Duration | None = Field(
        None, title="RPO", description="Highest age of the newest point when the drill starts: 1h. Empty means none."
    )
    every: Duration | None = Field(
        None, title="Every", description="How often a drill is due, for the register of reports: 7d."
    )
    scratch_prefix: str = Field(
        "",
        pattern=r"^[A-Za-z0-9._-]{0,100}$",
        title="Scratch prefix",
        description="Beginning of the names of scratch topics and groups, for permissions by prefix.",
    )
    default_replication_factor: int | None = Field(
        None,
        ge=1,
        le=32_767,
        title="Replication factor",
        description="Replication factor of scratch topics. Empty means that of the source topic.",
    )
    max_concurrent_partitions: int = Field(
        4, ge=1, le=64, title="Workers", description="Number of partitions that are restored and compared at a time."
    )
    rate_limit_bytes_per_sec: WrittenBytesPerSecond = None
    rate_limit_records_per_sec: WrittenRecordsPerSecond = None
    checks: tuple[OwnerCheckOption, ...] = Field(
        (),
        title="Checks",
        description="Commands or HTTP calls that look at the restored topics. Each has to succeed.",
    )
    evidence: EvidenceOptions = Field(
        EvidenceOptions(), title="Evidence", description="What the report says about the organisation and the people."
    )

    @property
    def compare_level(self) -> Literal["full", "sample", "counts"]:
        """The kind of comparison."""
        if self.compare.startswith("sample"):
            return "sample"
        return "full" if self.compare == "full" else "counts"

    @property
    def sample_percent(self) -> int:
        """The share of the records whose contents are compared, in percent."""
        found = re.fullmatch(_SAMPLE, self.compare)
        if found is not None:
            return int(found[1])
        return 100 if self.compare == "full" else 0
