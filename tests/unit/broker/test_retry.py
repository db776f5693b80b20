"""Patience on a clock that stands still unless a test moves it."""

from __future__ import annotations

import threading

import pytest

from tasks.broker.retry import RetryDeadline
from tasks.model.errors import BrokerUnavailableError, InterruptedRunError

ERROR = BrokerUnavailableError("not now")


class Clock(threading.Event):
    """Time passes only by waiting for this event, which nobody sets."""

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


def test_without_time_left_the_error_comes_at_once() -> None:
    clock = Clock()
    with pytest.raises(BrokerUnavailableError):
        _deadline(clock, 0).pause(ERROR)
    assert [] == clock.waits_s
    assert _deadline(clock, 0).wait() is False


def test_stop_ends_the_wait_as_interrupted() -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(InterruptedRunError):
        RetryDeadline(60_000, stop).pause(ERROR)
