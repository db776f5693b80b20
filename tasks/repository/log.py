"""A set's log: read on until there is no next entry; append by put-if-absent under the next number."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tasks.model.errors import DamagedError, NotFoundError, ObjectExistsError, ObjectNotFoundError
from tasks.repository.document import sha256_hex
from tasks.repository.entries import AnyEntry, PointEntry, decode_entry, encode_entry
from tasks.repository.hints import Head, latest_checkpoint, read_head, write_checkpoint, write_head
from tasks.repository.names import check_set_name, log_key, log_prefix
from tasks.repository.restore_point import RestorePoint
from tasks.repository.set_state import SetState, apply
from tasks.store.protocol import ObjectStore

Build = Callable[[SetState], AnyEntry]
"""Makes the next entry for the state it will follow; raises when a precondition no longer holds."""


@dataclass(frozen=True, slots=True)
class SetLog:
    """The log of one set of one repository. Holds no state between calls: every call asks the store."""

    store: ObjectStore
    repository_id: str
    set_name: str

    def __post_init__(self) -> None:
        check_set_name(self.set_name)

    def read_entry(self, seq: int) -> tuple[AnyEntry, str] | None:
        """(entry, SHA-256 of its stored bytes), or None when the log has no such entry."""
        try:
            data, _ = self.store.get(log_key(self.set_name, seq))
        except ObjectNotFoundError:
            return None
        entry = decode_entry(data, set_name=self.set_name, seq=seq, repository_id=self.repository_id)
        return entry, sha256_hex(data)

    def entries(self) -> Iterator[AnyEntry]:
        """All entries from the first one, each checked against the one before it."""
        for entry, _ in self._read_on(SetState()):
            yield entry

    def state(self) -> SetState:
        """The state now. Raises `DamagedError` when head or checkpoint are intact and contradict the log."""
        head = read_head(self.store, self.set_name)
        start = latest_checkpoint(self.store, self.set_name, head)
        self._check_checkpoint(start)
        self._check_head(head, start)
        state = start
        for _, state in self._read_on(start):
            self._check_head(head, state)
        if head is not None and head.seq > state.seq:
            key = log_key(self.set_name, state.seq + 1)
            raise DamagedError(f"{key} is missing: the head knows entry {head.seq}", key=key)
        return state

    def point(self, seq: int) -> RestorePoint:
        """The point with this number. Raises `NotFoundError` when there is none."""
        found = self.read_entry(seq)
        if found is None or not isinstance(found[0], PointEntry):
            raise NotFoundError(f"{self.set_name}@{seq} is not a restore point.")
        return RestorePoint(self.store, found[0])

    def newest_point(self) -> RestorePoint | None:
        """The newest point now; None in a set without one."""
        seq = self.state().newest_point
        return None if seq is None else self.point(seq)

    def append(self, build: Build) -> AnyEntry:
        """Append what `build` makes of the newest state.

        When another writer was faster, the state is read again and `build` decides anew. Raises whatever `build`
        raises. After `OutcomeUnknownError` call it again: `build` sees in the state whether the entry landed.
        """
        state = self.state()
        while True:
            entry = build(state)
            data, tip = encode_entry(entry)
            try:
                self.store.put_if_absent(log_key(self.set_name, entry.seq), [data], sha256=tip)
            except ObjectExistsError:
                state = self.state()
                continue
            after = apply(state, entry, tip)
            write_checkpoint(self.store, self.set_name, after)
            write_head(self.store, self.set_name, after)
            return entry

    def check_continuous(self) -> None:
        """Raises `DamagedError` when the store lists an entry beyond the end that reading found."""
        listed = [info.key for info in self.store.list(log_prefix(self.set_name))]
        end = self.state().seq  # read after the listing: a writer may have appended since
        for key in listed:
            if key > log_key(self.set_name, end):
                missing = log_key(self.set_name, end + 1)
                raise DamagedError(f"{missing} is missing, yet {key} exists", key=missing)

    def _read_on(self, state: SetState) -> Iterator[tuple[AnyEntry, SetState]]:
        while (found := self.read_entry(state.seq + 1)) is not None:
            state = apply(state, *found)
            yield found[0], state

    def _check_checkpoint(self, state: SetState) -> None:
        found = self.read_entry(state.seq) if state.seq else None
        if state.seq and (found is None or found[1] != state.tip):
            key = log_key(self.set_name, state.seq)
            raise DamagedError(f"{key} is not the entry that the checkpoint was made from", key=key)

    def _check_head(self, head: Head | None, state: SetState) -> None:
        if head is not None and head.seq == state.seq and head.entry_sha256 != state.tip:
            key = log_key(self.set_name, state.seq)
            raise DamagedError(f"{key} is not the entry that the head names", key=key)
