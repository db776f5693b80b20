"""An open restore point: its log entry, and the objects that the entry names. They are read when they are first
needed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from tasks.model.partition import Partition
from tasks.repository.drops import Drop
from tasks.repository.entries import PointEntry
from tasks.repository.partition_table import Row, read_table
from tasks.repository.point_lines import PointLines, read_lines
from tasks.repository.state_objects import ClientsState, GroupsState, TopicsState, read_state
from tasks.store.protocol import ObjectStore


@dataclass(frozen=True)
class RestorePoint:
    """One point of a set. `rows`, `topics`, `groups` and `clients` are read at the first use and kept. They raise
    `DamagedError` if an object is missing or damaged, and `UnsupportedError` if a later version wrote it.

    `drops` are the drops that concern the point, as they were when it was opened."""

    store: ObjectStore
    entry: PointEntry
    drops: tuple[Drop, ...] = ()

    @property
    def name(self) -> str:
        """The reference of the point: `set@17`."""
        return f"{self.entry.set}@{self.entry.seq}"

    @property
    def set_name(self) -> str:
        """The name of the backup set."""
        return self.entry.set

    @property
    def seq(self) -> int:
        """The number of its log entry."""
        return self.entry.seq

    @cached_property
    def rows(self) -> Mapping[Partition, Row]:
        """The partition table: one row per incarnation and partition."""
        return read_table(self.store, self.entry.table, entry_seq=self.entry.seq)

    @cached_property
    def topics(self) -> TopicsState:
        """The topics with their settings, and the ACLs."""
        return read_state(self.store, self.entry.topics, TopicsState)

    @cached_property
    def groups(self) -> GroupsState | None:
        """The groups with their positions. None if the point has none; `entry.groups_failure` is the reason if they
        could not be read."""
        return read_state(self.store, self.entry.groups, GroupsState) if self.entry.groups else None

    @cached_property
    def clients(self) -> ClientsState | None:
        """The quotas of clients and the users. None if the run was not configured to keep them."""
        return read_state(self.store, self.entry.clients, ClientsState) if self.entry.clients else None

    def lines(self, rows: Iterable[Row]) -> PointLines:
        """The lines that count for each row, in offset order, disjoint, clipped to the row's [first, next). A line
        whose data was dropped names no object, and all its offsets are a gap.

        Each call reads the index objects. The lines of a partition are parsed when they are first looked up. Raises
        what `find_lines` raises.
        """
        return read_lines(self.store, self.entry, rows, self.drops)
