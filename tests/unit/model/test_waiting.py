"""Waits are reported after some seconds, with subject, duration and reason; and patience is earned by an answer."""

from __future__ import annotations

import threading

import pytest

from tasks.model.errors import AccessError, BrokerUnavailableError, InterruptedRunError, KafkaBackupError
from tasks.model.waiting import Contact, WaitReport


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def fail(contact: Contact, error: BaseException, subject: str = "b:9092") -> None:
    with pytest.raises(type(error)), contact.attempt(subject):
        raise error


def test_a_wait_is_reported_after_five_seconds_and_every_fifteen_then() -> None:
    clock = Clock()
    contact = Contact(clock=clock)
    reports = []
    for second in range(40):
        clock.now = 100.0 + second
        fail(contact, BrokerUnavailableError("connection refused."))
        reports += contact.due_reports()

    assert [5, 20, 35] == [round(report.waited_s) for report in reports]
    assert "waiting for b:9092 since 5 s: connection refused" == str(reports[0])


def test_requests_that_are_repeated_are_one_wait_although_other_requests_succeed() -> None:
    clock = Clock()
    contact = Contact(clock=clock)
    reports = []
    with contact.operation("the cluster to list the groups") as waiting:
        for second in range(8):
            clock.now = 100.0 + second
            waiting.failed("the broker closed the connection.")
            with contact.attempt("b:9092"), contact.operation("the cluster to list the groups"):
                pass
            reports += contact.due_reports()
    clock.now += 60

    wait = "waiting for the cluster to list the groups since 5 s: the broker closed the connection"
    assert [wait] == [str(report) for report in [*reports, *contact.due_reports()]]


def test_a_blocked_first_attempt_is_reported_too() -> None:
    clock = Clock()
    contact = Contact(clock=clock)
    with contact.attempt("b:9092"):
        clock.now += 6
        assert [WaitReport("b:9092", 6.0, "no answer yet")] == contact.due_reports()
    clock.now += 60

    assert [] == contact.due_reports()


@pytest.mark.parametrize("end", [AccessError("wrong password."), InterruptedRunError("Stopped."), ValueError()])
def test_a_success_or_a_permanent_error_ends_the_wait(end: BaseException) -> None:
    clock = Clock()
    contact = Contact(clock=clock)
    fail(contact, BrokerUnavailableError("refused."))
    fail(contact, end)
    clock.now += 10

    assert [] == contact.due_reports()


def test_a_subject_that_is_no_longer_tried_is_not_reported() -> None:
    clock = Clock()
    contact = Contact(clock=clock)
    fail(contact, BrokerUnavailableError("refused."))
    clock.now += 16

    assert [] == contact.due_reports()


def test_attempts_of_several_threads_for_one_subject_are_one_wait() -> None:
    clock = Clock()
    contact = Contact(clock=clock)
    with contact.attempt("b:9092"), contact.attempt("b:9092"):
        clock.now += 5
        assert 1 == len(contact.due_reports())


def test_patience_is_earned_by_an_answer() -> None:
    contact = Contact()
    limits = {"connect_timeout_ms": 20, "retry_deadline_ms": 120}

    assert not contact.has_answered
    assert 20 == contact.deadline_ms(**limits)
    assert 7 == contact.deadline_ms(connect_timeout_ms=20, retry_deadline_ms=7)
    contact.mark_answered()
    assert contact.has_answered
    assert 120 == contact.deadline_ms(**limits)


def test_reports_arrive_while_an_attempt_is_blocked_and_a_failing_receiver_ends_nothing() -> None:
    clock, reported, again = Clock(), threading.Event(), threading.Event()

    def receive(report: WaitReport) -> None:
        (again if reported.is_set() else reported).set()
        raise KafkaBackupError("the output is closed")

    contact = Contact(receive, clock=clock)
    with contact.attempt("b:9092"):
        clock.now += 6
        assert reported.wait(30)
        clock.now += 16
        assert again.wait(30)


def test_an_operation_waits_since_it_began_also_if_one_attempt_takes_long() -> None:
    clock = Clock()
    contact = Contact(clock=clock)
    with contact.operation("the cluster to fetch records") as waiting:
        clock.now += 30
        assert [] == contact.due_reports()
        waiting.failed("timed out")
        assert [WaitReport("the cluster to fetch records", 30.0, "timed out")] == contact.due_reports()
        clock.now += 40
        assert [WaitReport("the cluster to fetch records", 70.0, "timed out")] == contact.due_reports()


def test_of_many_operations_with_one_subject_only_the_longest_wait_is_reported() -> None:
    """Sixteen workers whose broker is silent are one line, and those that are answered do not hide the others."""
    clock = Clock()
    contact = Contact(clock=clock)
    stuck = contact.operation("b:9092")
    reports = []
    stuck.failed("no answer yet")
    for _ in range(14):
        with contact.operation("b:9092") as other:
            other.failed("no answer yet")
            clock.now += 0.5
            reports += contact.due_reports()
    stuck.over()

    assert [WaitReport("b:9092", 5.0, "no answer yet")] == reports
    clock.now += 60
    assert [] == contact.due_reports()
