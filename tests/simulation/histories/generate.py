"""Makes a history from a seed: mostly records, some accidents, backups with and without strikes, restores."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

from tests.simulation.histories.backup_step import Backup
from tests.simulation.histories.cluster_steps import (
    Clean,
    ClusterStep,
    CommitPosition,
    CreateTopic,
    DeleteRecords,
    DeleteTopic,
    Elect,
    EndTransactions,
    HoldReplication,
    LimitFetching,
    PassTime,
    Produce,
    StopNode,
    Transaction,
)
from tests.simulation.histories.continuous_step import Continuous
from tests.simulation.histories.restore_step import Restore, Validate
from tests.simulation.histories.same_cut_step import SameCut
from tests.simulation.histories.strikes import Kind, Strike

HistoryStep = ClusterStep | Backup | Continuous | Validate | Restore | SameCut

_BACKUP_STRIKES: tuple[Kind, ...] = (
    *("none",) * 4,
    *("crash-store", "crash-cluster", "lose-store", "lose-cluster"),
    *("change",) * 4,
    *("second-writer", "rival"),
)
_CONTINUOUS_STRIKES: tuple[Kind, ...] = (
    *("none",) * 4,
    *("crash-store", "crash-cluster", "lose-store", "lose-cluster"),
    *("change",) * 3,
    *("second-writer",) * 3,
    "rival",
    *("end",) * 3,
)
_RESTORE_STRIKES: tuple[Kind, ...] = (
    *("none",) * 3,
    "crash-store",
    "crash-cluster",
    "lose-store",
    "lose-cluster",
    "change",
)


def generate(seed: int, length: int) -> list[HistoryStep]:
    """The same steps for the same seed. It begins with topics and records, and ends with a backup and a restore."""
    source = random.Random(seed)
    begin = [CreateTopic(name, source.randint(1, 2), source.randrange(3)) for name in range(2)]
    steps: list[HistoryStep] = [*begin, *(_produce(source) for _ in range(6))]
    steps += [_step(source) for _ in range(length)]
    return [*steps, Backup(), Validate(-1), Restore(-1)]


STORY: tuple[HistoryStep, ...] = (
    CreateTopic(0, 2, 0),
    CreateTopic(1, 1, 0),
    Produce(0, 0, 6, 3, 0),
    Produce(1, 0, 6, 3, 0),
    Backup(is_incremental=True),
    Produce(0, 0, 4, 2, 0),
    DeleteRecords(0, 0, 3),
    Backup(is_incremental=True),
    Restore(-1),
    DeleteTopic(1),
    CreateTopic(1, 1, 0),
    Produce(1, 0, 9, 3, 0),
    Backup(is_incremental=True),
    Restore(-1),
    Elect(1, 0, 2),
    Produce(1, 0, 9, 3, 0),
    Backup(is_incremental=True),
    Restore(-1),
    *(Produce(topic, 0, 20, 4, 0) for topic in (0, 1)),
    Backup(Strike("crash-cluster", 6, is_at_data=True), is_incremental=True),
    Produce(0, 0, 2, 2, 0),
    Backup(is_incremental=True),
    *(Restore(number) for number in range(8)),
    Validate(-1),
)
"""Retention that passes a stored offset, a topic that is created again, an unclean election, and a run that dies and is
finished by the next one; after each a restore."""


CYCLES: tuple[HistoryStep, ...] = (
    CreateTopic(0, 2, 0),
    CreateTopic(1, 1, 0),
    *(Produce(topic, 0, 6, 3, 0) for topic in (0, 1)),
    Continuous((Produce(0, 0, 4, 2, 0), Transaction(1, 1, 2, 0))),
    *(Restore(number) for number in range(3)),
    *(Produce(topic, 0, 20, 4, 0) for topic in (0, 1)),
    Continuous(strike=Strike("end", 6, is_at_data=True)),
    Restore(-1),
    SameCut(is_continuous=True),
    Elect(1, 0, 2),
    Continuous(),
    Restore(-1),
    Produce(0, 0, 9, 2, 0),
    Continuous(strike=Strike("second-writer", 3, is_at_data=True, change=Produce(0, 0, 4, 2, 0), is_repeated=True)),
    Restore(-1),
    Produce(0, 0, 20, 4, 0),
    Continuous(strike=Strike("crash-cluster", 6, is_at_data=True)),
    Produce(0, 0, 2, 2, 0),
    SameCut(is_continuous=True),
    *(Restore(number) for number in range(12)),
    Validate(-1),
)
"""Continuous cycles: one with news after the other, one that is told to end, a log that is truncated and has nothing
new, a zombie, and a process that dies and is followed by another."""


def generate_chain(seed: int, length: int) -> list[HistoryStep]:
    """The history of the seed, but most of its backups are incremental."""
    source = random.Random(f"chain {seed}")

    def chained(step: HistoryStep) -> HistoryStep:
        is_incremental = isinstance(step, Backup) and source.random() < 0.85
        return replace(step, is_incremental=True) if isinstance(step, Backup) and is_incremental else step

    return [chained(step) for step in generate(seed, length)]


def generate_stream(seed: int, length: int) -> list[HistoryStep]:
    """The history of the seed, but most of its backups are continuous, some incremental, and some points are compared
    with a snapshot at the same cut."""
    source = random.Random(f"stream {seed}")

    def streamed(step: HistoryStep) -> HistoryStep:
        if not isinstance(step, Backup):
            return step
        kinds: list[Callable[[], HistoryStep]] = [
            lambda: _continuous(source),
            lambda: replace(step, is_incremental=True),
            lambda: SameCut(is_continuous=source.random() < 0.7),
            lambda: step,
        ]
        [kind] = source.choices(kinds, [12, 3, 4, 1])
        return kind()

    return [streamed(step) for step in generate(seed, length)]


def _step(source: random.Random) -> HistoryStep:
    makers: list[tuple[int, Callable[[random.Random], HistoryStep]]] = [
        (12, _cluster_step),
        (5, _backup),
        (3, lambda one: Restore(one.randrange(8), _strike(one, _RESTORE_STRIKES))),
        (1, lambda one: Validate(one.randrange(8))),
    ]
    [maker] = source.choices([one for _, one in makers], [weight for weight, _ in makers])
    return maker(source)


def _cluster_step(source: random.Random) -> ClusterStep:
    makers: list[tuple[int, Callable[[random.Random], ClusterStep]]] = [
        (8, _produce),
        (5, lambda one: Transaction(one.randrange(4), one.randint(1, 2), one.randint(1, 3), one.randrange(3))),
        (2, lambda one: EndTransactions(one.random() < 0.5)),
        (3, lambda one: Clean()),
        (2, lambda one: PassTime(one.randint(1, 2))),
        (3, lambda one: DeleteRecords(one.randrange(4), one.randrange(2), one.randint(1, 4))),
        (3, lambda one: Elect(one.randrange(4), one.randrange(2), one.randrange(4))),
        (2, lambda one: StopNode(one.randrange(3))),
        (1, lambda one: HoldReplication(one.randrange(4), one.randrange(2))),
        (1, lambda one: LimitFetching(one.choice((0, 200, 2_000)))),
        (3, lambda one: CommitPosition(one.randrange(2), one.randrange(4), one.randrange(2), one.randint(0, 5))),
        (1, lambda one: CreateTopic(one.randrange(4), one.randint(1, 2), one.randrange(3))),
        (1, lambda one: DeleteTopic(one.randrange(4))),
    ]
    [maker] = source.choices([one for _, one in makers], [weight for weight, _ in makers])
    return maker(source)


def _produce(source: random.Random) -> Produce:
    return Produce(
        topic=source.randrange(4),
        partition=source.randrange(2),
        batches=source.randint(1, 6),
        records=source.randint(1, 4),
        codec=source.randrange(5),
    )


def _backup(source: random.Random) -> Backup:
    return Backup(_strike(source, _BACKUP_STRIKES))


def _continuous(source: random.Random) -> Continuous:
    strike = _strike(source, _CONTINUOUS_STRIKES)
    if strike.kind == "second-writer":
        strike = replace(strike, change=_between(source), is_repeated=source.random() < 0.3)
    return Continuous(tuple(_between(source) for _ in range(source.randint(0, 3))), strike)


def _between(source: random.Random) -> ClusterStep:
    """A change between two cycles."""
    return _produce(source) if source.random() < 0.5 else _cluster_step(source)


def _strike(source: random.Random, kinds: tuple[Kind, ...]) -> Strike:
    kind = source.choice(kinds)
    if kind == "none":
        return Strike()
    is_at_data = source.random() < 0.5
    change = None
    if kind == "change":
        change = _loss(source) if is_at_data else _cluster_step(source)
    at = source.randint(1, 6 if is_at_data else 40)
    return Strike(kind, at, source.random() < 0.5, is_at_data, change)


def _loss(source: random.Random) -> ClusterStep:
    """Records vanish that a backup is about to read."""
    makers: list[Callable[[random.Random], ClusterStep]] = [
        lambda one: DeleteRecords(one.randrange(4), one.randrange(2), one.randint(2, 4)),
        lambda one: Elect(one.randrange(4), one.randrange(2), one.randint(1, 4)),
        lambda one: PassTime(2),
        lambda one: DeleteTopic(one.randrange(4)),
        lambda one: Clean(),
    ]
    return source.choice(makers)(source)
