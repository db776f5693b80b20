"""Requests about many things at once: each key gets its own value or error, and only retryable errors are retried."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import cast

import pytest

from tasks.broker.admin.admin_requests import (
    Answers,
    Attempt,
    Split,
    answer_each,
    by_number,
    by_weight,
    together,
    values_or_raise,
)
from tasks.broker.error_codes import ErrorCode
from tasks.broker.raw.cluster import Cluster
from tasks.broker.raw.connection import ConnectionOptions
from tasks.broker.retry import RetryDeadline
from tasks.broker.translation import Action, error_for_code
from tasks.model.errors import AccessError, BrokerUnavailableError, ConfigError, InterruptedRunError, KafkaBackupError
from tasks.model.waiting import Contact, WaitReport

LOADING = ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
FORBIDDEN = ErrorCode.TOPIC_AUTHORIZATION_FAILED
QUOTA = ErrorCode.THROTTLING_QUOTA_EXCEEDED


class FakeCluster:
    """Counts how often its brokers are looked up, and keeps the reports of waits."""

    def __init__(self) -> None:
        self.refreshed = 0
        self.reports: list[WaitReport] = []
        self.options = ConnectionOptions(bootstrap_servers=("a:1",), contact=Contact(self.reports.append))

    def refresh_brokers(self) -> list[int]:
        self.refreshed += 1
        return [1]


class Script:
    """Gives each key its answers in turn: a code is an error, a string is a value. `sent` are the keys per request."""

    def __init__(self, **answers: list[ErrorCode | str]) -> None:
        self.answers = answers
        self.sent: list[list[str]] = []
        self.stop = threading.Event()
        self.cluster = FakeCluster()
        self.throttle_time_ms = 0
        self.before_sending: Callable[[list[str]], None] = lambda keys: None

    def send(self, attempt: Attempt, keys: list[str]) -> Answers[str, str]:
        self.sent.append(keys)
        self.before_sending(keys)
        attempt.throttle_time_ms = self.throttle_time_ms
        return {key: self._next(key) for key in keys}

    def _next(self, key: str) -> str | KafkaBackupError:
        answer = self.answers[key].pop(0)
        return answer if isinstance(answer, str) else error_for_code(answer, _action(key))

    def run(self, *, deadline_ms: int = 30_000, split: Split[str] = together) -> Answers[str, str]:
        return answer_each(
            cast(Cluster, self.cluster),
            list(self.answers),
            self.send,
            _action,
            split=split,
            deadline_ms=lambda: deadline_ms,
            stop=self.stop,
        )


def _action(key: str) -> Action:
    return Action("describe", f"topic {key}")


def test_only_keys_with_a_retryable_error_are_sent_again_to_brokers_that_are_looked_up_anew() -> None:
    script = Script(a=["x"], b=[LOADING, LOADING, "y"], c=[FORBIDDEN])

    found = script.run()

    assert script.sent == [["a", "b", "c"], ["b"], ["b"]]
    assert 2 == script.cluster.refreshed
    assert (found["a"], found["b"]) == ("x", "y")
    assert isinstance(found["c"], AccessError)
    assert list(found) == ["a", "b", "c"]


def test_after_the_deadline_the_last_error_is_the_answer() -> None:
    found = Script(a=[LOADING, "late"], b=["x"]).run(deadline_ms=0)

    assert isinstance(found["a"], BrokerUnavailableError)
    assert (found["a"].code, found["b"]) == (LOADING, "x")
    with pytest.raises(BrokerUnavailableError, match="Cannot describe topic a"):
        values_or_raise(found)


def test_stop_ends_the_retries() -> None:
    script = Script(a=[LOADING] * 100)
    script.stop.set()

    with pytest.raises(InterruptedRunError):
        script.run()
    assert script.sent == [["a"]]


def test_without_keys_nothing_is_sent() -> None:
    script = Script()
    assert script.run() == {}
    assert script.sent == []


def test_a_lost_connection_fails_the_keys_of_its_request_and_of_those_that_were_not_sent() -> None:
    script = Script(a=["x"], b=["y"], c=["z"])

    def fail(keys: list[str]) -> None:
        if "b" in keys:
            raise BrokerUnavailableError("Broker h:1 closed the connection.")

    script.before_sending = fail
    found = script.run(deadline_ms=0, split=by_number(1))

    assert "x" == found["a"]
    assert ["Cannot describe topic b: Broker h:1 closed the connection.", "Cannot describe topic c: Broker h:1"] == [
        str(found["b"]),
        str(found["c"])[:35],
    ]
    assert [["a"], ["b"]] == script.sent


def test_a_permanent_error_of_a_request_fails_its_keys_only() -> None:
    script = Script(a=["x"], b=["y"])

    def fail(keys: list[str]) -> None:
        if "a" in keys:
            raise ConfigError("wrong")

    script.before_sending = fail
    found = script.run(split=by_number(1))

    assert isinstance(found["a"], ConfigError)
    assert "y" == found["b"]


def test_a_quota_is_waited_for_as_the_broker_says_and_the_wait_is_reported() -> None:
    waits: list[float] = []
    script = Script(a=["x"], b=[QUOTA, QUOTA, "y"])
    script.throttle_time_ms = 3_000

    def wait(timeout: float | None = None) -> bool:
        waits.append(timeout or 0)
        return False

    script.stop.wait = wait  # type: ignore[method-assign]

    assert {"a": "x", "b": "y"} == script.run()

    assert [3.0, 3.0] == waits
    reports = script.cluster.reports
    assert {"a quota of the cluster on changes of topics"} == {report.subject for report in reports}
    assert "describe topic b (1 of 2 to do)" in reports[0].reason


def test_past_the_deadline_the_error_of_a_quota_says_quota() -> None:
    script = Script(a=[QUOTA] * 5)
    script.throttle_time_ms = 10

    [error] = script.run(deadline_ms=30).values()

    assert "Cannot describe topic a: a quota of the cluster" in str(error)


def test_every_answered_key_restarts_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(
        "tasks.broker.admin.admin_requests.RetryDeadline", functools.partial(RetryDeadline, clock=lambda: now[0])
    )
    script = Script(**{f"k{number}": [QUOTA] * number + ["x"] for number in range(5)})
    script.throttle_time_ms = 8_000

    def wait(timeout: float | None = None) -> bool:
        now[0] += timeout or 0
        return False

    script.stop.wait = wait  # type: ignore[method-assign]

    assert {"x"} == set(script.run(deadline_ms=10_000).values())
    assert 32 == now[0]


def test_keys_are_split_by_number_and_by_weight() -> None:
    assert [["a", "b"], ["c"]] == list(by_number(2)(["a", "b", "c"]))
    weights = {"a": 3, "b": 3, "c": 9, "d": 1}
    assert [["a", "b"], ["c"], ["d"]] == list(by_weight(weights.__getitem__, 6)(["a", "b", "c", "d"]))
    assert [] == list(by_weight(weights.__getitem__, 6)([]))
