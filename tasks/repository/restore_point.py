"""A restore point that is open: its log entry, and what the entry names, read when it is first needed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from tasks.model.partition import Partition
from tasks.repository.entries import PointEntry
from tasks.repository.lines import IndexLine
from tasks.repository.partition_table import Row, read_table
from tasks.repository.points import read_lines
from tasks.repository.state_objects import GroupsState, TopicsState, read_state
from tasks.store.protocol import ObjectStore


@dataclass(frozen=True)
class RestorePoint:
    """One point of a set. Every property reads its objects once and keeps them; each may raise `DamagedError`."""

    store: ObjectStore
    entry: PointEntry

    @property
    def name(self) -> str:
        """As commands print and take it: `set@17`."""
        return f"{self.entry.set}@{self.entry.seq}"

    @property
    def set_name(self) -> str:
        """The backup set."""
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
        """Topics with their settings, and ACLs."""
        return read_state(self.store, self.entry.topics, TopicsState)

    @cached_property
    def groups(self) -> GroupsState | None:
        """Consumer groups with their positions; None when the point has none (`entry.groups_failure` may say why)."""
        return read_state(self.store, self.entry.groups, GroupsState) if self.entry.groups else None

    def lines(self, rows: Iterable[Row]) -> Mapping[Partition, Sequence[IndexLine]]:
        """For each row the lines that count for it, in offset order, disjoint, clipped to the row's [first, next)."""
        return read_lines(self.store, self.entry, rows)
