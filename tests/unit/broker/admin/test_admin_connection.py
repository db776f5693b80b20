"""Waits for a condition: repeated until it is true, the deadline has passed, or `stop` is set."""

from __future__ import annotations

import threading

import pytest

from tasks.broker.admin.admin_connection import AdminConnection
from tasks.model.errors import BrokerUnavailableError, InterruptedRunError
from tests.unit.broker.scripted_broker import options


def test_a_condition_is_checked_until_it_is_true() -> None:
    answers = iter([False, False, True])

    AdminConnection(options("127.0.0.1:1")).await_that(lambda: next(answers), "not reached")

    assert [] == list(answers)


def test_a_condition_that_stays_false_raises_the_message_after_the_deadline() -> None:
    checks: list[int] = []

    def condition() -> bool:
        checks.append(1)
        return False

    with pytest.raises(BrokerUnavailableError, match="the topics do not show"):
        AdminConnection(options("127.0.0.1:1"), deadline_ms=100).await_that(condition, "the topics do not show")

    assert len(checks) > 2


def test_stop_ends_the_wait_for_a_condition() -> None:
    stop = threading.Event()
    stop.set()

    with pytest.raises(InterruptedRunError):
        AdminConnection(options("127.0.0.1:1"), stop=stop).await_that(lambda: False, "not reached")


def test_the_deadline_is_the_connections_own_unless_another_is_given() -> None:
    connection = options("127.0.0.1:1", retry_deadline_ms=7_000)
    connection.contact.mark_answered()

    assert [7_000, 300] == [AdminConnection(connection, deadline_ms=one).deadline_ms for one in (None, 300)]
