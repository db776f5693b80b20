"""Waits between attempts, on a clock that only the waits advance."""

from __future__ import annotations

import threading

import pytest

from tasks.broker.retry import RetryDeadline
from tasks.model.errors import BrokerUnavailableError, InterruptedRunError

ERROR = BrokerUnavailableError("not now")


class Clock(threading.Event):
    """A `stop` event that is never set. Each wait for it advances the clock by its timeout."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 1_000.0
        self.waits_s: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.waits_s.append(timeout)
        self.now_s += timeout
        return self.is_set()


def _deadline(clock: Clock, deadline_ms: int) -> RetryDeadline:
    return RetryDeadline(deadline_ms, clock, lambda: clock.now_s)


def test_waits_double_up_to_a_cap_with_jitter_and_end_at_the_deadline() -> None:
    clock = Clock()
    deadline = _deadline(clock, 60_000)

    while deadline.wait():
        pass

    with pytest.raises(BrokerUnavailableError) as caught:
        deadline.pause(ERROR)
    assert caught.value is ERROR
    assert 60 == pytest.approx(sum(clock.waits_s))
    longest_s = [min(0.05 * 2**n, 5.0) for n in range(len(clock.waits_s))]
    assert all(most / 2 <= wait <= most for wait, most in zip(clock.waits_s[:-1], longest_s[:-1], strict=True))
    assert len(set(clock.waits_s)) == len(clock.waits_s)


def test_first_and_longest_wait_can_be_set() -> None:
    clock = Clock()
    deadline = RetryDeadline(10_000, clock, lambda: clock.now_s, first_wait_ms=10, longest_wait_ms=500)

    while deadline.wait():
        pass

    assert 0.005 <= clock.waits_s[0] <= 0.01
    assert 0.25 <= max(clock.waits_s) <= 0.5


def test_after_the_deadline_the_error_is_raised_without_a_wait() -> None:
    clock = Clock()
    with pytest.raises(BrokerUnavailableError):
        _deadline(clock, 0).pause(ERROR)
    assert [] == clock.waits_s
    assert _deadline(clock, 0).wait() is False


def test_stop_ends_the_wait_with_an_interruption() -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(InterruptedRunError):
        RetryDeadline(60_000, stop).pause(ERROR)


def test_a_time_that_does_not_count_moves_the_deadline() -> None:
    clock = Clock()
    deadline = _deadline(clock, 1_000)
    clock.now_s += 5

    assert deadline.is_over
    deadline.extend(5)
    assert not deadline.is_over
