"""Empty answers: when they end a range, and when they fail the partition."""

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
    """A leader that sends the same answer this many times."""

    def __init__(self, times: int, **fields: Any) -> None:
        self.left = times
        self._fetched = Fetched(partition=SOURCE, position=0, records=b"", **fields)
        self.retry_deadline_ms = HOUR_MS

    def fetcher(self, *, max_bytes: int) -> Answering:
        """Itself."""
        return self

    def send(self, *request: object) -> None:
        """Sends nothing."""

    def receive(self) -> Fetched:
        """Returns the next answer."""
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


def test_repeated_empty_answers_end_the_range_of_a_compacted_topic() -> None:
    leader = Answering(100, last_stable_offset=2_000_000)
    assert [EmptyTail(0)] == list(_events(leader, is_compacted=True))
    assert 100 - EMPTY_ANSWERS == leader.left


@pytest.mark.parametrize(
    ("is_compacted", "fields"), [(False, {}), (True, {"preferred_replica": 2})], ids=["not-compacted", "other-replica"]
)
def test_empty_answers_do_not_end_a_range_that_can_have_records(is_compacted: bool, fields: dict[str, Any]) -> None:
    """A leader with slow tiered storage sends such answers, and a leader that refers clients to another replica."""
    leader = Answering(10_000, last_stable_offset=2_000_000, **fields)
    with pytest.raises(TimeoutError):
        list(_events(leader, is_compacted=is_compacted))
    assert 0 == leader.left


def test_empty_answers_fail_the_partition_after_the_deadline() -> None:
    leader = Answering(10_000, last_stable_offset=2_000_000)
    with pytest.raises(
        BrokerUnavailableError, match=r"orders-0: the leader sends no records from offset 0 on, although"
    ):
        list(_events(leader, is_compacted=False, step_s=60))
    assert leader.left > 9_000
