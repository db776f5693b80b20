"""The plan of a run: the ranges that it reads. Written once, before the first byte is read."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tasks.model.errors import DamagedError, ObjectExistsError
from tasks.repository.compressed_objects import StoredRef
from tasks.repository.document import FORMAT_MAJOR, Document, PartitionDocument
from tasks.repository.names import plan_key
from tasks.repository.sealed_objects import get_sealed, put_sealed
from tasks.store.protocol import ObjectStore


class PlannedPartition(PartitionDocument):
    """The range [start, end) of one partition. `bytes` is an estimate of its size on the broker, for balancing the
    bins. `leader_epoch` is the partition's when the run was planned; the document has it only if it is known."""

    start: int
    end: int
    high_watermark: int | None = None
    leader_epoch: int | None = Field(None, exclude_if=lambda epoch: epoch is None)
    bytes: int = 0


class PlanFailure(PartitionDocument):
    """A partition that could not be planned, with the reason. The run leaves it out."""

    reason: str


class Plan(Document):
    """One attempt to make the next point of a set.

    `bins` divide the indexes of `partitions`; a bin is the work of one task. `based_on` is the seq of the newest point
    when the plan was made. `begun_after` is the seq of the log's newest entry when the run began, None if it is not
    known: the run was closed later, or not at all. `groups` is None if the run was not configured to keep positions, or
    if they could not be read; `groups_failure` then contains the reason. `denied` are the reasons for everything that
    is missing because a permission is missing. `not_selected` are the topics of the newest point that the run does not
    select.
    """

    format: int = FORMAT_MAJOR
    repository_id: str
    set: str
    run: str
    kind: Literal["snapshot"]
    cluster_id: str
    cluster_label: str | None = None
    planned_ms: int
    based_on: int | None = None
    begun_after: int | None = None
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
    not_selected: tuple[str, ...] = ()
    tool: str

    @property
    def topic_names(self) -> frozenset[str]:
        """The topics that the run reads, or would read if none of their partitions had failed."""
        return frozenset(part.topic for part in (*self.partitions, *self.failures))


def write_plan(store: ObjectStore, plan: Plan) -> Plan:
    """Store the plan of a run, and return it. If the run already has a plan, that plan is kept and returned."""
    try:
        put_sealed(store, plan_key(plan.set, plan.run), plan)
    except ObjectExistsError:
        return read_plan(store, plan.set, plan.run)
    return plan


def read_plan(store: ObjectStore, set_name: str, run: str) -> Plan:
    """The plan of a run. Raises `DamagedError` if it is missing, damaged or the plan of another run, and
    `UnsupportedError` if a later version wrote it."""
    key = plan_key(set_name, run)
    plan = get_sealed(store, key, Plan)
    if (plan.set, plan.run) != (set_name, run):
        raise DamagedError(f"{key} is another run's plan", key=key)
    return plan
