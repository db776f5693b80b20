"""Faults planted in the program, one per law. The fixed set of histories must find each of them.

Each mutant replaces one function of the program while a body runs. `law` is the beginning of what finds it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from tasks.batches.aborted import AbortedBatches, AbortTracker
from tasks.engine import continuous
from tasks.engine.capture.range_reader import CaptureRange, TrimPolicy
from tasks.engine.commit import incremental_outcome, incremental_point, point_parts, runs
from tasks.engine.commit.tiling import contiguous
from tasks.engine.positions.rank import rank
from tasks.engine.replay import replay
from tasks.engine.replay.outgoing import outgoing_batches
from tasks.engine.source import incremental_plan
from tasks.engine.source.lineage import CommonLog, Lineages
from tasks.model.partition import Partition
from tasks.repository import leases
from tasks.repository.index import write_index
from tasks.repository.lines import IndexLine
from tasks.repository.partition_table import Row
from tasks.repository.plans import PlannedPartition
from tests.simulation.histories.generate import CYCLES, STORY, HistoryStep, generate
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
    story: Sequence[HistoryStep] | None = None
    """Found in this history, which has what chains of incremental runs, or cycles, have to survive."""


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
    outgoing = outgoing_batches

    def twice(*given: Any) -> Iterator[Any]:
        moved = 0
        for number, batch in enumerate(outgoing(*given)):
            yield batch._replace(expected_offset=batch.expected_offset + moved)
            if number == 0:
                moved = batch.records
                yield batch._replace(expected_offset=batch.expected_offset + moved)

    patch.setattr(replay, "outgoing_batches", twice)


def _leave_a_gap_unsaid(patch: pytest.MonkeyPatch) -> None:
    """The entry of the point says nothing of its gaps and trimmed ranges."""
    patch.setattr(point_parts, "notes_of", lambda outcomes: ((), ()))


def _leave_a_gap_of_a_chain_unsaid(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(point_parts, "notes_of", lambda outcomes: ((), ()))


def _mix_incarnations(patch: pytest.MonkeyPatch) -> None:
    """A topic that was created again goes on at the offsets of the old one."""
    ranges = incremental_plan.incremental_ranges

    def mixed(partitions: Any, rows: Mapping[Partition, Row], logs: Any) -> Any:
        ends = {(source.topic, source.partition): row.next for source, row in rows.items()}
        planned, failures = ranges(partitions, rows, logs)
        moved = [
            part.model_copy(update={"start": min(part.end, max(part.start, ends.get((part.topic, part.partition), 0)))})
            if part.stored_next is None
            else part
            for part in planned
        ]
        return tuple(moved), failures

    patch.setattr(incremental_plan, "incremental_ranges", mixed)


def _ignore_truncation(patch: pytest.MonkeyPatch) -> None:
    """Stored offsets are used without asking for their leader epochs, neither in the plan nor in the fetch."""

    def trusting(log: Any, newest: Any, rows: Sequence[Row]) -> Lineages:
        return Lineages({row.source: CommonLog(row.next, row.epoch) for row in rows if row.epoch is not None}, {})

    patch.setattr(incremental_plan, "confirm_lineages", trusting)
    patch.setattr("tasks.engine.backup_steps._range_of", _without_epoch)


def _without_epoch(planned: PlannedPartition) -> CaptureRange:
    policy: TrimPolicy = "trimmed" if planned.stored_next is None else "gap"
    return CaptureRange(
        source=planned.source, start=planned.start, end=planned.end, bytes=planned.bytes, on_trim=policy
    )


def _ignore_the_lease(patch: pytest.MonkeyPatch) -> None:
    def take(store: Any, key: str, **how: Any) -> leases.Lease:
        current, version = leases._read(store, key)
        return leases._take(store, key, current, version, leases.TIME_TO_LIVE_MS)

    patch.setattr(runs, "acquire", take)


def _begin_a_cycle_one_offset_late(patch: pytest.MonkeyPatch) -> None:
    """And the precondition that would notice it is as wrong as the rest."""
    draft = incremental_plan.draft_of_news

    def late(*given: Any, **named: Any) -> Any:
        plan = draft(*given, **named)
        moved = [part.model_copy(update={"start": min(part.end, part.start + 1)}) for part in plan.partitions]
        return plan.model_copy(update={"partitions": tuple(moved)})

    patch.setattr(continuous, "draft_of_news", late)


def _take_the_end_of_a_cut_cycle_for_the_planned_one(patch: pytest.MonkeyPatch) -> None:
    """The row of a partition says that everything was read."""

    def whole(planned: Any, lines: Any) -> Any:
        return replace(contiguous(planned, lines), next=planned.end)

    patch.setattr(point_parts, "cut_short", lambda partitions, lines: partitions)
    patch.setattr(incremental_outcome, "tile", whole)


def _commit_as_a_zombie(patch: pytest.MonkeyPatch) -> None:
    """A cycle commits although another process has voided it and has made a point since."""
    patch.setattr(incremental_point, "check_open", lambda *given, **named: None)
    patch.setattr(incremental_point, "check_incremental", lambda plan, now: None)


def _take_a_truncation_for_no_news(patch: pytest.MonkeyPatch) -> None:
    """As long as there is nothing new behind it."""
    patch.setattr(incremental_plan, "_changes_records", lambda part, row: row is None or part.start < part.end)


MUTANTS = (
    Mutant("an index line is dropped", 0, 13, "what the program wrote validates", _drop_an_index_line),
    Mutant("a position is off by one", 1, 11, "a group goes on where it was", _a_position_off_by_one),
    Mutant(
        "an aborted batch is kept", 2, 40, "a restore writes only records that the source had", _keep_an_aborted_batch
    ),
    Mutant("a batch is written twice", 0, 29, "an undisturbed restore succeeds", _write_a_batch_twice),
    Mutant("a gap is not stated", 14, 20, "nothing is lost without a gap that says so", _leave_a_gap_unsaid),
    Mutant("a gap of a chain is not stated", 0, 7, "nothing is lost", _leave_a_gap_of_a_chain_unsaid, story=STORY),
    Mutant("incarnations are mixed", 0, 13, "a restore writes every record", _mix_incarnations, story=STORY),
    Mutant(
        "a truncation is ignored",
        0,
        17,
        "a restore writes only records that the source had",
        _ignore_truncation,
        story=STORY,
    ),
    Mutant("a cycle begins late", 0, 6, "a restore writes every record", _begin_a_cycle_one_offset_late, story=CYCLES),
    Mutant(
        "a cut cycle is taken for whole",
        0,
        11,
        "a restore writes every record",
        _take_the_end_of_a_cut_cycle_for_the_planned_one,
        story=CYCLES,
    ),
    Mutant("a zombie commits", 0, 17, "no point ends before an earlier one", _commit_as_a_zombie, story=CYCLES),
    Mutant(
        "a truncation is no news",
        0,
        14,
        "after a cycle the set is as new",
        _take_a_truncation_for_no_news,
        story=CYCLES,
    ),
    Mutant("a lease is ignored", 2, 17, "a second writer is refused while the first one is alive", _ignore_the_lease),
)
"""When the generator changes, `python -m tests.simulation.histories.mutants` prints the seeds and steps anew."""


def find(mutant: Mutant, seeds: Iterable[int], length: int) -> tuple[int, int, Exception] | None:
    """(seed, step, failure) of the first history that finds the mutant; None if no history does."""
    with pytest.MonkeyPatch.context() as patch:
        mutant.plant(patch)
        for seed in seeds:
            failure = first_failure(mutant.story or generate(seed, length))
            if failure is not None:
                return seed, *failure
    return None


if __name__ == "__main__":
    for one in MUTANTS:
        print(one.name, *(find(one, range(100), 30) or ("is not found",)), sep=" | ")
