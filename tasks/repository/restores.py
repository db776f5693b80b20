"""The stored documents of a restore under `restores/{id}/`: its plan, its targets, and the steps that it completed."""

from __future__ import annotations

from typing import Literal, TypeVar

from pydantic import Field

from tasks.model.errors import DamagedError, NotFoundError, ObjectExistsError
from tasks.model.partition import Partition
from tasks.repository.document import FORMAT_MAJOR, Document, PartitionDocument
from tasks.repository.drops import Drop
from tasks.repository.entries import is_absent, is_empty
from tasks.repository.names import RESTORES, restore_key, restore_part
from tasks.repository.sealed_objects import find_sealed, put_sealed
from tasks.store.protocol import ObjectStore

Step = Literal["replayed", "verified", "groups", "access", "settings", "finalized", "abandoned"]
"""The steps that are recorded when they are completed, in order. `finalized` and `abandoned` end a restore."""


class SelectedRecords(Document):
    """What the rules of a restore keep of a partition and leave out. `until` is the offset at which its restore ends,
    by `until_offset` or by a mark. `left_out` and `selected` are numbers of records by the name of the rule.

    `oldest_ms` and `newest_ms` are the timestamps of restored records, None if there are none. Unless
    `has_exact_times`, they are those of the index: the oldest record can be older, and both can be of an aborted one.
    `odd_times` are numbers of records, restored or left out, whose timestamps make no sense, by the kind; unless
    `has_exact_odd_times`, there can be more. `decoded_log_bytes` were read to count the records."""

    until: int | None = Field(None, exclude_if=is_absent)
    left_out: dict[str, int] = Field(default_factory=dict, exclude_if=is_empty)
    selected: dict[str, int] = Field(default_factory=dict, exclude_if=is_empty)
    oldest_ms: int | None = None
    newest_ms: int | None = None
    has_exact_times: bool = True
    odd_times: dict[str, int] = Field(default_factory=dict, exclude_if=is_empty)
    has_exact_odd_times: bool = True
    decoded_log_bytes: int = 0


class PartitionCopy(PartitionDocument):
    """One source partition and its target. `records` are the records to restore, `log_bytes` the bytes of the source's
    batches. `section_records` are the records to restore of each section, if the index does not show them. `selection`
    is None if the restore has no rules about records."""

    target_topic: str
    target_partition: int
    records: int
    log_bytes: int
    section_records: tuple[int, ...] = Field((), exclude_if=is_empty)
    selection: SelectedRecords | None = Field(None, exclude_if=is_absent)


class TopicCopy(Document):
    """One target topic. It gets the settings of the source `topic`, and also the records of `other_topics`. `settings`
    are its settings after the restore, `staging` its settings during the replay, and
    `original` the settings that an existing topic had before. `deferred` are the names of those settings that would
    delete restored records. They wait for `finalize`, unless the restore was configured to apply them."""

    topic: str
    topic_id: str
    other_topics: tuple[str, ...] = Field((), exclude_if=is_empty)
    target: str
    partitions: int
    replication_factor: int
    exists: bool
    target_id: str | None = None
    settings: dict[str, str]
    staging: dict[str, str]
    original: dict[str, str]
    deferred: tuple[str, ...] = ()
    is_purged: bool = False


class TopicPatterns(Document):
    """The topics of a restore as they were asked for: names and patterns to include and to exclude."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


class RestorePlan(Document):
    """The plan of a restore, written before anything on the cluster changes. `options` are the options of the restore
    as they were given. `drops` are those that concerned the point when the plan was made: what was dropped later
    is restored too, because the restore pins its point. `selection` are the topics as they were asked for, so that the
    same request is recognized later; None if an earlier version made the plan."""

    format: int = FORMAT_MAJOR
    repository_id: str
    restore: str
    set: str
    point: int
    created_ms: int
    cluster_id: str
    options: dict[str, object]
    regroup_bytes: int
    topics: tuple[TopicCopy, ...]
    partitions: tuple[PartitionCopy, ...]
    bins: tuple[tuple[int, ...], ...]
    drops: tuple[Drop, ...] = Field((), exclude_if=is_empty)
    selection: TopicPatterns | None = Field(None, exclude_if=lambda selection: selection is None)
    tool: str


class TargetPartition(Document):
    """A target partition, and the offset at which the first restored record of a source partition is written.
    `written_before` are the records that other source partitions write before it."""

    topic: str
    topic_id: str
    partition: int
    base: int
    written_before: int = Field(0, exclude_if=lambda records: records == 0)

    @property
    def target(self) -> Partition:
        """The partition of the target cluster."""
        return Partition(self.topic, self.topic_id, self.partition)


class Targets(Document):
    """The targets of a restore, written after the topics exist and before the first record is sent. They fix the
    topics' ids, the base offsets and the producer id, so that the broker recognizes a late request of a dead client as
    a duplicate and does not append it twice. `partitions` are in the order of the plan's `partitions`."""

    format: int = FORMAT_MAJOR
    restore: str
    producer_id: int
    producer_epoch: int
    partitions: tuple[TargetPartition, ...]


def planned_bounds(plan: RestorePlan, targets: Targets) -> dict[Partition, tuple[int, int]]:
    """(base, end) of each target partition: the offsets at which its first restored record is and its last one ends.
    Several source partitions can have one target partition. Pure."""
    bounds: dict[Partition, tuple[int, int]] = {}
    for copy, target in zip(plan.partitions, targets.partitions, strict=True):
        base, _ = bounds.get(target.target, (target.base, target.base))
        bounds[target.target] = (base, target.base + copy.records)
    return bounds


class StepDone(Document):
    """A completed step of a restore, with its result in `report`."""

    format: int = FORMAT_MAJOR
    restore: str
    step: str
    time_ms: int
    report: dict[str, object]


PartT = TypeVar("PartT", RestorePlan, Targets, StepDone)


def write_part(store: ObjectStore, restore: str, part: str, document: RestorePlan | Targets | StepDone) -> None:
    """Store a part of a restore. `part` is `plan`, `targets` or a step's name. Raises `ObjectExistsError` if the part
    exists."""
    put_sealed(store, restore_key(restore, part), document)


def record_step(store: ObjectStore, done: StepDone) -> None:
    """Record a completed step. If the step is recorded already, the stored record is kept."""
    try:
        write_part(store, done.restore, done.step, done)
    except ObjectExistsError:
        return


def read_part(store: ObjectStore, restore: str, part: str, kind: type[PartT]) -> PartT | None:
    """A part of a restore, or None if it does not exist. Raises `DamagedError` with its key if it is damaged or belongs
    to another restore, and `UnsupportedError` if a later version wrote it."""
    key = restore_key(restore, part)
    document = find_sealed(store, key, kind)
    if document is not None and document.restore != restore:
        raise DamagedError(f"{key} belongs to another restore", key=key)
    return document


def read_restore_plan(store: ObjectStore, restore: str) -> RestorePlan:
    """The plan of a restore. Raises `NotFoundError` if there is no such restore, and what `read_part` raises."""
    plan = read_part(store, restore, "plan", RestorePlan)
    if plan is None:
        raise NotFoundError(
            f"There is no restore {restore!r} at {store.location}; `kafka-backup list --restores` shows the others."
        )
    return plan


def restore_ids(store: ObjectStore) -> list[str]:
    """The ids of all restores that have a plan, oldest first."""
    return list(restore_parts(store))


def restore_parts(store: ObjectStore) -> dict[str, set[str]]:
    """The restores that have a plan, oldest first, each with the names of its parts. They come from one listing of
    `restores/`, which can miss the newest writes."""
    parts: dict[str, set[str]] = {}
    for info in store.list(RESTORES):
        restore, part = restore_part(info.key)
        parts.setdefault(restore, set()).add(part)
    return {restore: names for restore, names in parts.items() if "plan" in names}
