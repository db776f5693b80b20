"""Finds the objects of a set that nothing names any more, and the runs that died long ago. Reads the log, plans, index
objects and listings, never data."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tasks.engine.retention.named_objects import NamedObjects, named_by_plan
from tasks.model.errors import DamagedError
from tasks.repository.drops import Drop
from tasks.repository.leases import read_lease
from tasks.repository.names import capture_lease_key, log_key, log_prefix, plan_prefix, run_of, run_prefixes
from tasks.repository.pins import live_pins
from tasks.repository.plans import find_plan
from tasks.repository.set_log import SetLog
from tasks.repository.set_state import SetState

_MOST_REQUESTS = 20
"""The number of entries whose times are read one by one."""


@dataclass(frozen=True, slots=True)
class Unnamed:
    """The result of a search. `objects` are the keys that may be deleted, with their sizes, in the order of the
    deletion. `dead_runs` are open runs whose writer is gone; they have to be voided before their objects may be
    deleted. `waiting_bytes` is the size of objects that nothing names and that are not old enough yet."""

    objects: Mapping[str, int]
    dead_runs: tuple[str, ...]
    waiting_bytes: int


def find_unnamed(
    names: NamedObjects,
    state: SetState,
    *,
    drops: Sequence[Drop],
    removed: Collection[int],
    grace_ms: int,
    now_ms: int,
) -> Unnamed:
    """Search the objects of a set. `names` is of its log, and `state` is its state, read before. The points in
    `removed` name nothing any more, and no point needs what `drops` take: the caller has to append the entries of both
    before anything is deleted. A point that is pinned needs everything that it names.

    What is found stays unnamed whatever is written later: a later point names only what the newest point names and what
    its own run wrote. The newest point is protected here, and so is a run that is not closed in `state`.

    Raises `DamagedError` if the log, an index object or the plan of an open run is damaged, because then it is not
    known what they name.
    """
    log = names.log
    named = _named(names, state, drops, removed, now_ms)
    listed: dict[str, tuple[int, int]] = {}
    for prefix in run_prefixes(log.set_name):
        for info in log.store.list(prefix):
            if info.key not in named:
                listed[info.key] = (info.size_bytes, info.modified_ms)
    closed_ms = _closing_times(log, state, {run_of(key) for key in listed})
    objects = {
        key: size
        for key, (size, modified_ms) in listed.items()
        if run_of(key) in closed_ms and now_ms - max(modified_ms, closed_ms[run_of(key)]) >= grace_ms
    }
    return Unnamed(
        objects=objects,
        dead_runs=tuple(_dead_runs(log, listed, closed_ms, oldest_ms=now_ms - grace_ms)),
        waiting_bytes=sum(size for key, (size, _) in listed.items() if key not in objects),
    )


def needed_by_pins(log: SetLog, *, now_ms: int) -> set[str]:
    """The keys that the pinned points need now. Raises as `find_unnamed`."""
    return _of_pins(NamedObjects(log), now_ms)


def _of_pins(names: NamedObjects, now_ms: int) -> set[str]:
    """What the pinned points need. A pin that was written after its point was removed protects nothing if an index of
    the point is gone already: its reader reads the log again, and finds that the point was removed."""
    log, keys = names.log, set[str]()
    for seq in sorted(live_pins(log.store, log.set_name, now_ms=now_ms)):
        try:
            keys |= names.of_points([seq])
        except DamagedError:
            state = log.state()
            is_removed = seq not in state.points and seq not in state.expired
            if not (is_removed and names.is_missing_index(seq)):
                raise
    return keys


def _named(
    names: NamedObjects, state: SetState, drops: Sequence[Drop], removed: Collection[int], now_ms: int
) -> set[str]:
    """The keys that live, expired and pinned points, marks, and the plans of open runs name."""
    log = names.log
    seqs = {*state.points, *state.expired} - set(removed)
    keys = {mark.offsets.key for mark in state.marks.values()}
    keys |= _of_pins(names, now_ms)
    for run in _planned_open_runs(log, state):
        plan = find_plan(log.store, log.set_name, run)
        if plan is None:
            continue
        keys.update(named_by_plan(plan))
        seqs |= {plan.based_on} if plan.based_on is not None else set()
    return keys | names.of_points(seqs, drops)


def _planned_open_runs(log: SetLog, state: SetState) -> Iterator[str]:
    """The runs that have a plan and are not closed in this state."""
    runs = {run_of(info.key) for info in log.store.list(plan_prefix(log.set_name))}
    yield from sorted(runs - log.closings_of(runs, state).keys())


def _closing_times(log: SetLog, state: SetState, runs: Collection[str]) -> dict[str, int]:
    """When each of the runs that are closed was closed, by the store's clock. The clock of a writer can be wrong."""
    seqs = log.closings_of(runs, state)
    times = _stored_times(log, set(seqs.values()))
    return {run: times[seq] for run, seq in seqs.items()}


def _stored_times(log: SetLog, seqs: Collection[int]) -> dict[int, int]:
    """When these entries were stored, by the store's clock. For many of them the log is listed, because a request for
    each entry would take longer."""
    listed: dict[str, int] = {}
    if len(seqs) > _MOST_REQUESTS:
        listed = {info.key: info.modified_ms for info in log.store.list(log_prefix(log.set_name))}
    keys = {seq: log_key(log.set_name, seq) for seq in seqs}
    return {seq: listed[key] if key in listed else log.stored_ms(seq) for seq, key in keys.items()}


def _dead_runs(
    log: SetLog,
    listed: Mapping[str, tuple[int, int]],
    closed_ms: Mapping[str, int],
    *,
    oldest_ms: int,
) -> Iterator[str]:
    """The open runs that have written nothing since `oldest_ms` and that no lease names since then."""
    newest: dict[str, int] = {}
    for key, (_, modified_ms) in listed.items():
        newest[run_of(key)] = max(newest.get(run_of(key), 0), modified_ms)
    lease_key = capture_lease_key(log.set_name)
    lease = read_lease(log.store, lease_key)
    if lease is not None and lease.run in newest:
        newest[lease.run] = max(newest[lease.run], log.store.head(lease_key).modified_ms)
    for run, modified_ms in sorted(newest.items()):
        if run not in closed_ms and modified_ms <= oldest_ms:
            yield run
