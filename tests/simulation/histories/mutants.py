"""Faults planted in the program, one per law. The fixed set of histories must find each of them.

Each mutant replaces one function of the program while a body runs. `law` is the beginning of what finds it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tasks.batches.aborted import AbortedBatches, AbortTracker
from tasks.engine.commit import runs, snapshot_point
from tasks.engine.positions.rank import rank
from tasks.engine.replay import replay
from tasks.repository import leases
from tasks.repository.index import write_index
from tasks.repository.lines import IndexLine
from tests.simulation.histories.generate import generate
from tests.simulation.histories.run import first_failure


@dataclass(frozen=True)
class Mutant:
    """`plant` changes the program for as long as the patch lasts. Of the fixed set, the history of `seed` finds it at
    its step number `step`, by the law that begins so."""

    name: str
    seed: int
    step: int
    law: str
    plant: Callable[[pytest.MonkeyPatch], None]


def _drop_an_index_line(patch: pytest.MonkeyPatch) -> None:

    def dropping(store: Any, set_name: str, run: str, lines: Iterable[IndexLine]) -> Any:
        kept = list(lines)
        return write_index(store, set_name, run, kept[:-1] if len(kept) > 1 else kept)

    patch.setattr("tasks.engine.commit.snapshot_point.write_index", dropping)


def _a_position_off_by_one(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("tasks.engine.positions.translate.rank", lambda *given: rank(*given) + 1)


def _keep_an_aborted_batch(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(AbortTracker, "judge", lambda *given: False)
    patch.setattr(AbortedBatches, "covers", lambda *given: False)


def _write_a_batch_twice(patch: pytest.MonkeyPatch) -> None:
    """And the count that would notice it at once is as wrong as the rest."""
    outgoing = replay._outgoing_batches

    def twice(started: Any, targets: Any, index: int) -> Iterator[Any]:
        moved = 0
        for number, batch in enumerate(outgoing(started, targets, index)):
            yield batch._replace(expected_offset=batch.expected_offset + moved)
            if number == 0:
                moved = batch.records
                yield batch._replace(expected_offset=batch.expected_offset + moved)

    patch.setattr(replay, "_outgoing_batches", twice)


def _leave_a_gap_unsaid(patch: pytest.MonkeyPatch) -> None:
    """The entry of the point says nothing of its gaps and trimmed ranges."""
    patch.setattr(snapshot_point, "notes_of", lambda outcomes: ((), ()))


def _ignore_the_lease(patch: pytest.MonkeyPatch) -> None:
    def take(store: Any, key: str, **how: Any) -> leases.Lease:
        current, version = leases._read(store, key)
        return leases._take(store, key, current, version, leases.TIME_TO_LIVE_MS)

    patch.setattr(runs, "acquire", take)


MUTANTS = (
    Mutant("an index line is dropped", 0, 13, "what the program wrote validates", _drop_an_index_line),
    Mutant("a position is off by one", 1, 14, "a group goes on where it was", _a_position_off_by_one),
    Mutant(
        "an aborted batch is kept", 2, 40, "a restore writes only records that the source had", _keep_an_aborted_batch
    ),
    Mutant("a batch is written twice", 0, 29, "an undisturbed restore succeeds", _write_a_batch_twice),
    Mutant("a gap is not stated", 7, 36, "nothing is lost without a gap that says so", _leave_a_gap_unsaid),
    Mutant("a lease is ignored", 2, 17, "a second writer is refused while the first one is alive", _ignore_the_lease),
)
"""When the generator changes, `python -m tests.simulation.histories.mutants` prints the seeds and steps anew."""


def find(mutant: Mutant, seeds: Iterable[int], length: int) -> tuple[int, int, Exception] | None:
    """(seed, step, failure) of the first history that finds the mutant; None if no history does."""
    with pytest.MonkeyPatch.context() as patch:
        mutant.plant(patch)
        for seed in seeds:
            failure = first_failure(generate(seed, length))
            if failure is not None:
                return seed, *failure
    return None


if __name__ == "__main__":
    for one in MUTANTS:
        print(one.name, *(find(one, range(100), 30) or ("is not found",)), sep=" | ")
