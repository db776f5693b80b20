"""A repository that is open: its store, its identity, and its sets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from tasks.model.errors import NotFoundError
from tasks.repository.names import SETS, check_set_name, log_prefix, new_id
from tasks.repository.points import PointReference, choose_point
from tasks.repository.restore_point import RestorePoint
from tasks.repository.root import Root, open_or_create_root, read_root
from tasks.repository.set_log import SetLog
from tasks.repository.set_state import SetState
from tasks.store.protocol import ObjectStore


@cache
def tool_name() -> str:
    """The name and version of this program, as documents state them."""
    try:
        return f"prefect-kafka-backup {version('prefect-kafka-backup')}"
    except PackageNotFoundError:
        return "prefect-kafka-backup"


@dataclass(frozen=True, slots=True)
class Repository:
    """One storage prefix with its identity. `now_ms` is the clock that stamps what is written.

    `restore_store` is another place for the records of restores, for a repository that is full or cannot be written to.
    """

    store: ObjectStore
    root: Root
    now_ms: Callable[[], int]
    restore_store: ObjectStore | None = None

    @property
    def restore_state(self) -> ObjectStore:
        """The store with the plans, targets, steps and leases of restores."""
        return self.store if self.restore_store is None else self.restore_store

    @classmethod
    def open(cls, store: ObjectStore, now_ms: Callable[[], int]) -> Repository:
        """Raises `NotFoundError` when there is none, `DamagedError` when its root is lost or damaged."""
        return cls(store, read_root(store), now_ms)

    @classmethod
    def open_or_create(cls, store: ObjectStore, now_ms: Callable[[], int]) -> Repository:
        """Open it, or create it in an empty prefix; refuses a store that ignores write conditions."""
        return cls(store, open_or_create_root(store, now_ms=now_ms(), tool=tool_name()), now_ms)

    def log(self, set_name: str) -> SetLog:
        """The log of a set, whether it has entries or not. Raises `ConfigError` for a name no set can have."""
        return SetLog(self.store, self.root.repository_id, check_set_name(set_name))

    def set_names(self) -> list[str]:
        """The names of all sets that have a log, in order. One listing of folders, and one request for each set: the
        number of requests does not grow with the history of the sets."""
        return [name for name in self.store.list_folders(SETS) if self._has_log(name)]

    def state(self, set_name: str) -> SetState:
        """The state of a set. Raises `NotFoundError` when it has no entry."""
        state = self.log(set_name).state()
        if state.seq == 0:
            raise NotFoundError(f"There is no backup set {set_name!r} at {self.store.location}.")
        return state

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

    def point(self, reference: PointReference) -> RestorePoint:
        """The point that a reference means. Raises `NotFoundError` when the set has no such live point."""
        seq = choose_point(self.state(reference.set_name), reference)
        return self.log(reference.set_name).point(seq)

    def _has_log(self, set_name: str) -> bool:
        """Also if the first entries of the log are lost."""
        return next(iter(self.store.list(log_prefix(set_name))), None) is not None
