"""Answers without records: what they may mean, and for how long they are waited for."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from typing import Any, cast

import pytest

from tasks.broker.log_values import Fetched
from tasks.broker.ports import LogReader
from tasks.engine.capture.range_reader import EMPTY_ANSWERS, CaptureRange, EmptyTail, Event, RangeReader
from tasks.model.errors import BrokerUnavailableError
from tasks.model.partition import Partition

SOURCE = Partition("orders", "id", 0)
RANGE = CaptureRange(source=SOURCE, start=0, end=1_000_000)
HOUR_MS = 3_600_000


class Answering:
    """A leader that answers so many times, always the same."""

    def __init__(self, times: int, **fields: Any) -> None:
        self.left = times
        self._fetched = Fetched(partition=SOURCE, position=0, records=b"", **fields)
        self.retry_deadline_ms = HOUR_MS

    def fetcher(self, *, max_bytes: int) -> Answering:
        """Itself."""
        return self

    def send(self, *question: object) -> None:
        """Nothing is sent."""

    def receive(self) -> Fetched:
        """The next answer."""
        if not self.left:
            raise TimeoutError
        self.left -= 1
        return self._fetched


def _events(leader: Answering, *, is_compacted: bool, step_s: float = 0.0) -> Iterator[Event]:
    ticks = itertools.count(0, step_s)
    return iter(
        RangeReader(
            cast(LogReader, leader),
            RANGE,
            fetch_bytes=1 << 20,
            is_compacted=lambda: is_compacted,
            stop=threading.Event(),
            clock=lambda: next(ticks),
        )
    )


def test_a_compacted_log_may_end_without_records_once_the_leader_has_said_so_often_enough() -> None:
    leader = Answering(100, last_stable_offset=2_000_000)
    assert [EmptyTail(0)] == list(_events(leader, is_compacted=True))
    assert 100 - EMPTY_ANSWERS == leader.left


@pytest.mark.parametrize(
    ("is_compacted", "fields"), [(False, {}), (True, {"preferred_replica": 2})], ids=["not-compacted", "points-away"]
)
def test_no_number_of_empty_answers_ends_a_log_that_may_have_records(
    is_compacted: bool, fields: dict[str, Any]
) -> None:
    """A leader whose tiered storage is slow answers like this, and one that sends its clients to another replica."""
    leader = Answering(10_000, last_stable_offset=2_000_000, **fields)
    with pytest.raises(TimeoutError):
        list(_events(leader, is_compacted=is_compacted))
    assert 0 == leader.left


def test_empty_answers_are_waited_for_until_the_deadline_and_then_fail_the_partition() -> None:
    leader = Answering(10_000, last_stable_offset=2_000_000)
    with pytest.raises(BrokerUnavailableError, match=r"orders-0: the leader sends no records from offset 0 on, where"):
        list(_events(leader, is_compacted=False, step_s=60))
    assert leader.left > 9_000
