"""A run's plan: what it will read, fixed before the first byte and written once."""

from __future__ import annotations

from tasks.model.errors import DamagedError, ObjectExistsError, ObjectNotFoundError
from tasks.model.partition import Partition
from tasks.repository.document import FORMAT_MAJOR, Document, seal, sha256_hex, unseal
from tasks.repository.names import plan_key
from tasks.repository.stored import StoredRef
from tasks.store.protocol import ObjectStore


class PlannedPartition(Document):
    """Read [start, end) of one partition. `bytes` estimates what the broker keeps of it, for balancing."""

    topic: str
    topic_id: str
    partition: int
    start: int
    end: int
    high_watermark: int | None = None
    bytes: int = 0

    @property
    def source(self) -> Partition:
        """The partition to read."""
        return Partition(self.topic, self.topic_id, self.partition)


class PlanFailure(Document):
    """A partition that could not be planned, and why."""

    topic: str
    topic_id: str
    partition: int
    reason: str

    @property
    def source(self) -> Partition:
        """The partition that is left out."""
        return Partition(self.topic, self.topic_id, self.partition)


class Plan(Document):
    """One attempt to make the next point of a set. `bins` partition the indexes of `partitions`; a bin is one task's
    work. `based_on` is the newest point's seq when the plan was made. `groups` is None with `groups_failure` when
    the positions could not be read, and without it when they were not asked for. `denied` says which of what is missing
    the user was not allowed to read."""

    format: int = FORMAT_MAJOR
    repository_id: str
    set: str
    run: str
    kind: str
    cluster_id: str
    cluster_label: str | None = None
    planned_ms: int
    based_on: int | None = None
    compression: str
    compression_level: int
    object_log_bytes: int
    object_records: int | None = None
    fetch_bytes: int
    partitions: tuple[PlannedPartition, ...]
    bins: tuple[tuple[int, ...], ...]
    failures: tuple[PlanFailure, ...] = ()
    topics: StoredRef
    groups: StoredRef | None = None
    groups_failure: str | None = None
    denied: tuple[str, ...] = ()
    tool: str


def write_plan(store: ObjectStore, plan: Plan) -> Plan:
    """Store the plan; a run that already has one keeps it. Returns the plan that counts."""
    data = seal(plan.to_json())
    try:
        store.put_if_absent(plan_key(plan.set, plan.run), [data], sha256=sha256_hex(data))
    except ObjectExistsError:
        return read_plan(store, plan.set, plan.run)
    return plan


def read_plan(store: ObjectStore, set_name: str, run: str) -> Plan:
    """Raises `DamagedError` when it is damaged, missing or another run's."""
    key = plan_key(set_name, run)
    try:
        data, _ = store.get(key)
    except ObjectNotFoundError:
        raise DamagedError(f"{key} is missing", key=key) from None
    plan = Plan.from_json(unseal(data, key=key), key=key)
    if (plan.set, plan.run) != (set_name, run):
        raise DamagedError(f"{key} is another run's plan", key=key)
    return plan
