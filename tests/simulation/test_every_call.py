"""A backup and a restore are struck at each of their calls in turn: of the store, and of the cluster.

`make test-fast` strikes every 29th call, `make test` each of them.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.simulation.histories.backup_step import Backup
from tests.simulation.histories.cluster_steps import (
    Clean,
    ClusterStep,
    CommitPosition,
    CreateTopic,
    DeleteRecords,
    DeleteTopic,
    Elect,
    Produce,
    StopNode,
    Transaction,
)
from tests.simulation.histories.continuous_step import Continuous
from tests.simulation.histories.generate import HistoryStep
from tests.simulation.histories.restore_step import Restore, Validate
from tests.simulation.histories.run import run
from tests.simulation.histories.strikes import Kind, Strike

BEFORE: list[HistoryStep] = [
    CreateTopic(0, partitions=2, policy=0),
    CreateTopic(1, partitions=1, policy=1),
    Produce(0, 0, batches=4, records=2, codec=4),
    Transaction(0, partitions=2, batches=2, end=1),
    Backup(),
    Produce(0, 1, batches=2, records=3, codec=0),
    Produce(1, 0, batches=6, records=2, codec=0),
    Transaction(0, partitions=2, batches=2, end=0),
    CommitPosition(0, topic=0, partition=0, quarters=2),
]
"""A set with one point, and records, an aborted and a committed transaction and a position behind it."""

AFTER: list[HistoryStep] = [Restore(-1), Backup(), Validate(-1)]
"""Whatever a strike left behind, the newest point restores, and the next backup succeeds."""

CHANGES: dict[str, ClusterStep] = {
    "records-deleted": DeleteRecords(0, 0, quarters=3),
    "unclean-election": Elect(0, 0, lost_quarters=2),
    "topic-deleted": DeleteTopic(0),
    "cleaned": Clean(),
    "broker-dies": StopNode(0),
}

CALLS = [pytest.param(29, id="some"), pytest.param(1, id="all", marks=pytest.mark.exhaustive)]


def _strike(step: Callable[[Strike], HistoryStep], strike: Callable[[int], Strike], stride: int) -> int:
    """Strike the step at its first, next, … call, each in a world of its own, until there is no such call. Returns the
    number of the last call that was struck."""
    for at in range(1, 1000, stride):
        if not run([*BEFORE, step(strike(at)), *AFTER]).struck:
            return at - stride
    raise AssertionError("it does not end")


@pytest.mark.parametrize("stride", CALLS)
@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("kind", ["crash-store", "crash-cluster", "lose-store", "lose-cluster"])
def test_a_backup_that_is_struck_at_any_call_leaves_the_old_points_or_one_more(
    kind: Kind, is_after: bool, stride: int
) -> None:
    assert _strike(Backup, lambda at: Strike(kind, at, is_after=is_after), stride) >= (8 if stride == 1 else 1)


@pytest.mark.parametrize("stride", CALLS)
@pytest.mark.parametrize("change", CHANGES)
def test_a_backup_states_what_the_cluster_loses_at_any_of_its_calls(change: str, stride: int) -> None:
    assert _strike(Backup, lambda at: Strike("change", at, change=CHANGES[change]), stride) >= (8 if stride == 1 else 1)


@pytest.mark.parametrize("stride", CALLS)
@pytest.mark.parametrize("kind", ["second-writer", "rival"])
def test_a_second_writer_at_any_call_takes_no_record_away(kind: Kind, stride: int) -> None:
    assert _strike(Backup, lambda at: Strike(kind, at), stride) >= (8 if stride == 1 else 1)


@pytest.mark.parametrize("stride", CALLS)
@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("is_rough", [False, True], ids=["calm", "rough"])
@pytest.mark.parametrize("kind", ["crash-store", "crash-cluster", "lose-store", "lose-cluster", "change"])
def test_a_restore_that_is_struck_at_any_call_is_continued_until_it_is_exact(
    kind: Kind, is_after: bool, is_rough: bool, stride: int
) -> None:
    """It is struck once more while it is continued. `rough`: meanwhile brokers were restarted and forgot producers."""
    last = _strike(
        lambda strike: Restore(-1, strike, is_rough=is_rough), lambda at: Strike(kind, at, is_after=is_after), stride
    )
    assert last >= 1


def _incremental(strike: Strike) -> HistoryStep:
    return Backup(strike, is_incremental=True)


@pytest.mark.parametrize("stride", CALLS)
@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("kind", ["crash-store", "crash-cluster", "lose-store", "lose-cluster", "second-writer"])
def test_an_incremental_run_that_is_struck_at_any_call_is_finished_by_the_next_one(
    kind: Kind, is_after: bool, stride: int
) -> None:
    after = [_incremental(Strike()), Restore(-1), Restore(-2), Validate(-1)]
    for at in range(1, 1000, stride):
        if not run([*BEFORE, _incremental(Strike(kind, at, is_after=is_after)), *after]).struck:
            assert at > (8 if stride == 1 else 1)
            return


@pytest.mark.parametrize("stride", CALLS)
@pytest.mark.parametrize("change", CHANGES)
def test_an_incremental_run_states_what_the_cluster_loses_at_any_of_its_calls(change: str, stride: int) -> None:
    assert _strike(_incremental, lambda at: Strike("change", at, change=CHANGES[change]), stride) >= 1


def _continuous(strike: Strike) -> HistoryStep:
    """Two cycles with news, and a strike at a call of one of them."""
    return Continuous((Produce(0, 0, batches=4, records=2, codec=0),), strike)


@pytest.mark.parametrize("stride", CALLS)
@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(
    "kind", ["crash-store", "crash-cluster", "lose-store", "lose-cluster", "second-writer", "rival", "end"]
)
def test_a_continuous_backup_that_is_struck_at_any_call_of_a_cycle_is_followed_by_one_that_loses_nothing(
    kind: Kind, is_after: bool, stride: int
) -> None:
    """The process of `second-writer` goes on as a zombie."""
    change = Produce(0, 0, batches=2, records=3, codec=0) if kind == "second-writer" else None
    after = [_continuous(Strike()), Restore(-1), Restore(-2), Validate(-1)]
    for at in range(1, 1000, stride):
        if not run([*BEFORE, _continuous(Strike(kind, at, is_after=is_after, change=change)), *after]).struck:
            assert at > (8 if stride == 1 else 1)
            return


@pytest.mark.parametrize("stride", CALLS)
@pytest.mark.parametrize("change", CHANGES)
def test_a_continuous_backup_states_what_the_cluster_loses_at_any_call_of_a_cycle(change: str, stride: int) -> None:
    assert _strike(_continuous, lambda at: Strike("change", at, change=CHANGES[change]), stride) >= 1
