"""Rate limits of a backup and a restore, on a made clock."""

from __future__ import annotations

import threading
from typing import cast

import pytest

from tasks.batches.records import Record, encode_batch
from tasks.broker.log_values import Fetched
from tasks.broker.ports import LogReader
from tasks.engine.capture.range_reader import CaptureRange, RangeReader
from tasks.engine.options import BackupOptions
from tasks.engine.rate_limit import NO_LIMIT, Bucket, RateLimit, WriteLimit, shared_limit
from tasks.model.errors import InterruptedRunError
from tasks.model.partition import Partition

SOURCE = Partition("orders", "id", 0)
RATE = 1_000


class MadeTime(threading.Event):
    """A clock, and a `stop` whose waits move it and are noted."""

    def __init__(self, stops_in: int | None = None) -> None:
        super().__init__()
        self.now_s = 100.0
        self.waits_s: list[float] = []
        self._stops_in = stops_in

    def wait(self, timeout: float | None = None) -> bool:
        """Let the time pass. Is set in the wait with the given number."""
        self.waits_s.append(timeout or 0)
        self.now_s += timeout or 0
        return len(self.waits_s) == self._stops_in


def test_the_rate_is_exact_over_time_whatever_the_brokers_need_for_their_answers() -> None:
    time = MadeTime()
    limit = RateLimit(RATE, clock=lambda: time.now_s)
    for _ in range(100):
        time.now_s += 0.3
        limit.spend(500, time)
    assert pytest.approx(100 * 500 / RATE) == time.now_s - 100.0


def test_a_pause_gives_credit_for_one_second_and_not_for_more() -> None:
    bucket, wait_s = Bucket(RATE, 0.0).charge(1_500, 3_600.0)
    assert (3_600.5, 0.5) == (bucket.free_s, wait_s)


def test_receivers_at_the_same_time_go_on_one_after_the_other() -> None:
    bucket, waits_s = Bucket(RATE, 0.0), []
    for _ in range(3):
        bucket, wait_s = bucket.charge(2_000, 0.5)
        waits_s.append(wait_s)
    assert [1.5, 3.5, 5.5] == waits_s


def test_an_answer_without_bytes_does_not_wait() -> None:
    assert (Bucket(RATE, 0.0), 0.0) == Bucket(RATE, 0.0).charge(0, 0.0)


def test_a_stop_ends_the_longest_wait_at_once() -> None:
    """The wait is one wait on `stop`, so nothing else has to notice that it was set."""
    stop = threading.Event()
    stop.set()
    with pytest.raises(InterruptedRunError):
        RateLimit(1).spend(1 << 40, stop)


def test_all_captures_of_a_process_share_the_limit_of_a_cluster() -> None:
    limit = shared_limit("cluster", RATE)
    assert limit is not None
    assert limit is shared_limit("cluster", RATE)
    assert limit is not shared_limit("other cluster", RATE)
    assert shared_limit("cluster", None) is None


def _batch(offset: int) -> bytes:
    return encode_batch([Record(offset, 1, None, b"value")], codec="none", base_offset=offset)


class Serving:
    """A leader that serves batches of the same size, and notes when it got each request."""

    def __init__(self, time: MadeTime) -> None:
        self._time = time
        self._next = 0
        self.batch_bytes = len(_batch(0))
        self.sent_s: list[float] = []
        self.retry_deadline_ms = 1_000

    def fetcher(self, *, max_bytes: int) -> Serving:
        """Itself."""
        return self

    def send(self, source: Partition, position: int, epoch: int | None) -> None:
        """Notes the time."""
        self._next = position
        self.sent_s.append(self._time.now_s)

    def receive(self) -> Fetched:
        """One batch."""
        return Fetched(partition=SOURCE, position=self._next, records=_batch(self._next))


def test_the_next_request_is_sent_when_the_received_bytes_are_paid_for() -> None:
    time = MadeTime()
    leader = Serving(time)
    limit = RateLimit(leader.batch_bytes, clock=lambda: time.now_s)
    range_ = CaptureRange(source=SOURCE, start=0, end=4)
    reader = RangeReader(
        cast(LogReader, leader), range_, fetch_bytes=1, is_compacted=lambda: False, stop=time, limit=limit
    )
    assert 4 == len(list(reader))
    assert [100.0, 101.0, 102.0, 103.0] == leader.sent_s
    assert 4 == len(time.waits_s), "the last answer counts too"


@pytest.mark.parametrize(
    ("rate", "expected"), [(None, 4 << 20), (100 << 20, 4 << 20), (2 << 20, 2 << 20), (1_000, 1 << 20)]
)
def test_one_answer_has_at_most_the_bytes_of_a_second(rate: int | None, expected: int) -> None:
    assert expected == BackupOptions(max_bytes_per_second=rate).fetch_bytes


def test_several_writers_stay_below_both_limits_together() -> None:
    time = MadeTime()
    limit = WriteLimit.of(RATE, 50, clock=lambda: time.now_s)
    for _ in range(40):
        limit.spend(log_bytes=100, records=10, stop=time)
    assert pytest.approx(max(40 * 100 / RATE, 40 * 10 / 50)) == time.now_s - 100.0


def test_processes_that_write_for_one_restore_share_its_limit() -> None:
    limits = [WriteLimit.of(RATE, None, processes=4) for _ in range(4)]
    assert pytest.approx(RATE) == sum(one.log_bytes.per_second for one in limits if one.log_bytes)
    assert all(one.records is None for one in limits)


def test_without_a_limit_nothing_waits() -> None:
    time = MadeTime()
    NO_LIMIT.spend(log_bytes=1 << 40, records=1 << 40, stop=time)
    assert [] == time.waits_s
