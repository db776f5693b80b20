"""Up to where the captured log and the leader's log are equal, also if a replica that was far behind leads now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import pytest

from tasks.broker.log_values import EpochAnswers, EpochEnd
from tasks.broker.ports import LogReader
from tasks.engine.source.lineage import CommonLog, confirm_lineages, epochs_of
from tasks.model.partition import Partition
from tasks.repository.entries import PointEntry, Totals
from tasks.repository.index import write_index
from tasks.repository.lines import IndexLine
from tasks.repository.partition_table import Row, write_table
from tasks.repository.restore_point import RestorePoint
from tasks.repository.state_objects import Setting, TopicsState, TopicState, write_state
from tasks.store.memory.memory_store import MemoryStore
from tests.simulation.kafka.leader_epochs import LeaderEpochs

SOURCE = Partition("orders", "kM2jV_iUQ4y9-0gQx3S7vA", 0)
RUN = "20260101T000000000Z-aaaaaaaa"


class Leader:
    """A leader's log by the first offset of each of its epochs, as Kafka keeps them. `asked` are the requests."""

    def __init__(self, end: int, *epochs: tuple[int, int]) -> None:
        self.end = end
        self.epochs = LeaderEpochs(list(epochs))
        self.asked: list[int] = []

    def ends_of_epochs(self, epochs: Mapping[Partition, int]) -> EpochAnswers:
        self.asked += epochs.values()
        found = {one: self.epochs.end_offset(epoch, self.end) for one, epoch in epochs.items()}
        return EpochAnswers({one: EpochEnd(*end) if end else None for one, end in found.items()})


def _common(leader: Leader, *captured: tuple[int, int], end: int = 10, policy: str = "delete") -> CommonLog | None:
    """What a log is known to have in common with the leader of which the epochs `captured` were read up to `end`."""
    store = MemoryStore()
    names: dict[str, Any] = {"topic": SOURCE.topic, "topic_id": SOURCE.topic_id, "partition": SOURCE.partition}
    row = Row(**names, base_seq=1, first=0, next=end, epoch=captured[-1][0])
    line = IndexLine(**names, first=0, next=end, captured_ms=0, epochs=captured)
    topic = TopicState(
        topic=SOURCE.topic,
        topic_id=SOURCE.topic_id,
        partitions=1,
        replication_factor=2,
        settings=(Setting(name="cleanup.policy", value=policy, source=1),),
    )
    entry = PointEntry(
        seq=1,
        id="1" * 16,
        repository_id="r",
        set="set",
        parent=None,
        newest_point=1,
        time_ms=0,
        tool="test",
        run=RUN,
        point_kind="snapshot",
        status="complete",
        cluster_id="c",
        planned_ms=0,
        index=(write_index(store, "set", RUN, [line]),),
        table=(write_table(store, "set", RUN, [row]),),
        topics=write_state(store, "set", RUN, TopicsState(topics=(topic,)), newest=None),
        totals=Totals(topics=1, partitions=1, records=0, log_bytes=0, stored_bytes=0, objects=0),
    )
    found = confirm_lineages(cast(LogReader, leader), RestorePoint(store, entry), [row])
    assert {} == found.failures
    return found.common.get(SOURCE)


def test_an_unchanged_log_is_confirmed_with_one_request() -> None:
    leader = Leader(12, (0, 0), (1, 6))

    assert CommonLog(10, 1) == _common(leader, (0, 0), (1, 6))
    assert [1] == leader.asked


def test_a_clean_election_later_confirms_the_offset() -> None:
    assert CommonLog(10, 0) == _common(Leader(30, (0, 0), (4, 20)), (0, 0))


def test_an_epoch_that_ends_earlier_is_where_the_logs_part() -> None:
    assert CommonLog(7, 1) == _common(Leader(30, (0, 0), (1, 6), (2, 7)), (0, 0), (1, 6))


def test_a_leader_without_the_stored_epoch_is_compared_by_the_epochs_before_it() -> None:
    """The leader's epoch 0 goes on where the captured log had epoch 1: from there on the records are others."""
    leader = Leader(30, (0, 0), (2, 8))

    assert CommonLog(6, 0) == _common(leader, (0, 0), (1, 6))
    assert [1, 0] == leader.asked


def test_an_epoch_that_was_not_captured_is_compared_by_the_captured_one_before_it() -> None:
    assert CommonLog(4, 0) == _common(Leader(30, (0, 0), (1, 4), (3, 9)), (0, 0), (2, 6))


def test_a_log_without_a_common_epoch_is_unknown() -> None:
    assert None is _common(Leader(30, (1, 0), (3, 9)), (2, 0))


def test_the_epochs_of_a_compacted_topic_are_not_followed() -> None:
    assert None is _common(Leader(30, (0, 0), (2, 8)), (0, 0), (1, 6), policy="compact")


@pytest.mark.parametrize("end", [5, 6])
def test_epochs_behind_the_end_of_a_clipped_line_do_not_count(end: int) -> None:
    line = IndexLine(topic="t", topic_id="1", partition=0, first=0, next=end, captured_ms=0, epochs=((0, 0), (1, 5)))

    assert [(0, 0), (1, 5)][: end - 4] == epochs_of([line])
