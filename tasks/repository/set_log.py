"""The log of a set. Readers go on until the next number has no entry. An entry is appended by put-if-absent under the
next number. Finds how a run ended, and compares the log with the head."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field, replace
from itertools import chain, count, takewhile

from tasks.model.errors import DamagedError, NotFoundError, ObjectExistsError, ObjectNotFoundError
from tasks.repository.document import sha256_hex
from tasks.repository.drops import Drop, drops_of_point
from tasks.repository.entries import (
    AnyEntry,
    DropEntry,
    ExpireEntry,
    LabelEntry,
    MarkEntry,
    PointEntry,
    ReleaseEntry,
    RemoveEntry,
    UnmarkEntry,
    VoidEntry,
    decode_entry,
    encode_entry,
)
from tasks.repository.freeze import find_freeze, frozen_error
from tasks.repository.hints import Head, latest_checkpoint, read_head, write_checkpoint, write_head
from tasks.repository.names import check_set_name, log_key, log_prefix
from tasks.repository.restore_point import RestorePoint
from tasks.repository.set_state import Fold, SetState, apply
from tasks.store.protocol import ObjectInfo, ObjectStore

Build = Callable[[SetState], AnyEntry]
"""Makes the entry that follows a state. Raises an error if a precondition does not hold."""


@dataclass(frozen=True, slots=True)
class SetLog:
    """The log of one set of one repository.

    `known` holds the newest state of each set that this process has read, and `known_points` the point that it opened
    last. Entries never change, so the next call reads only the entries that follow, and the plan and the commit of a
    run read the newest point's table once. Several logs and threads can share both.
    """

    store: ObjectStore
    repository_id: str
    set_name: str
    known: dict[str, SetState] = field(default_factory=dict, compare=False, repr=False)
    known_points: dict[str, RestorePoint] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        check_set_name(self.set_name)

    def without_memory(self) -> SetLog:
        """The same log, without the states and points that this process knows: for checks that trust only the
        store."""
        return replace(self, known={}, known_points={})

    def read_entry(self, seq: int) -> tuple[AnyEntry, str] | None:
        """(entry, SHA-256 of its stored bytes), or None if the entry does not exist. Raises what `decode_entry`
        raises."""
        try:
            data, _ = self.store.get(log_key(self.set_name, seq))
        except ObjectNotFoundError:
            return None
        entry = decode_entry(data, set_name=self.set_name, seq=seq, repository_id=self.repository_id)
        return entry, sha256_hex(data)

    def stored_ms(self, seq: int) -> int:
        """When an entry was stored, by the store's clock, in Unix milliseconds. Raises `DamagedError` if it is
        missing."""
        key = log_key(self.set_name, seq)
        try:
            return self.store.head(key).modified_ms
        except ObjectNotFoundError:
            raise DamagedError(f"{key} is missing, although the state names it", key=key) from None

    def read_on(self, folded: Fold) -> Iterator[AnyEntry]:
        """The entries after those of `folded`, up to the end of the log. Each is applied to `folded` before it is
        returned. Raises `DamagedError` if an entry is damaged or does not follow the one before it, and
        `UnsupportedError` if a later version wrote it."""
        while (found := self.read_entry(folded.seq + 1)) is not None:
            folded.add(*found)
            yield found[0]

    def entries(self) -> Iterator[AnyEntry]:
        """All entries from the first one. Raises what `read_on` raises."""
        return self.read_on(Fold(SetState()))

    def newest_first(self) -> Iterator[AnyEntry]:
        """All entries, from the newest to the first. Reads the head and then each entry once, so a caller that stops
        early reads only the end of the log. Without a head the log is listed.

        Raises `DamagedError` if an entry is missing, damaged or not the one that the next entry or the head names, and
        `UnsupportedError` if a later version wrote it.
        """
        head = read_head(self.store, self.set_name)
        start = (
            head.seq if head is not None else max(map(_seq_of, self.store.list(log_prefix(self.set_name))), default=0)
        )
        newest = list(takewhile(lambda found: found is not None, map(self.read_entry, count(start + 1))))
        older = map(self._existing_entry, range(start, 0, -1))
        tips: dict[int, str | None] = {head.seq: head.entry_sha256} if head is not None else {}
        for entry, tip in chain(filter(None, reversed(newest)), older):
            if tips.pop(entry.seq, tip) != tip:
                key = log_key(self.set_name, entry.seq)
                raise DamagedError(f"{key} is not the entry that the head or the next entry names", key=key)
            yield entry
            tips[entry.seq - 1] = entry.parent

    def state(self) -> SetState:
        """The state now. Reads the head, and the entries after the known state or after a checkpoint, usually at most
        about 100.

        Raises what `read_on` raises, and `DamagedError` if an intact head or checkpoint contradicts the log.
        """
        head = read_head(self.store, self.set_name)
        start = self.known.get(self.set_name) or latest_checkpoint(self.store, self.set_name, head)
        self._check_start(start)
        folded = Fold(start)
        self._check_head(head, folded)
        for _ in self.read_on(folded):
            self._check_head(head, folded)
        if head is not None and head.seq > folded.seq:
            key = log_key(self.set_name, folded.seq + 1)
            raise DamagedError(f"{key} is missing: the head names entry {head.seq}", key=key)
        state = self.known[self.set_name] = folded.state()
        return state

    def point(self, seq: int) -> RestorePoint:
        """The point with this seq, with the drops of the state that was read last. Raises what `point_entry` raises,
        and what `state` raises if no state was read before."""
        known = self.known_points.get(self.set_name)
        if known is not None and known.seq == seq and known.drops == self._drops_of(seq):
            return known
        point = self.known_points[self.set_name] = self.opened(self.point_entry(seq))
        return point

    def point_entry(self, seq: int) -> PointEntry:
        """The entry of the point with this seq, whatever the state of the log. Raises `NotFoundError` if the entry is
        missing or is not a point, and what `read_entry` raises."""
        found = self.read_entry(seq)
        if found is None or not isinstance(found[0], PointEntry):
            raise NotFoundError(f"{self.set_name}@{seq} is not a restore point.")
        return found[0]

    def opened(self, entry: PointEntry) -> RestorePoint:
        """The point of an entry, with the drops of the state that was read last."""
        return RestorePoint(self.store, entry, self._drops_of(entry.seq))

    def newest_point(self) -> RestorePoint | None:
        """The newest point now. None if the set has no point. Raises what `state` and `point` raise."""
        seq = self.state().newest_point
        return None if seq is None else self.point(seq)

    def closing_of(self, run: str, state: SetState, *, begun_after: int | None) -> int | None:
        """The seq of an entry that closed a run, up to the end of `state`: a point, a void, a mark, or the unmark of
        that mark. None means that the run is open.

        The answer is always exact. `begun_after` only saves requests: it is the seq of the log's newest entry at a time
        before the run could be closed, None if it is not known. If the state does not contain the run, the log is read
        from entry `begun_after` + 1 up to entry `state.closed_from` - 1. Raises what `read_entry` raises, and
        `DamagedError` if an entry is missing.
        """
        if run in state.closed_runs:
            return state.closed_runs[run]
        for seq in range((begun_after or 0) + 1, state.closed_from):
            entry, _ = self._existing_entry(seq)
            if isinstance(entry, PointEntry | VoidEntry | MarkEntry) and entry.run == run:
                return seq
        return None

    def closings_of(self, runs: Collection[str], state: SetState) -> dict[str, int]:
        """The seq of the entry that closed each of the runs, up to the end of `state`: a point, a void, a mark, or the
        unmark of that mark. A run that is open, or that is not a run of this set, is absent. If the state contains one
        of them neither as a closed run nor as that of a live or expired point, the log before `state.closed_from` is
        read once. Raises what `read_entry` raises, and `DamagedError` if an entry is missing."""
        points = [*state.points.values(), *(expired.point for expired in state.expired.values())]
        closed = {**{point.run: point.seq for point in points}, **state.closed_runs}
        found = {run: closed[run] for run in runs if run in closed}
        unknown = set(runs) - found.keys()
        for seq in range(1, state.closed_from if unknown else 1):
            entry, _ = self._existing_entry(seq)
            if isinstance(entry, PointEntry | VoidEntry | MarkEntry) and entry.run in unknown:
                found.setdefault(entry.run, seq)
            if isinstance(entry, UnmarkEntry) and entry.run in unknown:
                found[entry.run] = seq
        return found

    def append(self, build: Build) -> AnyEntry:
        """Append the entry that `build` makes of the newest state, and return it.

        If another writer was faster, the state is read again and `build` is called again. Raises what `build` and
        `state` raise, and `RefusedError` if the repository is frozen and something could expire or be deleted because
        of the entry. After `OutcomeUnknownError` call it again: `build` can see in the state whether the entry was
        written.
        """
        state = self.state()
        while True:
            entry = build(state)
            if _lowers_protection(entry, state):
                freeze = state.frozen or find_freeze(self.store)
                if freeze is not None:
                    raise frozen_error(freeze)
            data, tip = encode_entry(entry)
            try:
                self.store.put_if_absent(log_key(self.set_name, entry.seq), [data], sha256=tip)
            except ObjectExistsError:
                state = self.state()
                continue
            after = self.known[self.set_name] = apply(state, entry, tip)
            write_checkpoint(self.store, self.set_name, after)
            write_head(self.store, self.set_name, after)
            return entry

    def check_continuous(self) -> None:
        """Raises `DamagedError` if the store lists an entry after the one at which reading ends."""
        listed = [info.key for info in self.store.list(log_prefix(self.set_name))]
        end = self.state().seq  # read after the listing, because a writer can append between the two
        for key in listed:
            if key > log_key(self.set_name, end):
                missing = log_key(self.set_name, end + 1)
                raise DamagedError(f"{missing} is missing, although {key} exists", key=missing)

    def _drops_of(self, seq: int) -> tuple[Drop, ...]:
        state = self.known.get(self.set_name) or self.state()
        return drops_of_point(state.drops, seq)

    def _existing_entry(self, seq: int) -> tuple[AnyEntry, str]:
        found = self.read_entry(seq)
        if found is None:
            key = log_key(self.set_name, seq)
            raise DamagedError(f"{key} is missing, although later entries exist", key=key)
        return found

    def _check_start(self, state: SetState) -> None:
        found = self.read_entry(state.seq) if state.seq else None
        if state.seq and (found is None or found[1] != state.tip):
            key = log_key(self.set_name, state.seq)
            raise DamagedError(f"{key} is not the entry that was read before, or that the checkpoint names", key=key)

    def _check_head(self, head: Head | None, folded: Fold) -> None:
        if head is not None and head.seq == folded.seq and head.entry_sha256 != folded.tip:
            key = log_key(self.set_name, folded.seq)
            raise DamagedError(f"{key} is not the entry that the head names", key=key)


def _seq_of(info: ObjectInfo) -> int:
    """The number of a listed entry, 0 for another object."""
    name = info.key.rpartition("/")[2].removesuffix(".json")
    return int(name) if name.isdecimal() else 0


def _lowers_protection(entry: AnyEntry, state: SetState) -> bool:
    """Whether something can expire or be deleted because of the entry that did not before: a policy can keep points by
    their labels."""
    if isinstance(entry, LabelEntry):
        point = state.summary(entry.point)
        after = point and point.with_labels(entry.labels, entry.removed)
        return point is not None and after is not None and not point.labels.items() <= after.labels.items()
    return isinstance(entry, ExpireEntry | RemoveEntry | DropEntry | ReleaseEntry | UnmarkEntry)
