"""An open repository: its store, its identity, and its sets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from tasks.model.errors import NotFoundError
from tasks.repository.freeze import find_freeze, frozen_error
from tasks.repository.names import SETS, check_set_name, log_prefix, new_id
from tasks.repository.points import PointReference, choose_point
from tasks.repository.restore_point import RestorePoint
from tasks.repository.root import Root, open_or_create_root, read_root, single_writer_note
from tasks.repository.set_log import SetLog
from tasks.repository.set_state import Freeze, SetState
from tasks.store.protocol import ObjectStore, OnNote


@cache
def tool_name() -> str:
    """The name and version of this program, as documents state them."""
    try:
        return f"prefect-kafka-backup {version('prefect-kafka-backup')}"
    except PackageNotFoundError:
        return "prefect-kafka-backup"


@dataclass(frozen=True, slots=True)
class Repository:
    """An open repository. `now_ms` returns Unix milliseconds; all times in stored documents come from it.

    `restore_store` is another place for the records of restores, for a repository that is full or cannot be written to.
    """

    store: ObjectStore
    root: Root
    now_ms: Callable[[], int]
    restore_store: ObjectStore | None = None
    _known_states: dict[str, SetState] = field(default_factory=dict, compare=False, repr=False)
    _known_points: dict[str, RestorePoint] = field(default_factory=dict, compare=False, repr=False)

    @property
    def restore_state(self) -> ObjectStore:
        """The store with the plans, targets, steps and leases of restores."""
        return self.store if self.restore_store is None else self.restore_store

    @classmethod
    def open(cls, store: ObjectStore, now_ms: Callable[[], int]) -> Repository:
        """Open an existing repository. Raises `NotFoundError` if there is none, `DamagedError` if its root is missing
        or damaged, and `UnsupportedError` for a newer format."""
        return cls._opened(store, read_root(store), now_ms)

    @classmethod
    def open_or_create(cls, store: ObjectStore, now_ms: Callable[[], int]) -> Repository:
        """Open the repository, or create it if there is none. Raises `ConfigError` for a store that ignores write
        conditions or shows writes late, and otherwise what `open` raises."""
        return cls._opened(store, open_or_create_root(store, now_ms=now_ms(), tool=tool_name()), now_ms)

    @classmethod
    def _opened(cls, store: ObjectStore, root: Root, now_ms: Callable[[], int]) -> Repository:
        if root.single_writer:
            store.write_alone()
        return cls(store, root, now_ms)

    @property
    def note(self) -> str | None:
        """What an operator has to know about the whole repository, or None."""
        return single_writer_note(self.store)

    def noted(self, on_note: OnNote | None) -> Repository:
        """This repository, after `on_note` was called with the note if there is one."""
        if self.note is not None and on_note is not None:
            on_note(self.note)
        return self

    def log(self, set_name: str) -> SetLog:
        """The log of a set, also if it has no entry. Raises `ConfigError` for a name that a set cannot have."""
        return SetLog(
            self.store, self.root.repository_id, check_set_name(set_name), self._known_states, self._known_points
        )

    def set_names(self) -> list[str]:
        """The names of all sets that have a log, in order. Takes one listing of folders and one request for each set,
        however long the sets' histories are."""
        return [name for name in self.store.list_folders(SETS) if self._has_log(name)]

    def state(self, set_name: str) -> SetState:
        """The state of a set. Raises `NotFoundError` if the set has no entry, and what `SetLog.state` raises."""
        state = self.log(set_name).state()
        if state.seq == 0:
            raise self.no_set(set_name)
        return state

    def no_set(self, set_name: str) -> NotFoundError:
        """The error for a set that has no entry."""
        return NotFoundError(
            f"There is no backup set {set_name!r} at {self.store.location}. `kafka-backup list` shows the sets."
        )

    def freeze(self, set_name: str | None = None) -> Freeze | None:
        """The freeze that is in force for a set, or for any set of the repository. None if there is none. Raises what
        `SetLog.state` raises."""
        found = find_freeze(self.store)
        if found is not None:
            return found
        names = self.set_names() if set_name is None else [set_name]
        return next(filter(None, (self.log(name).state().frozen for name in names)), None)

    def require_not_frozen(self, set_name: str | None = None) -> None:
        """Call it before anything is deleted or a protection is lowered: for a set, or for the whole repository. Raises
        `RefusedError` if it is frozen, and what `freeze` raises."""
        freeze = self.freeze(set_name)
        if freeze is not None:
            raise frozen_error(freeze)

    def next_entry(self, set_name: str, state: SetState) -> dict[str, Any]:
        """The members that every entry following `state` has, except `newest_point`."""
        return {
            "seq": state.seq + 1,
            "id": new_id(),
            "repository_id": self.root.repository_id,
            "set": set_name,
            "parent": state.tip,
            "time_ms": self.now_ms(),
            "tool": tool_name(),
        }

    def next_change(self, set_name: str, state: SetState) -> dict[str, Any]:
        """The members that every entry following `state` has, except those of a point: the newest point stays."""
        return {**self.next_entry(set_name, state), "newest_point": state.newest_point}

    def point(self, reference: PointReference) -> RestorePoint:
        """The live point that a reference selects. Raises what `state` and `choose_point` raise."""
        seq = choose_point(self.state(reference.set_name), reference)
        return self.log(reference.set_name).point(seq)

    def _has_log(self, set_name: str) -> bool:
        """Whether the log has an entry. True also if its first entries are lost."""
        return next(iter(self.store.list(log_prefix(set_name))), None) is not None
