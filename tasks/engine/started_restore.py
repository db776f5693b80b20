"""A restore whose plan is stored, with the data that its steps read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tasks.engine.options import RestoreOptions
from tasks.engine.rate_limit import NO_LIMIT, WriteLimit
from tasks.engine.record_filter.record_filter import KEEPS_ALL, RecordFilter
from tasks.model.partition import Partition
from tasks.repository.frame_reader import FrameReader
from tasks.repository.lines import IndexLine
from tasks.repository.restores import RestorePlan
from tasks.repository.state_objects import GroupsState


@dataclass(frozen=True, slots=True, kw_only=True)
class StartedRestore:
    """The plan of a restore and the data that it restores. Make one for each process, because its reader caches packed
    objects for all threads. `lines` are the counting lines of each source partition. `groups` is None if the point has
    no positions. `limit` is shared by all threads that write for the restore. A partition that is not in `filters` has
    no filter. `is_replayed`: it is recorded that all records are written."""

    plan: RestorePlan
    lines: Mapping[Partition, Sequence[IndexLine]]
    groups: GroupsState | None
    reader: FrameReader
    limit: WriteLimit = NO_LIMIT
    filters: Mapping[Partition, RecordFilter] = field(default_factory=dict)
    is_replayed: bool = False

    def filter_of(self, source: Partition) -> RecordFilter:
        """The filter for the records of a source partition."""
        return self.filters.get(source, KEEPS_ALL)

    @property
    def options(self) -> RestoreOptions:
        """The options that the restore was started with."""
        return RestoreOptions.model_validate(self.plan.options)
