"""What a target contains and what a continued restore sends are together the whole sequence, wherever it stopped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.batches.header import record_count
from tasks.broker.log_values import Fetched, OutgoingBatch
from tasks.broker.ports import LogReader
from tasks.engine.record_filter import sections
from tasks.engine.replay.outgoing import outgoing_batches, section_counts, section_of
from tasks.engine.replay.written_batches import remaining_batches
from tasks.engine.restore_steps import begin_restore
from tasks.engine.run_context import RunContext
from tasks.engine.started_restore import StartedRestore
from tasks.repository.restores import TargetPartition, Targets
from tests.simulation.rules.small_world import DAY_MS, SmallWorld

BASE = 7


class _Log:
    """A target log with these batches from offset `BASE` on, as the broker stores them."""

    retry_deadline_ms = 1_000

    def __init__(self, batches: Sequence[OutgoingBatch]) -> None:
        self._batches = batches
        self._wanted: Any = None

    def fetcher(self, *, max_bytes: int) -> Any:
        return self

    def send(self, partition: Any, position: int, last_epoch: int | None) -> None:
        self._wanted = partition, position

    def receive(self) -> Fetched:
        """One batch in each answer."""
        partition, position = self._wanted
        batch = next(one for one in self._batches if one.expected_offset + one.records > position)
        stored = batch.expected_offset.to_bytes(8, "big") + batch.data[8:]
        return Fetched(partition=partition, position=position, records=stored)


@given(
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=60),
    barrier=st.integers(300, 6_000),
    regroup_bytes=st.integers(500, 20_000),
    stop=st.floats(0, 1),
)
@settings(max_examples=60, deadline=None)
def test_what_was_there_and_what_is_sent_are_the_whole_sequence(
    sizes: list[int], barrier: int, regroup_bytes: int, stop: float
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sections, "BARRIER_LOG_BYTES", barrier)
        patch.setattr("tasks.engine.capture.segment.FRAME_LOG_BYTES", 300)
        patch.setattr("tasks.engine.capture.segment.FULL_ENOUGH_BYTES", 200)
        started, targets, context = _started(sizes, regroup_bytes)
        whole = list(outgoing_batches(started, targets, 0))
        kept = whole[: round(stop * len(whole))]
        end = kept[-1].expected_offset + kept[-1].records if kept else BASE
        rest = list(remaining_batches(context, cast(LogReader, _Log(kept)), started, targets, 0, (BASE, end)))
    assert whole == [*kept, *rest]
    assert sum(sizes) == sum(record_count(batch.data) for batch in whole)
    assert BASE == whole[0].expected_offset


@given(counts=st.lists(st.integers(0, 5), min_size=1, max_size=30).filter(any), where=st.floats(0, 1, exclude_max=True))
def test_a_section_is_found_by_its_counts(counts: list[int], where: float) -> None:
    record = int(where * sum(counts))
    start = section_of(counts, record)
    assert sum(counts[: start.section]) == start.records_before
    assert start.records_before <= record < start.records_before + counts[start.section]


def _started(sizes: Sequence[int], regroup_bytes: int) -> tuple[StartedRestore, Targets, RunContext]:
    world = SmallWorld()
    world.topic(records=0)
    for size in sizes:
        world.send(records=size, per_batch=size, age_ms=30 * DAY_MS)
    world.back_up()
    preview = world.preview()
    begun = begin_restore(world.repository, preview)
    plan = begun.plan.model_copy(update={"regroup_bytes": regroup_bytes})
    target = TargetPartition(topic="copy", topic_id="A" * 22, partition=0, base=BASE)
    targets = Targets(restore=plan.restore, producer_id=4, producer_epoch=0, partitions=(target,))
    started = StartedRestore(plan=plan, lines=begun.lines, groups=None, reader=begun.reader)
    assert sum(section_counts(started, 0)) == sum(sizes)
    return started, targets, world.context(world.target)
