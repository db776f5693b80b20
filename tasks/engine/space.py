"""The space that the points of a set take in the store. Reads the log and index objects, never data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from tasks.engine.retention.named_objects import NamedObjects
from tasks.repository.repository import Repository
from tasks.repository.set_log import SetLog
from tasks.repository.set_state import SetState


@dataclass(frozen=True, slots=True)
class Space:
    """The data objects of a point, in stored bytes. `unique_bytes` are those that no other live or expired point needs:
    removing the point frees them. `dropped_bytes` are those that the point named, and that `maximum_age` took."""

    data_bytes: int
    unique_bytes: int
    dropped_bytes: int

    @property
    def shared_bytes(self) -> int:
        """The stored bytes that other points need too."""
        return self.data_bytes - self.unique_bytes


def space_of_point(repository: Repository, set_name: str, seq: int) -> Space:
    """The space of one live or expired point. Reads the index objects of this point and of its two neighbours. Raises
    `DamagedError` if an entry or an index object is missing or damaged."""
    log = repository.log(set_name)
    state = log.state()
    return _space(NamedObjects(log), state, seq, dict(_with_neighbours(state))[seq])


def space_of_set(log: SetLog, seqs: Iterable[int]) -> tuple[int, dict[int, Space]]:
    """(the stored bytes of all data objects of the set's points, the space of each of these points). Each index object
    is read once. Raises as `space_of_point`."""
    state, names = log.state(), NamedObjects(log)
    neighbours = dict(_with_neighbours(state))
    total = sum(names.data_of(neighbours, state.drops).values())
    return total, {seq: _space(names, state, seq, neighbours[seq]) for seq in seqs}


def _with_neighbours(state: SetState) -> Iterator[tuple[int, list[int]]]:
    """(the seq of a live or expired point, those of the points before and after it). If a drop spared points, all other
    points: a held point can then share data with another one that is not beside it."""
    seqs = sorted({*state.points, *state.expired})
    if any(drop.spared for drop in state.drops):
        yield from ((seq, [other for other in seqs if other != seq]) for seq in seqs)
        return
    for at, seq in enumerate(seqs):
        yield seq, [*seqs[max(at - 1, 0) : at], *seqs[at + 1 : at + 2]]


def _space(names: NamedObjects, state: SetState, seq: int, neighbours: Sequence[int]) -> Space:
    """A new point takes over the objects of the newest one or none of them, so an object that neither neighbour needs
    is needed by no other point."""
    own = names.data_of([seq], state.drops)
    others = names.data_of(neighbours, state.drops)
    return Space(
        data_bytes=sum(own.values()),
        unique_bytes=sum(size for key, size in own.items() if key not in others),
        dropped_bytes=sum(size for key, size in names.data_of([seq]).items() if key not in own),
    )
