"""The plan of a run: the ranges that it reads. Written once, before the first byte is read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from tasks.model.errors import DamagedError, ObjectExistsError, ObjectNotFoundError
from tasks.repository.compressed_objects import StoredRef
from tasks.repository.document import FORMAT_MAJOR, Document, PartitionDocument
from tasks.repository.entries import PointKind, is_empty
from tasks.repository.lines import IndexLine
from tasks.repository.names import plan_key
from tasks.repository.sealed_objects import get_sealed, put_sealed
from tasks.store.protocol import ObjectStore

StartKind = Literal["log_start", "stored", "truncated", "unconfirmed"]
"""Where a planned range begins: at the log start · at the stored offset · where the log has another lineage than the
log that was read · at the log start, because the stored offset could not be confirmed."""

EndReason = Literal["deleted", "created again", "not selected"]
"""Why an incremental run ends an incarnation."""


def _is_default(value: object) -> bool:
    """Whether a member is left out of the stored document. Members that most plans do not need are written only if they
    differ from their default, because plans can be large."""
    return value in (None, "log_start", (), {})


class PlannedPartition(PartitionDocument):
    """The range [start, end) of one partition. `bytes` is an estimate of its size on the broker, for balancing the
    bins. `leader_epoch` is the partition's when the run was planned; the document has it only if it is known.

    `stored_next` is the `next` of the partition's row in the newest point, where an incremental run continues. None if
    the run reads the partition whole. `start_epoch` is the leader epoch of the batch before `start`, if it is known.
    `open_producer` is the producer whose open transaction holds the end back, and `open_last_ms` the timestamp of its
    last record, if both are known.
    """

    start: int
    end: int
    high_watermark: int | None = None
    leader_epoch: int | None = Field(None, exclude_if=lambda epoch: epoch is None)
    bytes: int = 0
    stored_next: int | None = Field(None, exclude_if=_is_default)
    start_epoch: int | None = Field(None, exclude_if=_is_default)
    start_kind: StartKind = Field("log_start", exclude_if=_is_default)
    open_producer: int | None = Field(None, exclude_if=_is_default)
    open_last_ms: int | None = Field(None, exclude_if=_is_default)

    def includes(self, line: IndexLine) -> bool:
        """Whether a line of this partition is inside the range."""
        return self.start <= line.first and line.next <= self.end


class PlanFailure(PartitionDocument):
    """A partition that could not be planned, with the reason. The run leaves it out."""

    reason: str


class EndedPartition(PartitionDocument):
    """A live partition of the newest point that an incremental run does not read any more, and why."""

    reason: EndReason


class Plan(Document):
    """One attempt to make the next point of a set.

    The plan of a snapshot contains every partition. The plan of an incremental run contains those whose row changes,
    and the plan of a consolidation the stored ranges that it copies. `max_bytes_per_second` limits what each process
    of the run reads. `index_timestamps`: the smallest timestamp of each frame is stored. `bins` divide the indexes of
    the partitions to read; a bin is the work of one task. `based_on` is the seq of the newest point when the plan was
    made. `begun_after` is the seq of the log's newest entry when the run began, None if it is not known: the run was
    closed later, or not at all. `groups` is None if the run was not configured to keep positions, or if they could not
    be read; `groups_failure` then contains the reason. `clients` is None if the run was not configured to keep quotas
    and users. `denied` are the reasons for everything that is missing because a permission is missing. `not_selected`
    are the topics of the newest point that the run does not select. `warnings` are sentences about what a restore of
    the point has to know, of a consolidation about what it leaves as it is. `notes` are sentences about patterns of the
    topic selection, and about quotas or users that could not be read. `labels` are those of the new point.
    """

    format: int = FORMAT_MAJOR
    repository_id: str
    set: str
    run: str
    kind: PointKind
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
    max_bytes_per_second: int | None = Field(None, exclude_if=_is_default)
    index_timestamps: bool = Field(False, exclude_if=is_empty)
    partitions: tuple[PlannedPartition, ...]
    bins: tuple[tuple[int, ...], ...]
    failures: tuple[PlanFailure, ...] = ()
    ended: tuple[EndedPartition, ...] = Field((), exclude_if=_is_default)
    warnings: tuple[str, ...] = Field((), exclude_if=_is_default)
    topics: StoredRef
    groups: StoredRef | None = None
    groups_failure: str | None = None
    clients: StoredRef | None = Field(None, exclude_if=_is_default)
    denied: tuple[str, ...] = ()
    not_selected: tuple[str, ...] = ()
    notes: tuple[str, ...] = Field((), exclude_if=_is_default)
    labels: dict[str, str] = Field(default_factory=dict, exclude_if=_is_default)
    tool: str

    @property
    def states(self) -> Iterator[StoredRef]:
        """The references to the state objects that the plan names."""
        return (ref for ref in (self.topics, self.groups, self.clients) if ref is not None)


def write_plan(store: ObjectStore, plan: Plan) -> Plan:
    """Store the plan of a run, and return it. If the run already has a plan, that plan is kept and returned."""
    try:
        put_sealed(store, plan_key(plan.set, plan.run), plan)
    except ObjectExistsError:
        return read_plan(store, plan.set, plan.run)
    return plan


def find_plan(store: ObjectStore, set_name: str, run: str) -> Plan | None:
    """The plan of a run, None if it has none. Raises what `read_plan` raises."""
    try:
        store.head(plan_key(set_name, run))
    except ObjectNotFoundError:
        return None
    return read_plan(store, set_name, run)


def read_plan(store: ObjectStore, set_name: str, run: str) -> Plan:
    """The plan of a run. Raises `DamagedError` if it is missing, damaged or the plan of another run, and
    `UnsupportedError` if a later version wrote it."""
    key = plan_key(set_name, run)
    plan = get_sealed(store, key, Plan)
    if (plan.set, plan.run) != (set_name, run):
        raise DamagedError(f"{key} is another run's plan", key=key)
    return plan
