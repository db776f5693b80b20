"""Carries out histories, and makes a failing one shorter."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Literal

import pytest

from tasks.engine.capture import segment
from tests.simulation.histories.generate import HistoryStep, generate, generate_chain, generate_stream
from tests.simulation.histories.world import World

MOST_TRIES = 200
"""So many shorter histories are tried before the shortest so far is printed."""


Kind = Literal["snapshots", "chain", "stream"]
_GENERATORS: Mapping[Kind, Callable[[int, int], list[HistoryStep]]] = {
    "snapshots": generate,
    "chain": generate_chain,
    "stream": generate_stream,
}


class HistoryFailed(AssertionError):
    """A history broke a law, or the program failed in a way that it must not: the message is a script to repeat it."""


@contextmanager
def small_frames() -> Iterator[None]:
    """Frames of a few hundred bytes while the body runs, so that a partition has several objects."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(segment, "FRAME_LOG_BYTES", 300)
        patch.setattr(segment, "FULL_ENOUGH_BYTES", 200)
        yield


def run(steps: Sequence[HistoryStep], *, version: str = "4.3.1") -> World:
    """Carry the steps out in a new world. Raises what a step raises: `LawBroken`, or a fault of the program."""
    world = World(version=version)
    with small_frames():
        for number, step in enumerate(steps):
            world.log.append(f"{number}: {step}")
            step.run(world)
    return world


def run_seed(seed: int, length: int, *, version: str = "4.3.1", kind: Kind = "snapshots") -> None:
    """Carry out the history of a seed. Most of the backups of a chain are incremental, and of a stream continuous.
    Raises `HistoryFailed` with the shortest history that fails in the same way."""
    steps = _GENERATORS[kind](seed, length)
    failure = failure_of(steps, version)
    if failure is None:
        return
    shortest = shorter(steps, version, type(failure))
    script = "\n".join(f"    {step!r}," for step in shortest)
    raise HistoryFailed(
        f"seed {seed} on Kafka {version}: {failure_of(shortest, version) or failure!r}\n"
        f"run(\n  [\n{script}\n  ],\n  version={version!r},\n)"
    ) from failure


def first_failure(steps: Sequence[HistoryStep], version: str = "4.3.1") -> tuple[int, Exception] | None:
    """(the number of the step that fails, its error), or None."""
    world = World(version=version)
    with small_frames():
        for number, step in enumerate(steps):
            try:
                step.run(world)
            except Exception as error:
                return number, error
    return None


def failure_of(steps: Sequence[HistoryStep], version: str) -> Exception | None:
    """What the history breaks, or None."""
    found = first_failure(steps, version)
    return found[1] if found else None


def shorter(steps: Sequence[HistoryStep], version: str, kind: type[Exception]) -> list[HistoryStep]:
    """Leave out as many steps as possible, in halves, quarters, … and one by one, while it fails with the same kind of
    error."""
    kept, tries = list(steps), 0
    size = len(kept) // 2
    while size and tries < MOST_TRIES:
        at = 0
        while at < len(kept) and tries < MOST_TRIES:
            fewer = kept[:at] + kept[at + size :]
            tries += 1
            if isinstance(failure_of(fewer, version), kind):
                kept = fewer
            else:
                at += size
        size //= 2
    return kept
