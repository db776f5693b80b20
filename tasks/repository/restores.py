"""What a restore writes down about itself before, while and after it changes a cluster: `restores/{id}/…`."""

from __future__ import annotations

from typing import Literal, TypeVar

from tasks.model.errors import DamagedError, NotFoundError, ObjectExistsError, ObjectNotFoundError
from tasks.model.partition import Partition
from tasks.repository.document import FORMAT_MAJOR, Document, seal, sha256_hex, unseal
from tasks.repository.names import restore_key
from tasks.store.protocol import ObjectStore

Step = Literal["replayed", "verified", "groups", "finalized"]
"""The steps that are recorded when they are done, in order."""


class PartitionCopy(Document):
    """One source partition and where it goes. `records` are restorable ones, `log_bytes` the source's batches."""

    topic: str
    topic_id: str
    partition: int
    target_topic: str
    target_partition: int
    records: int
    log_bytes: int

    @property
    def source(self) -> Partition:
        """The partition of the backup."""
        return Partition(self.topic, self.topic_id, self.partition)


class TopicCopy(Document):
    """One target topic. `settings` are what it shall have in the end; `staging` while it is replayed into; `original`
    what an existing topic had set on itself before. `deferred` are the settings whose application would delete
    restored records: they wait for `finalize` unless the restore was told to apply them."""

    topic: str
    topic_id: str
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


class RestorePlan(Document):
    """Written before anything on the cluster changes. `options` are the restore's options as given."""

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
    tool: str


class TargetPartition(Document):
    """A target partition with the offset at which its first restored record lands."""

    topic: str
    topic_id: str
    partition: int
    base: int

    @property
    def target(self) -> Partition:
        """The partition of the target cluster."""
        return Partition(self.topic, self.topic_id, self.partition)


class Targets(Document):
    """Written after the topics exist and before the first record: pins their ids, base offsets and the producer id,
    so that requests of a client that died come back as duplicates and never land twice. One per target partition,
    in the order of the plan's `partitions`."""

    format: int = FORMAT_MAJOR
    restore: str
    producer_id: int
    producer_epoch: int
    partitions: tuple[TargetPartition, ...]


class StepDone(Document):
    """A step that was carried out. `report` is what it came to."""

    format: int = FORMAT_MAJOR
    restore: str
    step: str
    time_ms: int
    report: dict[str, object]


DocumentT = TypeVar("DocumentT", RestorePlan, Targets, StepDone)


def write_part(store: ObjectStore, restore: str, part: str, document: RestorePlan | Targets | StepDone) -> None:
    """Write a part once. Raises `ObjectExistsError` when it is there already."""
    data = seal(document.to_json())
    store.put_if_absent(restore_key(restore, part), [data], sha256=sha256_hex(data))


def record_step(store: ObjectStore, done: StepDone) -> None:
    """Note that a step is done; a step that was noted before keeps its note."""
    try:
        write_part(store, done.restore, done.step, done)
    except ObjectExistsError:
        return


def read_part(store: ObjectStore, restore: str, part: str, kind: type[DocumentT]) -> DocumentT | None:
    """The part, or None when the restore has none yet. Raises `DamagedError` naming the object."""
    key = restore_key(restore, part)
    try:
        data, _ = store.get(key)
    except ObjectNotFoundError:
        return None
    document = kind.from_json(unseal(data, key=key), key=key)
    if document.restore != restore:
        raise DamagedError(f"{key} is another restore's", key=key)
    return document


def read_restore_plan(store: ObjectStore, restore: str) -> RestorePlan:
    """Raises `NotFoundError` when there is no such restore."""
    plan = read_part(store, restore, "plan", RestorePlan)
    if plan is None:
        raise NotFoundError(f"There is no restore {restore!r} at {store.location}.")
    return plan


def restore_ids(store: ObjectStore) -> list[str]:
    """The ids of all restores that have a plan, oldest first."""
    return list(restore_parts(store))


def restore_parts(store: ObjectStore) -> dict[str, set[str]]:
    """The restores that have a plan, oldest first, each with the names of its parts. One listing; it may lag behind."""
    parts: dict[str, set[str]] = {}
    for info in store.list("restores/"):
        _, restore, name = info.key.split("/", 2)
        parts.setdefault(restore, set()).add(name.removesuffix(".json"))
    return {restore: names for restore, names in parts.items() if "plan" in names}
