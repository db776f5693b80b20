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
from tests.simulation.histories.restore_step import Restore, Validate
from tests.simulation.histories.strikes import Kind, Strike

HistoryStep = ClusterStep | Backup | Validate | Restore

_BACKUP_STRIKES: tuple[Kind, ...] = (
    *("none",) * 4,
    *("crash-store", "crash-cluster", "lose-store", "lose-cluster"),
    *("change",) * 4,
    *("second-writer", "rival"),
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


def generate_chain(seed: int, length: int) -> list[HistoryStep]:
    """The history of the seed, but most of its backups are incremental."""
    source = random.Random(f"chain {seed}")

    def chained(step: HistoryStep) -> HistoryStep:
        is_incremental = isinstance(step, Backup) and source.random() < 0.85
        return replace(step, is_incremental=True) if isinstance(step, Backup) and is_incremental else step

    return [chained(step) for step in generate(seed, length)]


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
