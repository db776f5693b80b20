"""Seeded histories of clusters, backups, crashes and restores, after each step of which the laws hold.

A failing seed prints a script. `make test-fast` runs the first seeds, `make test` the whole fixed set, and
`make soak` goes on for as long as HISTORIES_S says (seconds, 600 by default).
"""

from __future__ import annotations

import os
import time
from itertools import count

import pytest

from tests.simulation.histories.generate import CYCLES, STORY
from tests.simulation.histories.mutants import MUTANTS, Mutant, find
from tests.simulation.histories.run import Kind, run, run_seed
from tests.simulation.histories.world import SET

LENGTH = 30
FIRST = range(6)
REST = range(6, 48)
CHAINS = range(60)
STREAMS = range(120)
KINDS: tuple[Kind, ...] = ("snapshots", "chain", "stream", "stream")


@pytest.mark.parametrize("seed", FIRST)
def test_the_laws_hold_in_every_history(seed: int) -> None:
    run_seed(seed, LENGTH)


@pytest.mark.exhaustive
@pytest.mark.parametrize("seed", REST)
def test_the_laws_hold_in_every_history_of_the_fixed_set(seed: int) -> None:
    run_seed(seed, LENGTH)


@pytest.mark.parametrize("version", ["4.3.1", "3.9.1"])
def test_the_laws_hold_in_the_story_of_a_chain(version: str) -> None:
    world = run(STORY, version=version)

    kinds = [world.context(world.source).repository.log(SET).point(seq).entry for seq in sorted(world.model.points)]
    assert ["snapshot", *["incremental"] * 5] == [entry.point_kind for entry in kinds]
    assert (True, True, True) == (bool(kinds[1].gaps), bool(kinds[2].ended), bool(kinds[3].truncated))


@pytest.mark.parametrize(
    "seed", [pytest.param(seed, marks=pytest.mark.exhaustive if seed >= len(FIRST) else ()) for seed in CHAINS]
)
def test_the_laws_hold_in_every_history_of_incremental_runs(seed: int) -> None:
    run_seed(seed, LENGTH, version=("4.3.1", "3.9.1")[seed % 2], kind="chain")


@pytest.mark.parametrize("version", ["4.3.1", "3.9.1"])
def test_the_laws_hold_in_the_story_of_continuous_cycles(version: str) -> None:
    world = run(CYCLES, version=version)

    points = [world.context(world.source).repository.log(SET).point(seq).entry for seq in sorted(world.model.points)]
    assert {"snapshot", "continuous"} == {entry.point_kind for entry in points}
    assert any(entry.truncated for entry in points)


@pytest.mark.parametrize(
    "seed", [pytest.param(seed, marks=pytest.mark.exhaustive if seed >= len(FIRST) else ()) for seed in STREAMS]
)
def test_the_laws_hold_in_every_history_of_continuous_cycles(seed: int) -> None:
    """Also that a chain restores to what a snapshot at the same cut restores to."""
    run_seed(seed, LENGTH, version=("4.3.1", "3.9.1")[seed % 2], kind="stream")


@pytest.mark.parametrize(
    "seed", [pytest.param(seed, marks=pytest.mark.exhaustive if seed else ()) for seed in range(8)]
)
def test_the_laws_hold_on_kafka_3_9(seed: int) -> None:
    run_seed(seed, LENGTH, version="3.9.1")


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_the_laws_hold_for_as_long_as_one_likes() -> None:
    ends = time.monotonic() + float(os.environ.get("HISTORIES_S", "600"))
    for seed in count(1_000_000):
        run_seed(seed, LENGTH * (1 + seed % 3), version=("4.3.1", "3.9.1")[seed % 2], kind=KINDS[seed % len(KINDS)])
        if time.monotonic() > ends:
            return


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_planted_fault_is_found_by_a_history_of_the_fixed_set(mutant: Mutant) -> None:
    assert mutant.seed in (*FIRST, *REST)
    found = find(mutant, [mutant.seed], LENGTH)
    assert found is not None
    assert (mutant.seed, mutant.step) == found[:2], found
    assert str(found[2]).startswith(mutant.law)
